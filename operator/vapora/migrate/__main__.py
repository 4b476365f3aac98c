"""`python -m vapora.migrate FOLDER FILE...`: applies files to the database that the environment names.

MIGRATE_URL is `postgres://host:5432/database` or `http://host:8000/namespace/database`, with user and password or
without. Otherwise these are POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, or SURREAL_USER and SURREAL_PASS, as the
databases' own images have them. The last line says what was applied, as JSON; or, with exit code 1, what was wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from vapora.migrate.course import Outcome, migrate
from vapora.migrate.files import Migration, MigrationError, read_migrations
from vapora.migrate.postgres import connected
from vapora.migrate.surreal import TIMEOUT, SurrealStore

TERMINATION_LOG = Path("/dev/termination-log")
_SURREAL_PARTS = 2  # of a path: namespace, database


def main() -> int:
    """Returns the exit code."""
    try:
        outcome = asyncio.run(run(os.environ, sys.argv[1:]))
    except MigrationError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    words = json.dumps(asdict(outcome))
    sys.stdout.write(f"{words}\n")
    if TERMINATION_LOG.exists():  # in a container: where Kubernetes takes its last words from
        with contextlib.suppress(OSError):
            TERMINATION_LOG.write_text(words)
    return 0


async def run(environment: Mapping[str, str], arguments: Sequence[str]) -> Outcome:
    """Applies the files of the arguments; raises MigrationError."""
    if not arguments:
        raise MigrationError("no folder is named: python -m vapora.migrate FOLDER FILE...")
    migrations = read_migrations(Path(arguments[0]), arguments[1:])
    url = environment.get("MIGRATE_URL", "")
    scheme = url.partition(":")[0]
    if scheme in {"postgres", "postgresql"}:
        return await _migrate_postgres(url, environment, migrations)
    if scheme in {"http", "https"}:
        return await _migrate_surreal(url, environment, migrations)
    raise MigrationError(f"MIGRATE_URL begins with {scheme!r}; allowed are postgres, postgresql, http, https")


async def _migrate_postgres(url: str, environment: Mapping[str, str], migrations: Sequence[Migration]) -> Outcome:
    parts = _split(url)
    user = None if parts.username else environment.get("POSTGRES_USER")
    password = None if parts.password else environment.get("POSTGRES_PASSWORD")
    database = None if parts.path.strip("/") else environment.get("POSTGRES_DB")
    async with connected(url, user, password, database) as store:
        return await migrate(store, migrations)


async def _migrate_surreal(url: str, environment: Mapping[str, str], migrations: Sequence[Migration]) -> Outcome:
    parts = _split(url)
    names = [unquote(name) for name in parts.path.strip("/").split("/")]
    if len(names) != _SURREAL_PARTS or not all(names):
        raise MigrationError("MIGRATE_URL must name a namespace and a database: http://host:8000/namespace/database")
    user = unquote(parts.username or "") or environment.get("SURREAL_USER", "")
    password = unquote(parts.password or "") or environment.get("SURREAL_PASS", "")
    host = parts.netloc.rpartition("@")[2]
    auth = httpx.BasicAuth(user or "root", password) if user or password else None
    async with httpx.AsyncClient(base_url=f"{parts.scheme}://{host}", auth=auth, timeout=TIMEOUT) as client:
        return await migrate(SurrealStore(client, *names), migrations)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # which is parsed only when it is asked for
    except ValueError as problem:  # its words may hold the password
        raise MigrationError("MIGRATE_URL is no address: it cannot be parsed") from problem
    return parts


if __name__ == "__main__":
    sys.exit(main())
