"""The addresses of a real node, and the link between it and this machine."""

import dataclasses
import random
import subprocess


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """A private 10.N.0.0/16: the link to the node, its pods and the Services have a /24 each."""

    number: int

    @property
    def link(self) -> str:
        """The name of the interface on this machine's side."""
        return f"vapora{self.number}"

    @property
    def host(self) -> str:
        return f"10.{self.number}.0.1"

    @property
    def node(self) -> str:
        return f"10.{self.number}.0.2"

    @property
    def pods(self) -> str:
        return f"10.{self.number}.1.0/24"

    @property
    def gateway(self) -> str:
        """The bridge's address, by which pods leave."""
        return f"10.{self.number}.1.1"

    @property
    def services(self) -> str:
        return f"10.{self.number}.2.0/24"

    @property
    def dns(self) -> str:
        return f"10.{self.number}.2.10"


def connect(pid: int) -> Network:
    """Lay a link into the network namespace of the process; the kernel removes it with that namespace."""
    used = subprocess.run(["ip", "route", "show", "table", "all"], check=True, capture_output=True, text=True).stdout
    numbers = [number for number in range(64, 224) if f"10.{number}." not in used]
    random.SystemRandom().shuffle(numbers)
    for number in numbers:
        network = Network(number)
        # Its name is the claim: of two that choose the same number one fails here.
        peer = ("type", "veth", "peer", "name", "eth0", "netns", str(pid))
        if subprocess.run(["ip", "link", "add", network.link, *peer], check=False, capture_output=True).returncode:
            continue
        for words in (
            ("address", "add", f"{network.host}/24", "dev", network.link),
            ("link", "set", network.link, "up"),
        ):
            _ip(*words)
        for subnet in (network.pods, network.services):
            _ip("route", "add", subnet, "via", network.node)
        return network
    raise OSError("no private network 10.N.0.0/16 is free for the node")


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
