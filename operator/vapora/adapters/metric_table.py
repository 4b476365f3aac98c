"""Every metric of the operator, declared in one place, which its page, the alerts and the dashboards are held to.

No label ever holds the name of an object, but for those of pools, which a setting turns on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_EFFECTS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_WORK = (0.1, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 14400, 86400)
_ANSWERS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_QUEUES = (1, 5, 15, 60, 300, 900, 3600, 14400, 86400)


@dataclass(frozen=True, slots=True)
class Metric:
    """Is one metric; `name` is that of the series, without `vapora_`, so a counter's ends in `_total`.

    `has_pools` says that the setting `pool_metrics` splits it by namespace and pool.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    has_pools: bool = False

    @property
    def series(self) -> str:
        """Is the name that queries use; of a histogram `_bucket`, `_sum` and `_count` follow."""
        return f"vapora_{self.name}"


_ENGINE = (
    Metric("info", "info", "The operator.", ("version",)),
    Metric("leader", "gauge", "Whether this process leads."),
    Metric("reconcile_total", "counter", "Reconciles by outcome.", ("kind", "result")),
    Metric("reconcile_duration_seconds", "histogram", "How long a reconcile took.", ("kind",), _FAST),
    Metric("workqueue_depth", "gauge", "Keys that wait for a worker."),
    Metric("workqueue_wait_seconds", "histogram", "How long a key waited for a worker.", (), _FAST),
    Metric("workqueue_retries_total", "counter", "Keys queued again after a backoff.", ("kind",)),
    Metric("store_objects", "gauge", "Objects and children kept in memory."),
    Metric("watch_events_total", "counter", "Events that the watches brought.", ("kind", "event")),
    Metric("api_requests_total", "counter", "Requests to the API server; code 0: no answer.", ("verb", "kind", "code")),
    Metric("events_dropped_total", "counter", "Events that were not sent.", ("cause",)),
    Metric("results_dropped_total", "counter", "Results of agents for which nobody waited.", ("cause",)),
    Metric(
        "errors_total",
        "counter",
        "Tries of steps that failed, by whose fault it was (application, infrastructure, permanent) and type of step; "
        "and reconciles that broke (defect), by kind.",
        ("class", "component"),
    ),
)
_WORKFLOWS = (
    Metric("workflows", "gauge", "Workflows by phase.", ("phase",)),
    Metric("steps", "gauge", "Steps of workflows that have not ended, by state.", ("state",)),
    Metric(
        "workflow_idle_seconds",
        "gauge",
        "How long the longest idle workflow has not moved: nothing of it runs, and nobody is asked or waited for.",
    ),
    Metric(
        "workflow_duration_seconds",
        "histogram",
        "How long a workflow took from its creation, or its last start, to its end.",
        ("phase",),
        _WORK,
    ),
    Metric("steps_total", "counter", "Steps that ended, by type and outcome.", ("type", "outcome")),
    Metric("step_duration_seconds", "histogram", "How long the last try of a step took.", ("type",), _WORK),
    Metric(
        "step_wait_seconds",
        "histogram",
        "How long a step waited, once all that it depends on had ended, until its first try started.",
        (),
        _WORK,
    ),
    Metric("retries_total", "counter", "Failed tries that another one follows, by whose fault they were.", ("class",)),
    Metric("rollbacks_total", "counter", "Rollbacks that ended.", ("outcome",)),
    Metric("approval_wait_seconds", "histogram", "How long approval steps waited.", ("decision",), _WORK),
    Metric("hitl_approvals_total", "counter", "Decisions of people on steps.", ("decision",)),
    Metric(
        "request_effect_seconds",
        "histogram",
        "How long a request about a workflow took from the first look at it to its effect.",
        ("verb",),
        _EFFECTS,
    ),
)
_POOLS = (
    Metric("pool_replicas", "gauge", "Agents of pools, ready or not.", has_pools=True),
    Metric("pool_queue", "gauge", "Tasks that wait for an agent.", has_pools=True),
    Metric("pool_busy", "gauge", "Agents with a task.", has_pools=True),
    Metric("pools_saturated", "gauge", "Pools at their largest size that have tasks waiting."),
    Metric("scaling_decisions_total", "counter", "Changes of size, by what asked for them.", ("action", "reason")),
    Metric("scaler_latency_seconds", "histogram", "How long a reading of a trigger took.", ("type",), _FAST),
    Metric("scaler_errors_total", "counter", "Readings of triggers that gave no number.", ("type",)),
    Metric("agent_invocations_total", "counter", "Tasks of agents that ended.", ("outcome",)),
    Metric("agent_duration_seconds", "histogram", "How long a task of an agent took.", (), _WORK),
)
_LEARNING = (
    Metric("assignments_total", "counter", "Tasks given to a pool, by what decided.", ("reason",)),
    Metric("exploration_total", "counter", "Tasks given to the pool of which least was known."),
    Metric(
        "expertise_trend",
        "gauge",
        "Kinds of work at which pools get better, worse or neither, of each pool the ten most frequent.",
        ("direction",),
    ),
    Metric("budget_spent_ratio", "gauge", "The highest share of a budget that any pool has spent.", ("window",)),
    Metric("tokens_total", "counter", "Tokens that tasks took, as agents say.", ("model", "type")),
    Metric("cost_cents_total", "counter", "What tasks have cost, in cents, as agents say.", ("model",)),
    Metric(
        "llm_request_duration_seconds",
        "histogram",
        "How long requests to models took, as agents say.",
        ("model",),
        _ANSWERS,
    ),
    Metric("graph_hits_total", "counter", "Tasks given by history that was in memory."),
    Metric("graph_queries_total", "counter", "What the knowledge graph was asked.", ("query", "result")),
    Metric(
        "graph_query_seconds",
        "histogram",
        "How long the knowledge graph took to answer, or to keep executions.",
        ("query",),
        _FAST,
    ),
    Metric("graph_outbox_depth", "gauge", "Executions that wait to be recorded."),
    Metric("graph_outbox_lag_seconds", "gauge", "How long the oldest of them waits."),
    Metric("graph_connections", "gauge", "Connections to the knowledge graph."),
    Metric("graph_size_bytes", "gauge", "What the knowledge graph has on disk, looked at once an hour."),
    Metric("executions_clamped_total", "counter", "Values of executions that cannot be and were bounded.", ("field",)),
)
_GPU = (
    Metric(
        "ml_detections_total",
        "counter",
        "Steps found to be machine learning, by what decided.",
        ("ml_class", "source"),
    ),
    Metric("gpu_jobs_total", "counter", "GPU Jobs by how they ended.", ("outcome",)),
    Metric(
        "gpu_seconds_total",
        "counter",
        "GPUs times seconds: requested while the Job was there, used while it ran.",
        ("kind",),
    ),
    Metric("gpu_wait_seconds", "histogram", "How long GPU Jobs waited until they ran.", (), _QUEUES),
)
GROUPS: Mapping[str, tuple[Metric, ...]] = {
    "Engine": _ENGINE,
    "Workflows": _WORKFLOWS,
    "Pools and agents": _POOLS,
    "Learning": _LEARNING,
    "GPUs": _GPU,
}
METRICS: Mapping[str, Metric] = {metric.name: metric for group in GROUPS.values() for metric in group}
POOL_LABELS = ("namespace", "pool")


def build_counter(name: str, registry: CollectorRegistry) -> Counter:
    """Builds a counter as it is declared."""
    metric = METRICS[name]
    return Counter(metric.series, metric.meaning, metric.labels, registry=registry)


def build_gauge(name: str, registry: CollectorRegistry) -> Gauge:
    """Builds a gauge as it is declared."""
    metric = METRICS[name]
    return Gauge(metric.series, metric.meaning, metric.labels, registry=registry)


def build_histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """Builds a histogram as it is declared."""
    metric = METRICS[name]
    return Histogram(metric.series, metric.meaning, metric.labels, buckets=metric.buckets, registry=registry)
