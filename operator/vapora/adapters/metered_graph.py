"""The knowledge graph with a meter: what it is asked is counted and timed, whichever store answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

from vapora.controller.learning_meter import LearningMeter
from vapora.controller.ports import Clock, KnowledgeGraph
from vapora.core.learning.execution import DailyAggregate, Execution, GraphUnavailable, KnownCause

T = TypeVar("T")


class MeteredGraph:
    """Is KnowledgeGraph over another one. Export and import, which take minutes, are not timed."""

    def __init__(self, graph: KnowledgeGraph, meter: LearningMeter, clock: Clock) -> None:
        self._graph = graph
        self._meter = meter
        self._clock = clock

    @property
    def problem(self) -> str | None:
        """Says why the store cannot be used; None while it can."""
        return self._graph.problem

    @property
    def connections(self) -> int:
        """Is how many connections to the store are open."""
        return self._graph.connections

    async def record(self, executions: Sequence[Execution]) -> None:
        """Keeps executions by id, durably when it returns."""
        await self._time("record", self._graph.record(executions))

    async def get_executions_for_task_type(self, pool: str, task_type: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions of a task type, newest first."""
        return await self._time("latest", self._graph.get_executions_for_task_type(pool, task_type, limit))

    async def get_executions_for_task_types(
        self, pools: Sequence[str], task_type: str, limit: int
    ) -> Mapping[str, Sequence[Execution]]:
        """Returns the same for many pools by one query; each pool has its entry."""
        return await self._time("latest", self._graph.get_executions_for_task_types(pools, task_type, limit))

    async def get_agent_executions(self, pool: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions, newest first."""
        return await self._time("latest", self._graph.get_agent_executions(pool, limit))

    async def get_executions_of_agents(self, pools: Sequence[str], limit: int) -> Mapping[str, Sequence[Execution]]:
        """Returns the same for many pools by one query; each pool has its entry."""
        return await self._time("latest", self._graph.get_executions_of_agents(pools, limit))

    async def get_daily_aggregates(
        self, pool: str | None, task_type: str | None, since: date
    ) -> Sequence[DailyAggregate]:
        """Returns days of a pool and task type, of all where one is None, from a UTC day on, the oldest first."""
        return await self._time("days", self._graph.get_daily_aggregates(pool, task_type, since))

    async def sum_spend(self, pool: str, since: datetime) -> int:
        """Returns what a pool's executions that ended since then cost, in cents."""
        return await self._time("spend", self._graph.sum_spend(pool, since))

    async def find_known_cause(self, signature: str, namespace: str | None = None) -> KnownCause | None:
        """Returns what is known of an error, in one namespace or in all; None where it was never seen."""
        return await self._time("cause", self._graph.find_known_cause(signature, namespace))

    async def find_executions(self, namespace: str, column: str, value: str, limit: int) -> Sequence[Execution]:
        """Returns a namespace's latest executions, newest first: those with a value, without a column all."""
        return await self._time("find", self._graph.find_executions(namespace, column, value, limit))

    async def count(self) -> int:
        """Returns how many executions are kept."""
        return await self._time("count", self._graph.count())

    async def measure(self) -> int | None:
        """Returns the bytes that it has on disk; None where the store does not say."""
        return await self._time("measure", self._graph.measure())

    async def prune(self, before: datetime, keep: int) -> int:
        """Lets some of the oldest go that ended before then or are too many, after adding them to their days."""
        return await self._time("prune", self._graph.prune(before, keep))

    def export(self) -> AsyncGenerator[str, None]:
        """Yields everything as lines of JSON."""
        return self._graph.export()

    async def import_(self, lines: AsyncIterable[str]) -> int:
        """Keeps what `export` gave and returns how many lines."""
        return await self._graph.import_(lines)

    async def open(self) -> None:
        """Opens the store."""
        await self._graph.open()

    async def close(self) -> None:
        """Lets go of the connection or the file."""
        await self._graph.close()

    async def _time(self, query: str, answer: Awaitable[T]) -> T:
        started = self._clock.monotonic()
        try:
            found = await answer
        except GraphUnavailable:
            self._meter.graph_queried(query, self._clock.monotonic() - started, is_answered=False)
            raise
        self._meter.graph_queried(query, self._clock.monotonic() - started, is_answered=True)
        return found
