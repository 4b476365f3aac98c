"""The knowledge graph in a PostgreSQL database, in a schema of its own: for operators on more than one machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from itertools import chain, groupby
from typing import Protocol

import asyncpg

from vapora.adapters.graph_url import describe_address
from vapora.adapters.group_commit import CLOSED, GroupCommit
from vapora.adapters.sql_graph import Change, SqlGraph
from vapora.adapters.sql_rows import Row, read_number
from vapora.adapters.sql_statements import LATEST_OF_POOLS, LATEST_OF_TASK_TYPE, read_migrations
from vapora.core.learning.execution import GraphUnavailable

SCHEMA = "vapora_graph"
_READERS = 4
_SIZE = "SELECT pg_total_relation_size('executions') + pg_total_relation_size('days')"
_SECONDS = 10.0  # for one statement, and to connect
_TRIES = 5
_LOCK = int.from_bytes(b"graph")  # any number that is the same for all operators
_PROBLEMS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError)
_CONFLICTS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


class _Connection(Protocol):
    """Is what is used of asyncpg's, which has no types."""

    async def execute(self, query: str, *args: object) -> str: ...

    async def executemany(self, query: str, args: Sequence[Row]) -> None: ...

    async def fetch(self, query: str, *args: object) -> Sequence[Row]: ...

    async def fetchval(self, query: str, *args: object) -> int | None: ...

    def transaction(self, *, isolation: str = "read_committed") -> AbstractAsyncContextManager[None]: ...


class _Pool(Protocol):
    """Is what is used of asyncpg's."""

    def acquire(self, *, timeout: float) -> AbstractAsyncContextManager[_Connection]: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...

    def get_size(self) -> int: ...


class PostgresGraph(SqlGraph):
    """Is KnowledgeGraph over one database: one connection writes what came together, others read.

    A server that cannot be reached, or refuses, shows in `problem` and is tried again in the background.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        self._url = url
        self._password = password
        self._pool: _Pool | None = None
        self._writer: GroupCommit[Sequence[Change]] = GroupCommit(self._connect, self._commit)

    @property
    def problem(self) -> str | None:
        """Says why the store cannot be used; None while it can."""
        return self._writer.problem

    @property
    def connections(self) -> int:
        """Is how many connections to the server are open."""
        return self._pool.get_size() if self._pool is not None else 0

    async def measure(self) -> int | None:
        """Returns the bytes of the tables and their indexes."""
        return read_number((await self._read(_SIZE))[0][0])

    async def open(self) -> None:
        """Opens the store; one that cannot be reached shows in `problem` and is tried again. An open one stays so."""
        await self._writer.start()

    async def close(self) -> None:
        """Writes what was handed in, if that is possible at once, and lets go of the connections."""
        await self._writer.stop()
        await self._disconnect()

    async def _change(self, changes: Sequence[Change]) -> None:
        await self._writer.write(changes, sum(len(rows) for _, rows in changes))

    async def _read_latest(self, pools: Sequence[str], task_type: str | None, limit: int) -> Sequence[Row]:
        if task_type is None:
            return await self._read(LATEST_OF_POOLS, (limit, pools))
        return await self._read(LATEST_OF_TASK_TYPE, (limit, pools, task_type))

    async def _read(self, statement: str, values: Sequence[object] = ()) -> Sequence[Row]:
        if self._pool is None:
            raise GraphUnavailable(self.problem or CLOSED)
        try:
            async with self._pool.acquire(timeout=_SECONDS) as connection:
                return await connection.fetch(_translate(statement), *values)
        except _PROBLEMS as problem:
            raise self._describe(problem) from problem

    async def _commit(self, writes: Sequence[Sequence[Change]]) -> None:
        together = [
            (_translate(statement), [row for _, rows in group for row in rows])
            for statement, group in groupby(chain.from_iterable(writes), key=lambda change: change[0])
        ]
        for attempt in range(1, _TRIES + 1):
            try:
                await self._transact(together)
            except _CONFLICTS as conflict:
                if attempt == _TRIES:
                    raise self._describe(conflict) from conflict
            except _PROBLEMS as problem:
                await self._disconnect()
                raise self._describe(problem) from problem
            else:
                return

    async def _transact(self, changes: Sequence[Change]) -> None:
        if self._pool is None:
            raise GraphUnavailable(self.problem or CLOSED)
        async with (
            self._pool.acquire(timeout=_SECONDS) as connection,
            # What is deleted must be what was added up, whoever else writes.
            connection.transaction(isolation="repeatable_read"),
        ):
            for statement, rows in changes:
                await connection.executemany(statement, rows)

    async def _connect(self) -> None:
        await self._disconnect()
        settings = {"application_name": "vapora-operator", "search_path": SCHEMA, "synchronous_commit": "on"}
        pool: _Pool | None = None
        try:
            pool = await asyncpg.create_pool(
                self._url,
                password=self._password,
                min_size=1,
                max_size=1 + _READERS,
                timeout=_SECONDS,
                command_timeout=_SECONDS,
                server_settings=settings,
                reset=_keep_session,
            )
            async with pool.acquire(timeout=_SECONDS) as connection:
                await _migrate(connection)
        except (*_PROBLEMS, GraphUnavailable) as problem:
            if pool is not None:
                pool.terminate()
            raise self._describe(problem) from problem
        self._pool = pool

    async def _disconnect(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(_SECONDS):
                await pool.close()
        except _PROBLEMS:
            pool.terminate()

    def _describe(self, problem: BaseException) -> GraphUnavailable:
        words = " ".join(str(problem).split()) or f"no answer in {_SECONDS:.0f} s"
        return GraphUnavailable(f"{describe_address(self._url)}: {words}")


async def _keep_session(_: _Connection) -> None:
    """Leaves out what asyncpg asks of the server whenever a connection was used: nothing here changes a session."""


async def _migrate(connection: _Connection) -> None:
    migrations = read_migrations()
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if not await connection.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", SCHEMA):
            await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        if not await connection.fetchval("SELECT 1 FROM pg_tables WHERE schemaname = $1", SCHEMA):
            await connection.execute("CREATE TABLE schema_version (version BIGINT NOT NULL)")
        version = int(await connection.fetchval("SELECT max(version) FROM schema_version") or 0)
        if version > len(migrations):
            raise GraphUnavailable(f"its schema {version} is newer than this operator's {len(migrations)}")
        for statements in migrations[version:]:
            for statement in statements:
                # Text is compared by its bytes, as SQLite does: an index then serves ranges of ids, too.
                await connection.execute(re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', statement))
        if version < len(migrations):
            await connection.execute("DELETE FROM schema_version")
            await connection.execute("INSERT INTO schema_version (version) VALUES ($1)", len(migrations))


@lru_cache(maxsize=256)
def _translate(statement: str) -> str:
    return re.sub(r"\?(\d+)", r"$\1", statement)
