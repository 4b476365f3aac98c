"""An agent's metrics, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from vapora.agent.contract import TaskResult

_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)

_TASKS = ("vapora_agent_tasks_total", "counter", ("task_type", "outcome"), "Tasks that ended, by outcome.")
_TASK_SECONDS = ("vapora_agent_task_seconds", "histogram", ("task_type",), "Time from a task's start to its end.")
_IN_FLIGHT = ("vapora_agent_in_flight", "gauge", (), "Tasks that the agent holds.")
_CONNECTED = ("vapora_agent_connected", "gauge", (), "1 while the broker is reached.")
CALLS = ("vapora_agent_calls_total", "counter", ("function", "outcome"), "Calls of tracked functions.")
CALL_SECONDS = ("vapora_agent_call_seconds", "histogram", ("function",), "How long calls of tracked functions took.")
DECLARED: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    _TASKS,
    _TASK_SECONDS,
    _IN_FLIGHT,
    _CONNECTED,
    CALLS,
    CALL_SECONDS,
)


class AgentMetrics:
    """Counts tasks by type and outcome. Task types that the agent has no handler for are counted as `other`."""

    def __init__(self, task_types: frozenset[str]) -> None:
        self.registry = registry = CollectorRegistry()
        self._task_types = task_types
        name, _, labels, meaning = _TASKS
        self._tasks = Counter(name, meaning, labels, registry=registry)
        name, _, seconds_labels, meaning = _TASK_SECONDS
        self._seconds = Histogram(name, meaning, seconds_labels, buckets=_SECONDS, registry=registry)
        self.in_flight = Gauge(_IN_FLIGHT[0], _IN_FLIGHT[3], registry=registry)
        self.connected = Gauge(_CONNECTED[0], _CONNECTED[3], registry=registry)

    def count(self, task_type: str, result: TaskResult) -> None:
        """Counts one task that ended."""
        label = task_type if task_type in self._task_types else "other"
        self._tasks.labels(label, result.outcome).inc()
        if result.started_at is not None and result.finished_at is not None:
            self._seconds.labels(label).observe((result.finished_at - result.started_at).total_seconds())
