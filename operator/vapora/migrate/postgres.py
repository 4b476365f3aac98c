"""A PostgreSQL database that is migrated, over its own protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import asyncpg

from vapora.migrate.files import Migration, MigrationError

CONNECT_SECONDS = 30.0
# Any number that is the same for all runs; the letters of "vapora".
_LOCK = int.from_bytes(b"vapora")
_RECORD = """
CREATE TABLE IF NOT EXISTS vapora_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class Connection(Protocol):
    """Is what is used of asyncpg's, which has no types."""

    async def execute(self, query: str, *args: object) -> str:
        """Runs statements; several only where there are no arguments."""
        ...

    async def fetch(self, query: str) -> Sequence[Mapping[str, str]]:
        """Returns rows."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Commits at the end, or rolls back."""
        ...

    def is_in_transaction(self) -> bool:
        """Says whether the server is in a transaction."""
        ...


class PostgresStore:
    """Is Store; it holds a lock of the database for as long as it is connected, so that one run waits for another."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read_record(self) -> Mapping[str, str]:
        """Returns the checksums by name."""
        try:
            await self._connection.execute(_RECORD)
            rows = await self._connection.fetch("SELECT name, checksum FROM vapora_migrations")
        except asyncpg.PostgresError as refusal:
            raise MigrationError(f"the record vapora_migrations cannot be read: {refusal}") from refusal
        return {row["name"]: row["checksum"] for row in rows}

    async def apply(self, migration: Migration) -> bool:
        """Applies and records a migration in one transaction."""
        connection = self._connection
        try:
            async with connection.transaction():
                await connection.execute(migration.text)
                if not connection.is_in_transaction():
                    raise MigrationError(f"{migration.name} ends its transaction itself; each file is one already")
                insert = "INSERT INTO vapora_migrations (name, checksum) VALUES ($1, $2)"
                await connection.execute(insert, migration.name, migration.checksum)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as refusal:
            raise MigrationError(f"{migration.name}{_find_line(migration.text, refusal)}: {refusal}") from refusal
        return True


@asynccontextmanager
async def connected(
    url: str, user: str | None, password: str | None, database: str | None
) -> AsyncIterator[PostgresStore]:
    """Connects, and waits until no other run is at it; what is None is read from the URL."""
    try:
        connection = await asyncpg.connect(
            url, user=user, password=password, database=database, timeout=CONNECT_SECONDS
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as refusal:
        raise MigrationError(f"the database cannot be reached: {refusal or type(refusal).__name__}") from refusal
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        yield PostgresStore(connection)
    finally:
        await connection.close()


def _find_line(text: str, refusal: Exception) -> str:
    """Says in which line the server found the mistake; empty where it does not say."""
    position = getattr(refusal, "position", None)
    return f", line {text.count(chr(10), 0, int(position) - 1) + 1}" if position else ""
