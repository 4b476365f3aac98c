"""A knowledge graph in memory for tests of learning: it can be slow or away, and counts what is asked of it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date

from vapora.core.learning.execution import DailyAggregate, Execution, GraphUnavailable


class MemoryGraph:
    """Keeps executions. `gate` holds reads up while it is clear."""

    def __init__(self, *executions: Execution) -> None:
        self.rows = {row.id: row for row in executions}
        self.problem: str | None = None
        self.is_broken = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_asked = asyncio.Event()
        self.reads: list[tuple[tuple[str, ...], str | None]] = []
        self.most_at_once = self._at_once = 0

    def keep(self, *executions: Execution) -> None:
        self.rows |= {row.id: row for row in executions}

    async def get_executions_for_task_types(
        self, pools: Sequence[str], task_type: str, limit: int
    ) -> Mapping[str, Sequence[Execution]]:
        return await self._read(pools, task_type, limit)

    async def get_executions_of_agents(self, pools: Sequence[str], limit: int) -> Mapping[str, Sequence[Execution]]:
        return await self._read(pools, None, limit)

    async def get_daily_aggregates(self, pool: str, task_type: str | None, since: date) -> Sequence[DailyAggregate]:
        rows = [row for row in self.rows.values() if row.pool == pool and row.finished.date() >= since]
        return [
            DailyAggregate(
                day=row.finished.date(),
                namespace=row.namespace,
                pool=row.pool,
                task_type=row.task_type,
                executions=1,
                successes=int(row.is_success),
                cancelled=0,
                quality_sum=0.0,
                quality_count=0,
                latency=row.latency,
                tokens=0,
                cost_cents=0,
            )
            for row in rows
        ]

    async def _read(self, pools: Sequence[str], task_type: str | None, limit: int) -> Mapping[str, Sequence[Execution]]:
        self.is_asked.set()
        self.reads.append((tuple(pools), task_type))
        found = {pool: self._list(pool, task_type)[:limit] for pool in pools}
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self._at_once -= 1
        if self.is_broken:
            raise GraphUnavailable("the disk is gone")
        return found

    def _list(self, pool: str, task_type: str | None) -> list[Execution]:
        rows = [row for row in self.rows.values() if row.pool == pool and task_type in {None, row.task_type}]
        return sorted(rows, key=lambda row: (row.finished, row.id), reverse=True)
