"""Connections that read a SQLite file beside its writer."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from vapora.adapters.sql_rows import Row
from vapora.adapters.sqlite_schema import describe_problem, open_reader
from vapora.core.learning.execution import GraphUnavailable


class SqliteReaders:
    """Keeps connections for threads that read. They are shut whenever the writer closes the file.

    A connection that stayed open would keep the write-ahead log in place, and SQLite would apply it to whatever file
    stands under that name afterwards.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_open = False
        self._idle: list[sqlite3.Connection] = []
        self._busy = 0
        self._changed = threading.Condition()

    def select(self, statement: str, values: Row) -> list[Row]:
        """Returns the rows of a query; raises GraphUnavailable."""
        try:
            connection = self._take()
        except sqlite3.Error as problem:
            self._give(None)
            raise describe_problem(self._path, problem) from problem
        try:
            rows: list[Row] = connection.execute(statement, values).fetchall()
        except sqlite3.Error as problem:
            connection.close()
            self._give(None)
            raise describe_problem(self._path, problem) from problem
        self._give(connection)
        return rows

    @property
    def connections(self) -> int:
        """Is how many connections are open."""
        return self._busy + len(self._idle)

    def open(self) -> None:
        """Lets readers in."""
        with self._changed:
            self._is_open = True

    def shut(self) -> None:
        """Lets no more readers in, waits for those that read, and closes their connections."""
        with self._changed:
            self._is_open = False
            self._changed.wait_for(lambda: not self._busy)
            while self._idle:
                self._idle.pop().close()

    def _take(self) -> sqlite3.Connection:
        with self._changed:
            if not self._is_open:
                raise GraphUnavailable(f"{self._path}: the file is not open")
            self._busy += 1
            if self._idle:
                return self._idle.pop()
        return open_reader(self._path)

    def _give(self, connection: sqlite3.Connection | None) -> None:
        with self._changed:
            self._busy -= 1
            if connection is not None:
                self._idle.append(connection)
            self._changed.notify_all()
