"""Which addresses a workflow's calls may reach."""

from dataclasses import dataclass

import pytest

from vapora.core.addresses import CLUSTER_NETWORKS, AddressRules

API_SERVER = ("203.0.113.7", "2001:db8::7")


@dataclass(frozen=True)
class Case:
    address: str
    refusal: str | None
    host: str = "host.example.com"
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = CLUSTER_NETWORKS


CASES = {
    "an address of the Internet is reached": Case("93.184.215.14", None),
    "so is one of IPv6": Case("2606:2800:21f::1", None),
    "this host is not": Case("127.0.0.1", "a loopback address"),
    "nor by another of its loopback addresses": Case("127.8.8.8", "a loopback address"),
    "nor by IPv6": Case("::1", "a loopback address"),
    "nor by an IPv4 address in IPv6's clothes": Case("::ffff:127.0.0.1", "a loopback address"),
    "nor by 6to4": Case("2002:7f00:1::", "a loopback address"),
    "nor by NAT64": Case("64:ff9b::7f00:1", "a loopback address"),
    "nor by the address of no host": Case("0.0.0.0", "an unspecified address"),
    "nor by that of IPv6": Case("::", "an unspecified address"),
    "nor by an old way to write IPv4 as IPv6": Case("::7f00:1", "a reserved address"),
    "what a cloud says of its machines is not read": Case("169.254.169.254", "a link-local address"),
    "nor at the address of AWS for IPv6": Case("fd00:ec2::254", "an address of the cluster"),
    "nor at that of Azure": Case("168.63.129.16", "an address of the cluster"),
    "nor at that of Oracle": Case("192.0.0.192", "a reserved address"),
    "nor at that of Alibaba": Case("100.100.100.200", "an address of the cluster"),
    "a neighbour on the link is not reached": Case("fe80::1", "a link-local address"),
    "nor by naming the interface": Case("fe80::1%eth0", "a link-local address"),
    "nor are many at once": Case("224.0.0.251", "a multicast address"),
    "nor all": Case("255.255.255.255", "a reserved address"),
    "the API server is not": Case("203.0.113.7", "the address of the API server"),
    "nor by IPv6 as such": Case("2001:db8::7", "the address of the API server"),
    "nor by its IPv4 address in IPv6's clothes": Case("::ffff:203.0.113.7", "the address of the API server"),
    "a Service of kubeadm is not": Case("10.96.0.10", "an address of the cluster"),
    "nor one of EKS": Case("172.20.0.10", "an address of the cluster"),
    "nor one of GKE": Case("34.118.224.10", "an address of the cluster"),
    "nor one of a cluster with IPv6": Case("fd00:10:96::a", "an address of the cluster"),
    "a private network that the settings leave out is reached": Case("10.1.2.3", None, denied=("10.96.0.0/12",)),
    "what is allowed is reached": Case("10.1.2.3", None, allowed=("10.1.0.0/16",)),
    "even this host": Case("127.0.0.1", None, allowed=("127.0.0.1",)),
    "even the API server": Case("203.0.113.7", None, allowed=("203.0.113.0/24",)),
    "a host that is allowed by name is reached wherever it is": Case("10.1.2.3", None, allowed=("Host.example.com",)),
    "another host at the same address is not": Case(
        "10.1.2.3", "an address of the cluster", allowed=("a.example.com",)
    ),
    "a name with its final dot is the same name": Case("10.1.2.3", None, "host.example.com.", ("host.example.com",)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_address(case: Case):
    rules = AddressRules.read(allowed=case.allowed, denied=case.denied)
    assert rules.find_refusal(case.host, case.address, API_SERVER) == case.refusal


WRONG = {
    "a network whose host part is not empty": ("10.1.2.3/8", "10.1.2.3/8.*host bits set"),
    "an address with a number too many": ("10.1.2.3.4", r"'10\.1\.2\.3\.4' is no network, address or host name"),
    "a URL": ("https://host.example.com", "is no network, address or host name"),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_target_is_refused_with_what_was_found(text: str, words: str):
    with pytest.raises(ValueError, match=words):
        AddressRules.read(allowed=[text], denied=())


def test_a_name_cannot_be_denied_as_its_addresses_could_be_reached_by_another():
    with pytest.raises(ValueError, match=r"host\.example\.com"):
        AddressRules.read(allowed=(), denied=["host.example.com"])
