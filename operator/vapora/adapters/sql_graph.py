"""The knowledge graph over SQL: what SQLite and PostgreSQL have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from datetime import UTC, date, datetime

from vapora.adapters import sql_statements as sql
from vapora.adapters.graph_transfer import export_lines, import_lines
from vapora.adapters.sql_rows import (
    EPOCH,
    Row,
    read_day,
    read_execution,
    read_number,
    read_time,
    write_date,
    write_day,
    write_execution,
    write_time,
)
from vapora.core.learning.execution import DAY, DailyAggregate, Execution, KnownCause, clamp

PRUNED_AT_ONCE = 2000
_PAGE = 1000

Change = tuple[str, Sequence[Row]]
"""A statement and the parameters of each time it is carried out."""


class SqlGraph(ABC):
    """Is KnowledgeGraph but for how a store is reached."""

    @abstractmethod
    async def _read(self, statement: str, values: Row = ()) -> Sequence[Row]:
        """Returns rows; raises GraphUnavailable."""

    @abstractmethod
    async def _change(self, changes: Sequence[Change]) -> None:
        """Makes changes durable in one transaction, perhaps with others'; raises GraphUnavailable."""

    @abstractmethod
    async def _read_latest(self, pools: Sequence[str], task_type: str | None, limit: int) -> Sequence[Row]:
        """Returns the latest executions of each pool, of one task type or of all; raises GraphUnavailable."""

    async def record(self, executions: Sequence[Execution]) -> None:
        """Keeps executions by id, durably when it returns; what a repeated one does not say any more stays."""
        if executions:
            await self._change([(sql.UPSERT, [write_execution(clamp(execution)) for execution in executions])])

    async def get_executions_for_task_type(self, pool: str, task_type: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions of a task type, newest first."""
        return [read_execution(row) for row in await self._read(sql.SELECT_BY_TASK_TYPE, (pool, task_type, limit))]

    async def get_executions_for_task_types(
        self, pools: Sequence[str], task_type: str, limit: int
    ) -> Mapping[str, Sequence[Execution]]:
        """Returns the same for many pools by one query; each pool has its entry."""
        return await self._list_latest(pools, task_type, limit)

    async def get_agent_executions(self, pool: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions, newest first."""
        return [read_execution(row) for row in await self._read(sql.SELECT_BY_POOL, (pool, limit))]

    async def get_executions_of_agents(self, pools: Sequence[str], limit: int) -> Mapping[str, Sequence[Execution]]:
        """Returns the same for many pools by one query; each pool has its entry."""
        return await self._list_latest(pools, None, limit)

    async def get_daily_aggregates(
        self, pool: str | None, task_type: str | None, since: date
    ) -> Sequence[DailyAggregate]:
        """Returns days of a pool and task type, of all where one is None, from a UTC day on, the oldest first."""
        statement = sql.select_days(has_pool=pool is not None, has_task_type=task_type is not None)
        named = [value for value in (pool, task_type) if value is not None]
        day = write_date(since)
        rows = await self._read(statement, (day, write_time(EPOCH + day * DAY), *named))
        return [read_day(row) for row in rows]

    async def sum_spend(self, pool: str, since: datetime) -> int:
        """Returns what a pool's executions that ended since then cost, in cents."""
        day = write_date(since.astimezone(UTC).date())
        return read_number((await self._read(sql.SPEND, (pool, write_time(since), day)))[0][0])

    async def find_known_cause(self, signature: str, namespace: str | None = None) -> KnownCause | None:
        """Returns what is known of an error, in one namespace or in all; None where it was never seen."""
        where = (signature, namespace or "")
        latest = await self._read(sql.LATEST_OF_ERROR, where)
        if not latest:
            return None
        seen, first = (await self._read(sql.SEEN, where))[0]
        solved = await self._read(sql.SOLVED_BY, where)
        return KnownCause(
            signature=signature,
            seen=read_number(seen),
            first_seen=read_time(first),
            latest=read_execution(latest[0]),
            solved_by=read_execution(solved[0]) if solved else None,
        )

    async def find_executions(self, namespace: str, column: str, value: str, limit: int) -> Sequence[Execution]:
        """Returns a namespace's latest executions, newest first: those with a value, without a column all."""
        statement = sql.SELECT_BY_COLUMN[column] if column else sql.SELECT_BY_NAMESPACE
        values = (namespace, value, limit) if column else (namespace, limit)
        return [read_execution(row) for row in await self._read(statement, values)]

    async def count(self) -> int:
        """Returns how many executions are kept."""
        return read_number((await self._read(sql.COUNT))[0][0])

    async def prune(self, before: datetime, keep: int) -> int:
        """Lets some of the oldest go that ended before then or are too many, after adding them to their days."""
        bound = (write_time(before) - 1, "~")  # which follows every id
        if too_many := await self._read(sql.BOUND_OF_COUNT, (keep,)):
            bound = max(bound, (read_number(too_many[0][0]), str(too_many[0][1])))
        last = await self._read(sql.LAST_OF_BATCH, (*bound, PRUNED_AT_ONCE))
        if not last:
            return 0
        finished, id_, count = last[0]
        end = (finished, id_)
        await self._change([(sql.FOLD, [end]), (sql.DELETE, [end])])
        return read_number(count)

    def export(self) -> AsyncGenerator[str, None]:
        """Yields everything as lines of JSON, which `import_` of any store takes."""
        return export_lines(self._read_page, self._read_days)

    async def import_(self, lines: AsyncIterable[str]) -> int:
        """Keeps what `export` gave and returns how many lines; raises ValueError that names a line which is none."""
        return await import_lines(lines, self.record, self._put_days)

    async def _list_latest(self, pools: Sequence[str], task_type: str | None, limit: int) -> dict[str, list[Execution]]:
        found: dict[str, list[Execution]] = {pool: [] for pool in pools}
        for row in await self._read_latest(list(found), task_type, limit):
            execution = read_execution(row)
            found[execution.pool].append(execution)
        return found

    async def _read_page(self, after: str) -> Sequence[Execution]:
        return [read_execution(row) for row in await self._read(sql.PAGE, (after, _PAGE))]

    async def _read_days(self) -> Sequence[DailyAggregate]:
        return [read_day(row) for row in await self._read(sql.SELECT_DAYS)]

    async def _put_days(self, days: Sequence[DailyAggregate]) -> None:
        if days:
            await self._change([(sql.PUT_DAY, [write_day(day) for day in days])])
