"""The operator's own metrics, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from vapora.adapters.metric_table import METRICS, POOL_LABELS, build_counter, build_gauge, build_histogram
from vapora.controller.domain_meter import Counts, PoolCount

_MODELS = 50  # that have time series of their own


class Metrics:
    """Is Meter and DomainMeter for Prometheus; what it knows of a metric stands in its declaration."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("vapora", METRICS["info"].meaning, registry=self.registry).info({"version": version})
        self._reconciled = self._counter("reconcile_total")
        self._durations = self._histogram("reconcile_duration_seconds")
        self._waits = build_histogram("workqueue_wait_seconds", self.registry)
        self._requeued = self._counter("workqueue_retries_total")
        self._watch_events = self._counter("watch_events_total")
        self._requests = self._counter("api_requests_total")
        self._effects = self._histogram("request_effect_seconds")
        self._dropped = self._counter("events_dropped_total")
        self._results = self._counter("results_dropped_total")
        self._errors = self._counter("errors_total")
        self._detections = self._counter("ml_detections_total")
        self._gpu_jobs = self._counter("gpu_jobs_total")
        self._gpu_seconds = self._counter("gpu_seconds_total")
        self._gpu_waits = build_histogram("gpu_wait_seconds", self.registry)
        self._clamped = self._counter("executions_clamped_total")
        self._budgets = build_gauge("budget_spent_ratio", self.registry)
        self._tokens = self._counter("tokens_total")
        self._cents = self._counter("cost_cents_total")
        self._llm_seconds = self._histogram("llm_request_duration_seconds")
        self._models: set[str] = set()
        self._leader = build_gauge("leader", self.registry)
        self._runs = self._histogram("workflow_duration_seconds")
        self._steps = self._counter("steps_total")
        self._step_seconds = self._histogram("step_duration_seconds")
        self._step_waits = build_histogram("step_wait_seconds", self.registry)
        self._retries = self._counter("retries_total")
        self._rollbacks = self._counter("rollbacks_total")
        self._approval_waits = self._histogram("approval_wait_seconds")
        self._approvals = self._counter("hitl_approvals_total")
        self._scalings = self._counter("scaling_decisions_total")
        self._readings = self._histogram("scaler_latency_seconds")
        self._misreadings = self._counter("scaler_errors_total")
        self._tasks = self._counter("agent_invocations_total")
        self._task_seconds = build_histogram("agent_duration_seconds", self.registry)

    def observe_engine(self, *, depth: Callable[[], int], objects: Callable[[], int]) -> None:
        """Reads the queue's depth and the store's size at each scrape."""
        build_gauge("workqueue_depth", self.registry).set_function(depth)
        build_gauge("store_objects", self.registry).set_function(objects)

    def observe_domain(self, count: Callable[[], Counts], *, by_pool: bool) -> None:
        """Has what there is counted at each scrape; `by_pool` names each pool, else all are added up."""
        self.registry.register(_Census(count, by_pool=by_pool))

    def render(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Counts one reconcile."""
        self._reconciled(kind, result).inc()
        self._durations(kind).observe(seconds)
        if result == "error":
            self._errors("defect", kind).inc()

    def waited(self, seconds: float) -> None:
        """Takes the time that a key waited for a worker."""
        self._waits.observe(seconds)

    def retried(self, kind: str) -> None:
        """Counts a key that is queued again after a backoff."""
        self._requeued(kind).inc()

    def watch_event(self, kind: str, event: str) -> None:
        """Counts an event of a watch."""
        self._watch_events(kind, event).inc()

    def api_request(self, verb: str, kind: str, code: int) -> None:
        """Counts a request to the API server."""
        self._requests(verb, kind, code).inc()

    def took_effect(self, verb: str, seconds: float) -> None:
        """Takes the time from a request to its effect."""
        self._effects(verb).observe(seconds)

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
        """Counts what a task took of a model."""
        model = self._bound_models(model)
        self._tokens(model, "prompt").inc(prompt)
        self._tokens(model, "completion").inc(completion)
        self._cents(model).inc(cents)

    def llm_requested(self, model: str, seconds: Sequence[float]) -> None:
        """Takes how long each of a task's requests to a model took."""
        durations = self._llm_seconds(self._bound_models(model))
        for taken in seconds:
            durations.observe(taken)

    def leading(self, *, is_leader: bool) -> None:
        """Says whether this process leads."""
        self._leader.set(is_leader)

    def run_ended(self, phase: str, seconds: float) -> None:
        """Takes the end of a workflow."""
        self._runs(phase).observe(seconds)

    def step_started(self, waited: float) -> None:
        """Takes the time that a step waited."""
        self._step_waits.observe(waited)

    def step_ended(self, kind: str, outcome: str, seconds: float | None) -> None:
        """Counts a step."""
        self._steps(kind, outcome).inc()
        if seconds is not None:
            self._step_seconds(kind).observe(seconds)

    def try_failed(self, kind: str, failure_class: str, *, is_retried: bool) -> None:
        """Counts a failed try."""
        self._errors(failure_class, kind).inc()
        if is_retried:
            self._retries(failure_class).inc()

    def task_ended(self, outcome: str, seconds: float) -> None:
        """Counts a task of an agent."""
        self._tasks(outcome).inc()
        self._task_seconds.observe(seconds)

    def rolled_back(self, outcome: str) -> None:
        """Counts a rollback."""
        self._rollbacks(outcome).inc()

    def approval_decided(self, decision: str) -> None:
        """Counts one person's word."""
        self._approvals(decision).inc()

    def approval_waited(self, decision: str, seconds: float) -> None:
        """Takes the time that an approval step waited."""
        self._approval_waits(decision).observe(seconds)

    def scaled(self, action: str, reason: str) -> None:
        """Counts a change of a pool's size."""
        self._scalings(action, reason).inc()

    def trigger_read(self, kind: str, seconds: float, *, is_known: bool) -> None:
        """Takes the time of one reading of a trigger."""
        self._readings(kind).observe(seconds)
        if not is_known:
            self._misreadings(kind).inc()

    def _bound_models(self, model: str) -> str:
        """Returns what a model is counted as: agents may name any, so all beyond the first fifty are one."""
        if model not in self._models and len(self._models) >= _MODELS:
            return "other"
        self._models.add(model)
        return model

    def _counter(self, name: str) -> Callable[..., Counter]:
        """Returns what finds the counter of given labels; its own search takes four times as long as counting."""
        return cache(build_counter(name, self.registry).labels)

    def _histogram(self, name: str) -> Callable[..., Histogram]:
        return cache(build_histogram(name, self.registry).labels)


_POOL_NUMBERS: Mapping[str, Callable[[PoolCount], int]] = {
    "pool_replicas": attrgetter("replicas"),
    "pool_queue": attrgetter("queue"),
    "pool_busy": attrgetter("busy"),
}


class _Census(Collector):
    """Gives Prometheus what is counted at the time of a scrape."""

    def __init__(self, count: Callable[[], Counts], *, by_pool: bool) -> None:
        self._count = count
        self._by_pool = by_pool

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Names nothing beforehand: counting is for scrapes."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yields the gauges as they are now."""
        counts = self._count()
        yield _fill_gauge("workflows", {(phase,): number for phase, number in counts.workflows.items()})
        yield _fill_gauge("steps", {(state,): number for state, number in counts.steps.items()})
        yield _fill_gauge("workflow_idle_seconds", {(): counts.idle_seconds})
        yield _fill_gauge("pools_saturated", {(): counts.saturated})
        for pool_name, read in _POOL_NUMBERS.items():
            by_pool: dict[tuple[str, ...], float] = {(pool.namespace, pool.pool): read(pool) for pool in counts.pools}
            if self._by_pool:
                yield _fill_gauge(pool_name, by_pool, POOL_LABELS)
            else:
                yield _fill_gauge(pool_name, {(): sum(by_pool.values())})


def _fill_gauge(
    name: str, values: Mapping[tuple[str, ...], float], labels: tuple[str, ...] | None = None
) -> GaugeMetricFamily:
    metric = METRICS[name]
    family = GaugeMetricFamily(metric.series, metric.meaning, labels=metric.labels if labels is None else labels)
    for found, value in values.items():
        family.add_metric(found, value)
    return family
