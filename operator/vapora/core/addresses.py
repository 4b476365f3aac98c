"""Which addresses a workflow's calls may reach: not this host, its network or the cluster, unless that is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER = {
    what: tuple(ip_network(network) for network in networks)
    for what, networks in {
        "a loopback address": ("127.0.0.0/8", "::1/128"),
        "an unspecified address": ("0.0.0.0/8", "::/128"),
        "a link-local address": ("169.254.0.0/16", "fe80::/10"),
        "a multicast address": ("224.0.0.0/4", "ff00::/8"),
        "a reserved address": ("240.0.0.0/4", "192.0.0.0/24", "::/96", "64:ff9b:1::/48", "2001::/32", "fec0::/10"),
    }.items()
}
# Where clusters keep their Services, Pods and nodes: the private networks, and the one for carriers, which some use for
# Pods; Google's range for Services; and the address at which Azure gives out what belongs to a machine.
CLUSTER_NETWORKS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
    "34.118.224.0/20",
    "168.63.129.16/32",
)


def parse_network(text: str) -> Network:
    """Reads a network or a single address; ValueError says what is wrong with it."""
    return ip_network(text)


def parse_target(text: str) -> Network | str:
    """Reads a network, an address or a host name (returned in lower case); raises ValueError."""
    name = text.lower().rstrip(".")
    if "/" not in name and _HOST_NAME.fullmatch(name) and not re.fullmatch(r"[0-9.]+", name):
        return name
    try:
        return parse_network(text)
    except ValueError as problem:
        raise ValueError(f"{text!r} is no network, address or host name: {problem}") from None


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Says which addresses are refused: what is `allowed` wins over all else."""

    allowed_names: frozenset[str]
    allowed: tuple[Network, ...]
    denied: tuple[Network, ...]

    @classmethod
    def read(cls, *, allowed: Iterable[str], denied: Iterable[str]) -> Self:
        """Reads the rules: `allowed` holds networks and host names, `denied` networks; raises ValueError."""
        targets = [parse_target(text) for text in allowed]
        return cls(
            frozenset(target for target in targets if isinstance(target, str)),
            tuple(target for target in targets if not isinstance(target, str)),
            tuple(parse_network(text) for text in denied),
        )

    def find_refusal(self, host: str, address: str, api_server: Iterable[str]) -> str | None:
        """Says what the address of a host is where it must not be reached; None where it may be.

        `api_server` are the addresses at which the API server is reached.
        """
        target = _read_address(address)
        if host.lower().rstrip(".") in self.allowed_names or _is_in(target, self.allowed):
            return None
        if target in {_read_address(known) for known in api_server}:
            return "the address of the API server"
        what = next((what for what, networks in _NEVER.items() if _is_in(target, networks)), None)
        return what or ("an address of the cluster" if _is_in(target, self.denied) else None)


def _read_address(text: str) -> Address:
    """Reads an address, and of one that only wraps an IPv4 address that one: it is what is reached in the end."""
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or IPv6Address(int(address))  # without a zone


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
