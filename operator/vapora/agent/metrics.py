"""An agent's metrics, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from vapora.agent.contract import TaskResult

_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)


class AgentMetrics:
    """Counts tasks by type and outcome. Task types that the agent has no handler for are counted as `other`."""

    def __init__(self, task_types: frozenset[str]) -> None:
        self.registry = CollectorRegistry()
        self._task_types = task_types
        self._tasks = Counter(
            "vapora_agent_tasks", "Tasks that ended, by outcome.", ["task_type", "outcome"], registry=self.registry
        )
        self._seconds = Histogram(
            "vapora_agent_task_seconds",
            "Time from start to end.",
            ["task_type"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge("vapora_agent_in_flight", "Tasks that the agent holds.", registry=self.registry)
        self.connected = Gauge("vapora_agent_connected", "1 while the broker is reached.", registry=self.registry)

    def count(self, task_type: str, result: TaskResult) -> None:
        """Counts one task that ended."""
        label = task_type if task_type in self._task_types else "other"
        self._tasks.labels(label, result.outcome).inc()
        if result.started_at is not None and result.finished_at is not None:
            self._seconds.labels(label).observe((result.finished_at - result.started_at).total_seconds())
