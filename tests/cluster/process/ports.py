"""Ports on the loopback interface."""

import random
import socket

# Below the range from which the kernel takes the ports of outgoing connections: a port found free stays free.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    chooser = random.SystemRandom()
    for _ in range(200):
        port = chooser.randrange(_LOWEST, _HIGHEST)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port between {_LOWEST} and {_HIGHEST}")
