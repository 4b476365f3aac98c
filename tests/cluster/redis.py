"""A real Redis server."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.process import Supervisor, free_port
from tests.cluster.waiting import wait_until

PASSWORD = "s3cr3t-of-redis"


def find_redis() -> str | None:
    """Return the path of the server; None where there is none on this machine."""
    return shutil.which("redis-server")


@contextmanager
def serving_redis(program: str) -> Iterator[str]:
    """Run a server for as long as the block; it yields the address of its databases, without the password."""
    port = free_port()
    with Supervisor("vapora-redis-") as supervisor:
        settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", PASSWORD]
        process = supervisor.start("redis", [program, "--port", str(port), *settings])

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(lambda: not process.is_running or answers(), "redis-server answers", within=20)
        assert process.is_running, process.tail()
        yield f"redis://127.0.0.1:{port}"
