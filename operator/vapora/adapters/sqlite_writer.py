"""The one thread that writes to SQLite: it commits what many callers hand in together, and opens the file again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

from vapora.adapters.sql_graph import Change
from vapora.adapters.sqlite_readers import SqliteReaders
from vapora.adapters.sqlite_schema import describe_problem, is_damage, open_writer
from vapora.core.learning.execution import GraphUnavailable

log = logging.getLogger(__name__)

BATCH_ROWS = 500
WINDOW_SECONDS = 0.010
_LOOK_SECONDS = 2.0  # how often an idle store looks whether its file is still there
_RETRY_FIRST, _RETRY_MAX = 0.2, 5.0
_CLOSED = "the knowledge graph is closed"

FileIdentity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Write:
    changes: Sequence[Change]
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop

    @property
    def size(self) -> int:
        """Is how many rows it changes, about."""
        return sum(len(rows) for _, rows in self.changes)

    def settle(self, problem: GraphUnavailable | None) -> None:
        """Tells the caller, in its own thread, how it ended; a caller that is gone needs no answer."""
        if self.done.done():
            return
        if problem is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(problem)


class SqliteWriter:
    """Writes rows in group commits of 10 ms or 500 rows, and lets `readers` in while the file is sound."""

    def __init__(self, path: Path, readers: SqliteReaders) -> None:
        self.problem: str | None = "the knowledge graph is not open yet"
        self._path = path
        self._readers = readers
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._identity: FileIdentity | None = None
        self._is_suspect = False
        self._retry_after = 0.0
        self._retry_delay = _RETRY_FIRST
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Is true between start and stop."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_open(self) -> bool:
        """Is true while the file can be written."""
        return self._connection is not None

    def start(self) -> None:
        """Starts the thread, and waits for the first attempt to open the file."""
        if self.is_running:
            return
        has_tried = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[has_tried], name="knowledge-graph-writer", daemon=True)
        self._thread.start()
        has_tried.wait()

    def stop(self) -> None:
        """Writes what was handed in, closes the file and ends the thread."""
        if self._thread is None or not self.is_running:
            return
        self._queue.put(None)
        self._thread.join()
        with contextlib.suppress(queue.Empty):
            while True:  # what came after the end
                if late := self._queue.get_nowait():
                    _finish([late], GraphUnavailable(_CLOSED))

    async def write(self, changes: Sequence[Change]) -> None:
        """Returns once the changes, all or none of them, are durable; raises GraphUnavailable."""
        if not self.is_running:
            raise GraphUnavailable(self.problem or _CLOSED)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._queue.put(_Write(changes, done, loop))
        await done

    def report(self, problem: GraphUnavailable) -> None:
        """Takes note of an error that a reader met; a damaged file is closed and checked before it is used again."""
        if is_damage(problem.__cause__):
            self._is_suspect = True

    def _run(self, has_tried: threading.Event) -> None:
        self._identity = None
        self._open()
        has_tried.set()
        is_wanted = True
        while is_wanted:
            writes, is_wanted = self._gather()
            self._look()
            if writes:
                self._commit(writes)
        self.problem = _CLOSED
        self._close()

    def _gather(self) -> tuple[list[_Write], bool]:
        """Waits for writes and gathers what comes with them; says False once nothing will come any more."""
        try:
            first = self._queue.get(timeout=self._patience())
        except queue.Empty:
            return [], True
        if first is None:
            return [], False
        writes = [first]
        is_wanted, has_room = self._drain(writes)
        if is_wanted and has_room:
            time.sleep(WINDOW_SECONDS)  # to be woken by each that comes meanwhile would cost more than to write it
            is_wanted, _ = self._drain(writes)
        return writes, is_wanted

    def _drain(self, writes: list[_Write]) -> tuple[bool, bool]:
        """Adds what waits; says False once nothing will come any more, and whether there is room for more."""
        rows = sum(write.size for write in writes)
        while rows < BATCH_ROWS:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                return True, True
            if more is None:
                return False, False
            writes.append(more)
            rows += more.size
        return True, False

    def _patience(self) -> float:
        if self._connection is None:
            return max(0.0, self._retry_after - time.monotonic())
        return _LOOK_SECONDS

    def _look(self) -> None:
        """Closes a file that is gone, replaced or suspect, and opens it again when its time has come."""
        if self._connection is not None and self._is_suspect:
            self._fail(GraphUnavailable(f"{self._path}: the file is damaged"))
        if self._connection is not None and _identify(self._path) != self._identity:
            self._fail(GraphUnavailable(f"{self._path}: the file is gone or was replaced"))
        if self._connection is None and time.monotonic() >= self._retry_after:
            self._open()

    def _open(self) -> None:
        if self._identity is not None and _identify(self._path) is None:
            # An empty file in its place would hide that the history is lost, and block its return.
            gone = f"{self._path}: the file is gone; put it back, or restart the operator to begin a new one"
            self._fail(GraphUnavailable(gone))
            return
        try:
            self._connection = open_writer(self._path, is_suspect=self._is_suspect)
        except GraphUnavailable as problem:
            self._is_suspect = self._is_suspect or is_damage(problem.__cause__)
            self._fail(problem)
            return
        self._identity = _identify(self._path)
        self._is_suspect = False
        self._retry_delay = _RETRY_FIRST
        self._readers.open()
        if self.problem is not None:
            log.info("knowledge graph opened", extra={"path": str(self._path)})
        self.problem = None

    def _fail(self, problem: GraphUnavailable) -> None:
        self._close()
        if self.problem != str(problem):
            log.warning("knowledge graph unavailable", extra={"problem": str(problem)})
        self.problem = str(problem)
        self._retry_after = time.monotonic() + self._retry_delay
        self._retry_delay = min(self._retry_delay * 2, _RETRY_MAX)

    def _close(self) -> None:
        self._readers.shut()
        if self._connection is None:
            return
        if _identify(self._path) != self._identity:
            # SQLite leaves the log of a file that was moved behind, and would apply it to the one that comes instead.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
        self._connection = None

    def _commit(self, writes: Sequence[_Write]) -> None:
        problem: GraphUnavailable | None = None
        if self._connection is None:
            problem = GraphUnavailable(self.problem or "it is closed")
        else:
            try:
                self._carry_out(self._connection, writes)
            except sqlite3.Error as error:
                self._is_suspect = is_damage(error)
                problem = describe_problem(self._path, error)
            else:
                if _identify(self._path) != self._identity:  # written, but into a file that nobody can open again
                    problem = GraphUnavailable(f"{self._path}: the file is gone or was replaced")
            if problem is not None:
                self._fail(problem)
        _finish(writes, problem)

    def _carry_out(self, connection: sqlite3.Connection, writes: Sequence[_Write]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            changes = chain.from_iterable(write.changes for write in writes)
            for statement, alike in groupby(changes, key=itemgetter(0)):
                connection.executemany(statement, chain.from_iterable(rows for _, rows in alike))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _finish(writes: Sequence[_Write], problem: GraphUnavailable | None) -> None:
    """Tells callers how it ended; each loop is woken once."""
    for loop in {write.loop for write in writes}:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_settle, [write for write in writes if write.loop is loop], problem)


def _settle(writes: Sequence[_Write], problem: GraphUnavailable | None) -> None:
    for write in writes:
        write.settle(problem)


def _identify(path: Path) -> FileIdentity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino)
