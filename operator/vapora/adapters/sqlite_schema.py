"""The SQLite file of the knowledge graph: how it is opened, checked and brought to the present schema."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from vapora.adapters.sql_statements import read_migrations
from vapora.core.learning.execution import GraphUnavailable

BUSY_SECONDS = 5.0

MIGRATIONS = read_migrations()


def open_writer(path: Path, *, is_suspect: bool) -> sqlite3.Connection:
    """Opens the file for writing and migrates it; raises GraphUnavailable with the cause.

    A write is tried, so that a full or read-only disk shows at once. A suspect file, one that was found damaged, is
    checked throughout first.
    """
    if not path.parent.is_dir():
        raise GraphUnavailable(f"the folder {path.parent} does not exist")
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        if is_suspect:
            _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection)
    except (sqlite3.Error, GraphUnavailable) as problem:
        if connection is not None:
            connection.close()
        raise describe_problem(path, problem) from problem
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Opens the file for reading; raises sqlite3.Error."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def describe_problem(path: Path, problem: Exception) -> GraphUnavailable:
    """Returns what is wrong with the file, in words that name it."""
    return GraphUnavailable(f"{path}: {problem}")


def is_damage(problem: BaseException | None) -> bool:
    """Whether an error says that the file's content is not what SQLite wrote."""
    return isinstance(problem, sqlite3.DatabaseError) and not isinstance(
        problem, (sqlite3.OperationalError, sqlite3.IntegrityError, sqlite3.ProgrammingError)
    )


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found is None or found[0] != "ok":
        raise GraphUnavailable(f"the file is damaged: {found[0] if found else 'no answer'}")


def _read_version(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    version = int(row[0] or 0)
    if version > len(MIGRATIONS):
        raise GraphUnavailable(f"its schema {version} is newer than this operator's {len(MIGRATIONS)}")
    return version


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        for statements in MIGRATIONS[_read_version(connection) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute("DELETE FROM schema_version")  # writes always, which proves that the file can be written
        connection.execute("INSERT INTO schema_version (version) VALUES (?)", (len(MIGRATIONS),))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
