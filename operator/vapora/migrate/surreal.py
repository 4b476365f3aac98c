"""A SurrealDB database that is migrated, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import httpx

from vapora.migrate.course import check_unchanged
from vapora.migrate.files import Migration, MigrationError

TIMEOUT = httpx.Timeout(30.0, read=600.0)  # an index over what is there takes its time
TRIES = 5
RECORD = "vapora_migrations"
# What the server says of statements beside the one that failed.
_ECHOES = ("not executed due to", "cancelled transaction")


class SurrealStore:
    """Is Store; the record's key makes the transaction of the second of two runs fail.

    `client` has the server's address and the credentials.
    """

    def __init__(self, client: httpx.AsyncClient, namespace: str, database: str) -> None:
        self._client = client
        self._names = (_quote(namespace), _quote(database))
        # Both generations of names: those of version 1, and those since.
        names = {"ns": namespace, "db": database}
        self._headers = {
            "Accept": "application/json",
            **names,
            **{f"surreal-{name}": value for name, value in names.items()},
        }

    async def read_record(self) -> Mapping[str, str]:
        """Returns the checksums by name; the namespace and the database are made too where they are not there."""
        namespace, database = self._names
        select = f"DEFINE TABLE IF NOT EXISTS {RECORD} SCHEMALESS; SELECT name, checksum FROM {RECORD};"  # noqa: S608  # a constant
        try:
            results = await self._query(select)
        except MigrationError as refusal:
            if "does not exist" not in str(refusal):
                raise
            await self._query(f"DEFINE NAMESPACE IF NOT EXISTS {namespace};")
            await self._query(f"DEFINE DATABASE IF NOT EXISTS {database};")
            results = await self._query(select)
        rows = results[-1].get("result") if results else None
        return {str(row["name"]): str(row["checksum"]) for row in rows} if isinstance(rows, list) else {}

    async def apply(self, migration: Migration) -> bool:
        """Applies and records a migration in one transaction, which another run's may win."""
        name = json.dumps(migration.name, ensure_ascii=False)
        row = f"{{id: {name}, name: {name}, checksum: '{migration.checksum}', applied_at: time::now()}}"
        # All before the text is in its first line, as the server tells lines.
        statements = f"BEGIN TRANSACTION; CREATE {RECORD} CONTENT {row}; {migration.text}\n; COMMIT TRANSACTION;"
        for attempt in range(1, TRIES + 1):
            try:
                await self._query(statements)
            except MigrationError as refusal:
                record = await self.read_record()
                if migration.name in record:
                    check_unchanged(migration, record)
                    return False
                if attempt == TRIES or "can be retried" not in str(refusal):
                    raise MigrationError(f"{migration.name}: {refusal}") from refusal
            else:
                return True
        raise AssertionError  # the last round returns or raises

    async def _query(self, statements: str) -> Sequence[Mapping[str, object]]:
        try:
            answer = await self._client.post("/sql", content=statements.encode(), headers=self._headers)
        except httpx.HTTPError as problem:
            raise MigrationError(f"the database cannot be reached: {problem or type(problem).__name__}") from problem
        results = _read_json(answer)
        if answer.status_code != httpx.codes.OK or not isinstance(results, list):
            raise MigrationError(_describe_refusal(answer, results))
        rows = [row for row in results if isinstance(row, dict)]
        failed = [str(row.get("result")) for row in rows if row.get("status") != "OK"]
        if failed:
            raise MigrationError(next((words for words in failed if not any(e in words for e in _ECHOES)), failed[0]))
        return rows


def _read_json(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None


def _describe_refusal(answer: httpx.Response, body: object) -> str:
    words = body.get("information") or body.get("description") if isinstance(body, dict) else answer.text
    return f"the database answered {answer.status_code}: {str(words)[:512]}"


def _quote(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
