"""The knowledge graph in a SQLite file: for one operator, on a disk of its own, never on a network file system."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vapora.adapters.sql_graph import Change, SqlGraph
from vapora.adapters.sql_rows import Row, read_number
from vapora.adapters.sql_statements import select_latest
from vapora.adapters.sqlite_readers import SqliteReaders
from vapora.adapters.sqlite_writer import SqliteWriter
from vapora.core.learning.execution import GraphUnavailable

_READER_THREADS = 2
_MOST_POOLS = 400  # in one statement, which may have 500 parts
_SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"


class SqliteGraph(SqlGraph):
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

    @property
    def connections(self) -> int:
        """Is how many connections to the file are open."""
        return self._writer.is_open + self._readers.connections

    async def measure(self) -> int | None:
        """Returns the bytes of the file."""
        return read_number((await self._read(_SIZE))[0][0])

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

    async def _change(self, changes: Sequence[Change]) -> None:
        await self._writer.write(changes)

    async def _read_latest(self, pools: Sequence[str], task_type: str | None, limit: int) -> Sequence[Row]:
        values = (limit,) if task_type is None else (limit, task_type)
        found: list[Row] = []
        for first in range(0, len(pools), _MOST_POOLS):
            part = pools[first : first + _MOST_POOLS]
            statement = select_latest(len(part), has_task_type=task_type is not None)
            found += await self._read(statement, (*values, *part))
        return found

    async def _read(self, statement: str, values: Row = ()) -> Sequence[Row]:
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
