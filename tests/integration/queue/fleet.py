"""The agents of the pool, as processes of their own."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.nats import NatsServer
from tests.cluster.process import ManagedProcess, Supervisor
from tests.integration.queue.tasks import NAMESPACE, POOL

EXAMPLES = Path(__file__).parents[3] / "examples" / "agents"


@dataclass(frozen=True, slots=True)
class Work:
    """One line of the file in which the agents write down what they did."""

    task_id: str
    pod: str
    attempt: int


class Fleet:
    """Starts agents of `examples/agents`, and counts in their own file what they did."""

    def __init__(self, server: NatsServer, supervisor: Supervisor) -> None:
        self._server = server
        self._supervisor = supervisor
        self._log = supervisor.folder / "work.log"

    def start(self, pod: str, *, example: str = "worker.py", **settings: str) -> ManagedProcess:
        """Start an agent; `settings` are further variables of its environment."""
        environment = {
            "PATH": os.environ["PATH"],
            "VAPORA_NATS_URL": self._server.url,
            "VAPORA_NAMESPACE": NAMESPACE,
            "VAPORA_POOL": POOL,
            "VAPORA_POD": pod,
            "VAPORA_WORK_LOG": str(self._log),
            **settings,
        }
        return self._supervisor.start(pod, [sys.executable, str(EXAMPLES / example)], env=environment)

    def read_work(self) -> list[Work]:
        """Return what was done, in order."""
        if not self._log.exists():
            return []
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return [Work(task_id, pod, int(attempt)) for task_id, pod, attempt in lines]
