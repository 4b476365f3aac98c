"""The metrics of choices and of the knowledge graph, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry

from vapora.adapters.metric_table import build_counter, build_gauge, build_histogram
from vapora.core.learning.trend import DIRECTIONS


class LearningMetrics:
    """Is LearningMeter. No label ever holds the name of an object."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._assignments = build_counter("assignments_total", registry)
        self._explorations = build_counter("exploration_total", registry)
        self._hits = build_counter("graph_hits_total", registry)
        self._queries = build_counter("graph_queries_total", registry)
        self._query_times = build_histogram("graph_query_seconds", registry)
        self._size = build_gauge("graph_size_bytes", registry)

    def observe(
        self,
        *,
        waiting: Callable[[], int],
        lag: Callable[[], float],
        connections: Callable[[], int],
        trends: Callable[[], Mapping[str, int]],
    ) -> None:
        """Reads at each scrape what waits for the knowledge graph and since when, and the trends of what is learned."""
        build_gauge("graph_outbox_depth", self._registry).set_function(waiting)
        build_gauge("graph_outbox_lag_seconds", self._registry).set_function(lag)
        build_gauge("graph_connections", self._registry).set_function(connections)
        trend = build_gauge("expertise_trend", self._registry)
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


def _read_trend(trends: Callable[[], Mapping[str, int]], direction: str) -> int:
    return trends().get(direction, 0)
