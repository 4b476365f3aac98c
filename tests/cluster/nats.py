"""A real NATS server with JetStream."""

import json
import signal
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.binaries import locate_tool
from tests.cluster.process import ManagedProcess, Supervisor, free_port
from tests.cluster.waiting import wait_until


class NatsServer:
    """A nats-server on loopback that keeps its port and its data over stop and start.

    `settings` are those for which it has no flag, as its configuration file has them.
    """

    def __init__(self, supervisor: Supervisor | None = None, *, settings: str = "") -> None:
        self._own = Supervisor("vapora-nats-") if supervisor is None else None
        self._supervisor = supervisor or self._own or Supervisor()
        self._data = self._supervisor.folder / "nats"
        self._process: ManagedProcess | None = None
        self._settings = settings
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.is_running

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.is_running else None

    @property
    def log(self) -> Path:
        return self._supervisor.folder / "logs" / "nats-server.log"

    def start(self) -> None:
        """Start it, where it does not run, and return when it answers."""
        if self.is_running:
            return
        argv = [str(locate_tool("nats-server")), "--addr", "127.0.0.1", "--port", str(self.port)]
        if self._settings:
            file = self._supervisor.folder / "nats.conf"
            file.write_text(self._settings)
            argv += ["--config", str(file)]
        self._process = self._supervisor.start("nats-server", [*argv, "--jetstream", "--store_dir", str(self._data)])
        process = self._process
        wait_until(lambda: self._answers() or not process.is_running, "nats-server answers", within=20, every=0.01)
        if not process.is_running:
            raise RuntimeError(f"nats-server ended with {process.exit_code}:\n{process.tail()}")

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None and self._process.is_running:
            self._process.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None and self._process.is_running:
            self._process.signal(signal.SIGKILL)
            self._process.wait(10)

    def close(self) -> None:
        """End it and remove its data."""
        self.kill()
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                greeting = connection.makefile("rb").readline()
        except OSError:
            return False
        return greeting.startswith(b"INFO ") and bool(json.loads(greeting[5:]).get("jetstream"))
