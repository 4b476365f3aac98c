"""The knowledge graph in memory: what was recorded how often; it can be away."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from datetime import date, datetime

from vapora.core.learning.days import sum_days
from vapora.core.learning.execution import DailyAggregate, Execution, GraphUnavailable, KnownCause

LATEST = 1000
READ_SECONDS = 0.004


class Graph:
    """Keeps executions by id, and every outcome that was ever recorded of each."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.is_down = False
        self.rows: dict[str, Execution] = {}
        self.outcomes: dict[str, set[str]] = {}


class GraphPort:
    """Is KnowledgeGraph for one life of the operator, as far as the engine uses it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @property
    def problem(self) -> str | None:
        return None

    @property
    def connections(self) -> int:
        return 1

    async def record(self, executions: Sequence[Execution]) -> None:
        graph = self._graph
        await asyncio.sleep(graph.chance.random() * 0.02)
        if graph.is_down:
            raise GraphUnavailable("the disk is full")
        for row in executions:
            graph.rows[row.id] = row
            graph.outcomes.setdefault(row.id, set()).add(row.outcome)

    async def get_executions_for_task_type(self, pool: str, task_type: str, limit: int) -> Sequence[Execution]:
        return await self._read(limit, pool=pool, task_type=task_type)

    async def get_executions_for_task_types(
        self, pools: Sequence[str], task_type: str, limit: int
    ) -> Mapping[str, Sequence[Execution]]:
        return {pool: await self._read(limit, pool=pool, task_type=task_type) for pool in pools}

    async def get_agent_executions(self, pool: str, limit: int) -> Sequence[Execution]:
        return await self._read(limit, pool=pool)

    async def get_executions_of_agents(self, pools: Sequence[str], limit: int) -> Mapping[str, Sequence[Execution]]:
        return {pool: await self._read(limit, pool=pool) for pool in pools}

    async def get_daily_aggregates(
        self, pool: str | None, task_type: str | None, since: date
    ) -> Sequence[DailyAggregate]:
        wanted = {name: value for name, value in (("pool", pool), ("task_type", task_type)) if value is not None}
        return sum_days(row for row in await self._read(LATEST, **wanted) if row.finished.date() >= since)

    async def find_executions(self, namespace: str, column: str, value: str, limit: int) -> Sequence[Execution]:
        return await self._read(limit, namespace=namespace)

    async def _read(self, limit: int, **wanted: str) -> list[Execution]:
        await asyncio.sleep(READ_SECONDS)
        if self._graph.is_down:
            raise GraphUnavailable("the disk is full")
        rows = self._graph.rows.values()
        found = [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]
        return sorted(found, key=lambda row: (row.finished, row.id), reverse=True)[:limit]

    async def sum_spend(self, pool: str, since: datetime) -> int:
        return sum(row.cost_cents for row in await self._read(LATEST, pool=pool) if row.finished >= since)

    async def find_known_cause(self, signature: str, namespace: str | None = None) -> KnownCause | None:
        rows = self._graph.rows.values()
        found = [row for row in rows if (row.error_signature, row.namespace) == (signature, namespace)]
        return KnownCause(signature, len(found), found[0].finished, found[-1]) if found else None

    async def prune(self, before: datetime, keep: int) -> int:
        return 0

    async def export(self) -> AsyncGenerator[str, None]:
        for row in await self._read(LATEST):
            yield row.id

    async def import_(self, lines: AsyncIterable[str]) -> int:
        return len([line async for line in lines])

    async def measure(self) -> int | None:
        return None

    async def count(self) -> int:
        return len(self._graph.rows)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass
