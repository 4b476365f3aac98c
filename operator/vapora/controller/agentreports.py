"""What the agents of pools said about themselves lately."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from vapora.controller.ports import Clock, TaskBroker
from vapora.controller.store import Store
from vapora.core.agentpool.broker import AgentReport
from vapora.core.plan import Key

KIND = "AgentPool"
FRESH = 45.0  # seconds; an agent says something every 15, and a word may get lost


class AgentReports:
    """Keeps each agent's last report, and has a pool looked at when one of its agents takes no more tasks."""

    def __init__(self, broker: TaskBroker | None, store: Store, enqueue: Callable[[Key], None], clock: Clock) -> None:
        self._broker = broker
        self._store = store
        self._enqueue = enqueue
        self._clock = clock
        self._known: dict[Key, dict[str, tuple[float, AgentReport]]] = defaultdict(dict)

    async def run(self) -> None:
        """Listens until it is cancelled."""
        if self._broker is not None:
            await self._broker.follow_agents(self.hear)

    def hear(self, namespace: str, pool: str, pod: str, report: AgentReport) -> None:
        """Takes in what one agent said."""
        key = Key(KIND, namespace, pool)
        if self._store.get(key) is None:
            self._known.pop(key, None)
            return
        _, former = self._known[key].get(pod, (0.0, None))
        if former is None:
            self._known[key] = self._find_fresh(key)  # room is made only where another agent comes
        self._known[key][pod] = (self._clock.monotonic(), report)
        if report.is_draining and not (former and former.is_draining):
            self._enqueue(key)

    def find(self, key: Key) -> Mapping[str, AgentReport]:
        """Returns the fresh reports of a pool's agents, by the names of their pods."""
        return {pod: report for pod, (_, report) in self._find_fresh(key).items()}

    def _find_fresh(self, key: Key) -> dict[str, tuple[float, AgentReport]]:
        known, oldest = self._known.get(key), self._clock.monotonic() - FRESH
        return {pod: said for pod, said in known.items() if said[0] >= oldest} if known else {}
