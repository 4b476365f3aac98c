"""The knowledge graph in a SurrealDB database: where one is already there."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from datetime import UTC, date, datetime
from importlib import resources

from surrealdb import RecordID

from vapora.adapters import surreal_statements as surql
from vapora.adapters.graph_transfer import export_lines, import_lines
from vapora.adapters.group_commit import GroupCommit
from vapora.adapters.sql_rows import (
    DAY_KEY,
    DAY_SUMS,
    EPOCH,
    EXECUTION_COLUMNS,
    read_day,
    read_execution,
    read_number,
    read_time,
    write_date,
    write_day,
    write_execution,
    write_time,
)
from vapora.adapters.surreal_connection import SurrealConnection
from vapora.core.learning.days import merge_days, sum_days
from vapora.core.learning.execution import (
    DAY,
    DailyAggregate,
    Execution,
    GraphUnavailable,
    KnownCause,
    clamp,
)

PRUNED_AT_ONCE = 500
_PAGE = 1000

Record = Mapping[str, object]


class SurrealGraph:
    """Is KnowledgeGraph over one database. A server that cannot be reached, or refuses, shows in `problem`."""

    def __init__(self, url: str, password: str | None = None) -> None:
        self._connection = SurrealConnection(url, password)
        self._writer: GroupCommit[Sequence[Execution]] = GroupCommit(self._connect, self._commit)

    @property
    def problem(self) -> str | None:
        """Says why the store cannot be used; None while it can."""
        return self._writer.problem

    @property
    def connections(self) -> int:
        """Is 1 while the database can be used: each request stands for itself."""
        return int(self.problem is None)

    async def measure(self) -> int | None:
        """Returns None: SurrealDB does not say."""
        return None

    async def open(self) -> None:
        """Opens the store; one that cannot be reached shows in `problem` and is tried again. An open one stays so."""
        await self._writer.start()

    async def close(self) -> None:
        """Writes what was handed in, if that is possible at once, and lets go of the connection."""
        await self._writer.stop()
        await self._connection.close()

    async def record(self, executions: Sequence[Execution]) -> None:
        """Keeps executions by id, durably when it returns; what a repeated one does not say any more stays."""
        if executions:
            await self._writer.write([clamp(execution) for execution in executions], len(executions))

    async def get_executions_for_task_type(self, pool: str, task_type: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions of a task type, newest first."""
        return (await self.get_executions_for_task_types([pool], task_type, limit))[pool]

    async def get_executions_for_task_types(
        self, pools: Sequence[str], task_type: str, limit: int
    ) -> Mapping[str, Sequence[Execution]]:
        """Returns the same for many pools by one query; each pool has its entry."""
        return await self._read_latest(pools, task_type, limit)

    async def get_agent_executions(self, pool: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions, newest first."""
        return (await self.get_executions_of_agents([pool], limit))[pool]

    async def get_executions_of_agents(self, pools: Sequence[str], limit: int) -> Mapping[str, Sequence[Execution]]:
        """Returns the same for many pools by one query; each pool has its entry."""
        return await self._read_latest(pools, None, limit)

    async def get_daily_aggregates(
        self, pool: str | None, task_type: str | None, since: date
    ) -> Sequence[DailyAggregate]:
        """Returns days of a pool and task type, of all where one is None, from a UTC day on, the oldest first."""
        day = write_date(since)
        gone, kept = await self._query(
            surql.select_days(has_pool=pool is not None, has_task_type=task_type is not None),
            pool=pool,
            task_type=task_type,
            day=day,
            since=write_time(EPOCH + day * DAY),
        )
        return merge_days(_read_day(row) for row in (*gone, *kept))

    async def sum_spend(self, pool: str, since: datetime) -> int:
        """Returns what a pool's executions that ended since then cost, in cents."""
        day = write_date(since.astimezone(UTC).date())
        return await self._read_number(surql.SPEND, pool=pool, since=write_time(since), day=day)

    async def find_known_cause(self, signature: str, namespace: str | None = None) -> KnownCause | None:
        """Returns what is known of an error, in one namespace or in all; None where it was never seen."""
        if not signature:
            return None
        seen, latest = await self._query(
            f"{surql.SEEN}; {surql.LATEST_OF_ERROR}", signature=signature, namespace=namespace or ""
        )
        if not latest:
            return None
        failed = {_unit(found): found.try_ for found in reversed([_read(row) for row in latest])}
        [solvers] = await self._query(surql.SOLVED_BY, units=list(failed))
        solved = (found for found in map(_read, solvers) if found.try_ > failed[_unit(found)])
        return KnownCause(
            signature=signature,
            seen=read_number(seen[0]["seen"]),  # type: ignore[arg-type]  # a count
            first_seen=read_time(seen[0]["first"]),  # type: ignore[arg-type]  # a time
            latest=_read(latest[0]),
            solved_by=next(solved, None),
        )

    async def find_executions(self, namespace: str, column: str, value: str, limit: int) -> Sequence[Execution]:
        """Returns a namespace's latest executions, newest first: those with a value, without a column all."""
        statement = surql.SELECT_BY_COLUMN[column] if column else surql.SELECT_BY_NAMESPACE
        [found] = await self._query(statement, namespace=namespace, value=value, limit=limit)
        return [_read(row) for row in found]

    async def count(self) -> int:
        """Returns how many executions are kept."""
        return await self._read_number(surql.COUNT)

    async def prune(self, before: datetime, keep: int) -> int:
        """Lets some of the oldest go that ended before then or are too many, after adding them to their days."""
        bound = (write_time(before) - 1, "~")  # which follows every id
        [too_many] = await self._query(surql.BOUND_OF_COUNT, keep=keep)
        if too_many:
            found = _read(too_many[0])
            bound = max(bound, (write_time(found.finished), found.id))
        [oldest] = await self._query(
            surql.OLDEST, finished=bound[0], id=RecordID("executions", bound[1]), limit=PRUNED_AT_ONCE
        )
        if not oldest:
            return 0
        ids = [RecordID("executions", row["id"]) for row in oldest]
        days = [_write_day(day) for day in sum_days(map(_read, oldest))]
        await self._connection.query(f"BEGIN; {surql.FOLD}; {surql.DELETE}; COMMIT", days=days, ids=ids)
        return len(ids)

    def export(self) -> AsyncGenerator[str, None]:
        """Yields everything as lines of JSON, which `import_` of any store takes."""
        return export_lines(self._read_page, self._read_days)

    async def import_(self, lines: AsyncIterable[str]) -> int:
        """Keeps what `export` gave and returns how many lines; raises ValueError that names a line which is none."""
        return await import_lines(lines, self.record, self._put_days)

    async def _connect(self) -> None:
        await self._connection.connect()
        migrations = read_migrations()
        [found] = await self._connection.query(surql.READ_VERSION)
        version = int(found) if isinstance(found, int) else 0
        if version > len(migrations):
            await self._connection.close()
            raise GraphUnavailable(f"the graph's schema {version} is newer than this operator's {len(migrations)}")
        for statements in migrations[version:]:
            await self._connection.query(statements)  # each says IF NOT EXISTS: two operators may do it at once
        await self._connection.query(surql.WRITE_VERSION, version=len(migrations))

    async def _commit(self, writes: Sequence[Sequence[Execution]]) -> None:
        rows = [_write(execution) for executions in writes for execution in executions]
        await self._connection.query(surql.UPSERT, rows=rows)

    async def _query(self, statements: str, **values: object) -> list[list[Record]]:
        if self.problem is not None:
            raise GraphUnavailable(self.problem)
        return [rows if isinstance(rows, list) else [] for rows in await self._connection.query(statements, **values)]

    async def _read_number(self, statement: str, **values: object) -> int:
        if self.problem is not None:
            raise GraphUnavailable(self.problem)
        [found] = await self._connection.query(statement, **values)
        return int(found) if isinstance(found, (int, float)) else 0

    async def _read_latest(
        self, pools: Sequence[str], task_type: str | None, limit: int
    ) -> dict[str, Sequence[Execution]]:
        names = list(dict.fromkeys(pools))
        if not names:
            return {}
        statements = (surql.select_latest(n, has_task_type=task_type is not None) for n in range(len(names)))
        values = {f"pool{number}": name for number, name in enumerate(names)}
        found = await self._query("; ".join(statements), **values, task_type=task_type, limit=limit)
        return {name: [_read(row) for row in rows] if name else [] for name, rows in zip(names, found, strict=True)}

    async def _read_page(self, after: str) -> Sequence[Execution]:
        [found] = await self._query(surql.PAGE, after=RecordID("executions", after), limit=_PAGE)
        return [_read(row) for row in found]

    async def _read_days(self) -> Sequence[DailyAggregate]:
        [found] = await self._query(surql.SELECT_DAYS)
        return [_read_day(row) for row in found]

    async def _put_days(self, days: Sequence[DailyAggregate]) -> None:
        if days:
            await self._connection.query(surql.PUT_DAY, days=[_write_day(day) for day in days])


def read_migrations() -> list[str]:
    """Returns each migration, in order: forward only, a released file is never changed."""
    folder = resources.files("vapora.adapters").joinpath("migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".surql")), key=lambda file: file.name)
    return [file.read_text("utf-8") for file in files]


def _unit(execution: Execution) -> str:
    return execution.id.rpartition("/")[0]


def _write(execution: Execution) -> Record:
    return dict(zip(EXECUTION_COLUMNS, write_execution(execution), strict=True)) | {"unit": _unit(execution)}


def _read(row: Record) -> Execution:
    return read_execution([row.get(name) for name in EXECUTION_COLUMNS])  # type: ignore[misc]  # the columns' types


def _write_day(day: DailyAggregate) -> Record:
    key = json.dumps([day.day.isoformat(), day.namespace, day.pool, day.task_type])
    return {"id": key, **dict(zip((*DAY_KEY, *DAY_SUMS), write_day(day), strict=True))}


def _read_day(row: Record) -> DailyAggregate:
    return read_day([row.get(name) for name in (*DAY_KEY, *DAY_SUMS)])  # type: ignore[misc]  # the columns' types
