"""The metrics of choices and of the knowledge graph, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from vapora.core.learning.trend import DIRECTIONS

_DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class LearningMetrics:
    """Is LearningMeter. No label ever holds the name of an object."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._assignments = Counter(
            "vapora_assignments", "Tasks given to a pool, by what decided.", ["reason"], registry=registry
        )
        self._explorations = Counter(
            "vapora_exploration", "Tasks given to the pool of which least was known.", registry=registry
        )
        self._hits = Counter("vapora_graph_hits", "Tasks given by history that was in memory.", registry=registry)
        self._queries = Counter(
            "vapora_graph_queries", "What the knowledge graph was asked.", ["query", "result"], registry=registry
        )
        self._query_times = Histogram(
            "vapora_graph_query_seconds",
            "How long the knowledge graph took to answer, or to keep executions.",
            ["query"],
            buckets=_DURATIONS,
            registry=registry,
        )
        self._size = self._gauge("size_bytes", "What the knowledge graph has on disk, looked at once an hour.")

    def observe(
        self,
        *,
        waiting: Callable[[], int],
        lag: Callable[[], float],
        connections: Callable[[], int],
        trends: Callable[[], Mapping[str, int]],
    ) -> None:
        """Reads at each scrape what waits for the knowledge graph and since when, and the trends of what is learned."""
        self._gauge("outbox_depth", "Executions that wait to be recorded.").set_function(waiting)
        self._gauge("outbox_lag_seconds", "How long the oldest of them waits.").set_function(lag)
        self._gauge("connections", "Connections to the knowledge graph.").set_function(connections)
        meaning = "Kinds of work at which pools get better, worse or neither, of each pool the ten most frequent."
        trend = Gauge("vapora_expertise_trend", meaning, ["direction"], registry=self._registry)
        for direction in DIRECTIONS:
            trend.labels(direction).set_function(partial(_read_trend, trends, direction))

    def assigned(self, reason: str, *, is_from_memory: bool) -> None:
        """Counts a task that was given to a pool."""
        self._assignments.labels(reason).inc()
        if reason == "exploration":
            self._explorations.inc()
        if is_from_memory and reason in {"score", "exploration"}:
            self._hits.inc()

    def graph_queried(self, query: str, seconds: float, *, is_answered: bool) -> None:
        """Takes how long the knowledge graph took."""
        self._queries.labels(query, "answered" if is_answered else "unavailable").inc()
        self._query_times.labels(query).observe(seconds)

    def graph_measured(self, size: int) -> None:
        """Takes the bytes that the knowledge graph has on disk."""
        self._size.set(size)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"vapora_graph_{name}", meaning, registry=self._registry)


def _read_trend(trends: Callable[[], Mapping[str, int]], direction: str) -> int:
    return trends().get(direction, 0)
