"""The operator's own metrics, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

_MODELS = 50  # that have time series of their own
_DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Is Meter for Prometheus. No label ever holds the name of an object."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("vapora", "The operator.", registry=self.registry).info({"version": version})
        self._reconciled = self._counter("reconcile", "Reconciles by outcome.", "kind", "result")
        durations = Histogram(
            "vapora_reconcile_duration_seconds",
            "How long a reconcile took.",
            ["kind"],
            buckets=_DURATIONS,
            registry=self.registry,
        )
        self._durations: Callable[..., Histogram] = cache(durations.labels)
        self._waits = Histogram(
            "vapora_workqueue_wait_seconds",
            "How long a key waited for a worker.",
            buckets=_DURATIONS,
            registry=self.registry,
        )
        self._retries = self._counter("workqueue_retries", "Keys queued again after a backoff.", "kind")
        self._watch_events = self._counter("watch_events", "Events that the watches brought.", "kind", "event")
        self._requests = self._counter(
            "api_requests", "Requests to the API server; code 0: no answer.", "verb", "kind", "code"
        )
        self._effects = Histogram(
            "vapora_request_effect_seconds",
            "How long a request about a workflow took from the first look at it to its effect.",
            ["verb"],
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
            registry=self.registry,
        )
        self._dropped = self._counter("events_dropped", "Events that were not sent.", "cause")
        self._results = self._counter("results_dropped", "Results of agents for which nobody waited.", "cause")
        self._detections = self._counter("ml_detections", "Steps found to be machine learning.", "ml_class", "source")
        self._gpu_jobs = self._counter("gpu_jobs", "GPU Jobs by how they ended.", "outcome")
        self._gpu_seconds = self._counter(
            "gpu_seconds", "GPUs times seconds: requested while the Job was there, used while it ran.", "kind"
        )
        self._gpu_waits = Histogram(
            "vapora_gpu_queue_wait_seconds",
            "How long GPU Jobs waited until they ran.",
            buckets=(1, 5, 15, 60, 300, 900, 3600, 14400, 86400),
            registry=self.registry,
        )
        self._clamped = self._counter(
            "executions_clamped", "Values of executions that cannot be and were kept as what can.", "field"
        )
        self._budgets = Gauge(
            "vapora_budget_spent_ratio",
            "The highest share of a budget that any pool has spent.",
            ["window"],
            registry=self.registry,
        )
        self._tokens = self._counter("tokens", "Tokens that tasks took, as agents say.", "model", "type")
        self._cents = self._counter("cost_cents", "What tasks have cost, in cents, as agents say.", "model")
        self._models: set[str] = set()
        self._leader = self._gauge("leader", "Whether this process leads.")

    def observe_engine(self, *, depth: Callable[[], int], objects: Callable[[], int]) -> None:
        """Reads the queue's depth and the store's size at each scrape."""
        self._gauge("workqueue_depth", "Keys that wait for a worker.").set_function(depth)
        self._gauge("store_objects", "Objects and children kept in memory.").set_function(objects)

    def render(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Counts one reconcile."""
        self._reconciled(kind, result).inc()
        self._durations(kind).observe(seconds)

    def waited(self, seconds: float) -> None:
        """Takes the time that a key waited for a worker."""
        self._waits.observe(seconds)

    def retried(self, kind: str) -> None:
        """Counts a key that is queued again after a backoff."""
        self._retries(kind).inc()

    def watch_event(self, kind: str, event: str) -> None:
        """Counts an event of a watch."""
        self._watch_events(kind, event).inc()

    def api_request(self, verb: str, kind: str, code: int) -> None:
        """Counts a request to the API server."""
        self._requests(verb, kind, code).inc()

    def took_effect(self, verb: str, seconds: float) -> None:
        """Takes the time from a request to its effect."""
        self._effects.labels(verb).observe(seconds)

    def event_dropped(self, cause: str) -> None:
        """Counts an Event that was not sent."""
        self._dropped(cause).inc()

    def result_dropped(self, cause: str) -> None:
        """Counts a result that was dropped."""
        self._results(cause).inc()

    def ml_detected(self, ml_class: str, source: str) -> None:
        """Counts a step that was found to be machine learning."""
        self._detections(ml_class, source).inc()

    def gpu_waited(self, seconds: float) -> None:
        """Takes the time that a GPU Job waited until it ran."""
        self._gpu_waits.observe(seconds)

    def gpu_job_ended(self, outcome: str, *, requested: float, used: float) -> None:
        """Counts a GPU Job and its GPU seconds."""
        self._gpu_jobs(outcome).inc()
        self._gpu_seconds("requested").inc(requested)
        self._gpu_seconds("used").inc(used)

    def execution_clamped(self, field: str) -> None:
        """Counts a value of an execution that cannot be."""
        self._clamped(field).inc()

    def budget_spent(self, window: str, ratio: float) -> None:
        """Takes the highest share of a budget that any pool has spent."""
        self._budgets.labels(window).set(ratio)

    def task_answered(self, model: str, *, prompt: int, completion: int, cents: int) -> None:
        """Counts what a task took of a model; agents may name any, so all beyond the first fifty count as one."""
        if model not in self._models and len(self._models) >= _MODELS:
            model = "other"
        self._models.add(model)
        self._tokens(model, "prompt").inc(prompt)
        self._tokens(model, "completion").inc(completion)
        self._cents(model).inc(cents)

    def leading(self, *, is_leader: bool) -> None:
        """Says whether this process leads."""
        self._leader.set(is_leader)

    def _counter(self, name: str, description: str, *labels: str) -> Callable[..., Counter]:
        """Returns what finds the counter of given labels; its own search takes four times as long as counting."""
        return cache(Counter(f"vapora_{name}", description, labels, registry=self.registry).labels)

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(f"vapora_{name}", description, registry=self.registry)
