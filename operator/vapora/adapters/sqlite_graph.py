"""The knowledge graph in a SQLite file: for one operator, on a disk of its own, never on a network file system."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vapora.adapters.sqlite_readers import SqliteReaders
from vapora.adapters.sqlite_rows import (
    COUNT,
    SELECT_BY_COLUMN,
    SELECT_BY_NAMESPACE,
    SELECT_BY_POOL,
    SELECT_BY_TASK_TYPE,
    Row,
    read_row,
    write_row,
)
from vapora.adapters.sqlite_writer import SqliteWriter
from vapora.core.learning.execution import Execution, GraphUnavailable, clamp

_READER_THREADS = 2


class SqliteGraph:
    """Is KnowledgeGraph over one file: one thread writes, others read beside it (WAL).

    A file that cannot be opened, written or trusted makes calls raise GraphUnavailable and shows in `problem`; it is
    tried again in the background. A file that vanishes under a running operator is waited for.
    """

    def __init__(self, path: Path) -> None:
        self._readers = SqliteReaders(path)
        self._writer = SqliteWriter(path, self._readers)
        self._executor: ThreadPoolExecutor | None = None

    @property
    def problem(self) -> str | None:
        """Says why the store cannot be used; None while it can."""
        return self._writer.problem

    async def open(self) -> None:
        """Opens the store; one that cannot be opened shows in `problem` and is tried again. An open one stays so."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_READER_THREADS, thread_name_prefix="knowledge-graph-reader")
        await asyncio.to_thread(self._writer.start)

    async def close(self) -> None:
        """Writes what was handed in and closes the file."""
        await asyncio.to_thread(self._writer.stop)
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown)

    async def record(self, executions: Sequence[Execution]) -> None:
        """Keeps executions by id, durably when it returns; what a repeated one does not say any more stays."""
        if executions:
            await self._writer.write([write_row(clamp(execution)) for execution in executions])

    async def get_executions_for_task_type(self, pool: str, task_type: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions of a task type, newest first."""
        return [read_row(row) for row in await self._read(SELECT_BY_TASK_TYPE, (pool, task_type, limit))]

    async def get_agent_executions(self, pool: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions, newest first."""
        return [read_row(row) for row in await self._read(SELECT_BY_POOL, (pool, limit))]

    async def find_executions(self, namespace: str, column: str, value: str, limit: int) -> Sequence[Execution]:
        """Returns a namespace's latest executions, newest first: those with a value, without a column all."""
        statement = SELECT_BY_COLUMN[column] if column else SELECT_BY_NAMESPACE
        values = (namespace, value, limit) if column else (namespace, limit)
        return [read_row(row) for row in await self._read(statement, values)]

    async def count(self) -> int:
        """Returns how many executions are kept."""
        rows = await self._read(COUNT, ())
        return int(rows[0][0] or 0)

    async def _read(self, statement: str, values: Row) -> list[Row]:
        if self._executor is None or self.problem is not None:
            raise GraphUnavailable(self.problem or "the knowledge graph is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._select, statement, values)

    def _select(self, statement: str, values: Row) -> list[Row]:
        try:
            return self._readers.select(statement, values)
        except GraphUnavailable as problem:
            self._writer.report(problem)
            raise
