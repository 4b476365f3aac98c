"""Secrets that would be known again anywhere, and everything that people can read, to look for them."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

from tests.cluster.nats import NatsServer

KEYS = (
    "env", "env-from", "service", "service-key", "header", "hook", "mail", "mail-away", "bearer", "redis", "postgres",
    "provider", "llm",
)  # fmt: skip


class Canaries:
    """A secret value for each place that takes one."""

    def __init__(self) -> None:
        self.values = {key: f"canary+{key}/7f3a" for key in (*KEYS, "graph", "nats")}

    def __getitem__(self, key: str) -> str:
        return self.values[key]

    def find(self, text: str) -> list[str]:
        """The secrets that stand in a text, as they are or written in one of the usual ways."""
        return [key for key, value in self.values.items() if any(form in text for form in _write(value))]


def _write(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="")
    yield json.dumps(value)[1:-1].replace("/", "\\/")
    # In base64 the beginning depends on what stands before: two of its middle groups stand for it.
    for shift in range(3):
        yield base64.b64encode(b" " * shift + value.encode()).decode()[4:-4]


@contextmanager
def listening(server: NatsServer) -> Iterator[bytearray]:
    """Hears every message that anybody publishes, headers too, for as long as the block."""
    heard = bytearray()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b'CONNECT {"verbose":false,"headers":true}\r\nSUB > 1\r\nPING\r\n')

        def read() -> None:
            with suppress(OSError):
                while chunk := connection.recv(65536):
                    heard.extend(chunk)
                    if b"PING\r\n" in chunk:
                        connection.sendall(b"PONG\r\n")

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        yield heard
        connection.shutdown(socket.SHUT_RDWR)
        reader.join(5)
