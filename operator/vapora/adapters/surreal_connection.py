"""A connection to SurrealDB, of which only `query_raw` is used: `query` drops the results of all statements but one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol, cast
from urllib.parse import unquote, urlsplit

import aiohttp
from surrealdb import AsyncSurreal
from surrealdb.errors import SurrealError

from vapora.adapters.graph_url import describe_address
from vapora.core.learning.execution import GraphUnavailable

_SECONDS = 10.0
_TRIES = 6
_PAUSE = 0.02
_PROBLEMS = (SurrealError, aiohttp.ClientError, OSError, TimeoutError, RuntimeError, ValueError)
_CONFLICTS = ("can be retried", "read or write conflict", "transaction conflict")
# What the server says of statements beside the one that failed.
_ECHOES = ("not executed due to", "cancelled transaction")


class _Client(Protocol):
    """Is what is used of the library's connections, of which each kind is a class of its own."""

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def signin(self, vars: dict[str, str]) -> object: ...  # noqa: A002 - the library's name

    async def use(self, namespace: str, database: str) -> None: ...

    async def query_raw(self, query: str, params: Mapping[str, object]) -> Mapping[str, object]: ...


class _Refused(Exception):
    """Says what the server said of a statement."""


class SurrealConnection:
    """Runs statements in one database; the address is a server's, or one of the library's own engine.

    The last two parts of its path are namespace and database.
    """

    def __init__(self, url: str, password: str | None) -> None:
        parts = urlsplit(url)
        path, self._namespace, self._database = parts.path.rsplit("/", 2)
        self._base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
        self._user = unquote(parts.username or "")
        self._password = password or unquote(parts.password or "")
        self._address = describe_address(url)
        self._client: _Client | None = None

    async def connect(self) -> None:
        """Connects anew; raises GraphUnavailable."""
        await self.close()
        try:
            async with asyncio.timeout(_SECONDS):
                client = cast("_Client", AsyncSurreal(self._base))
                if urlsplit(self._base).scheme not in {"http", "https"}:
                    await client.connect()
                if self._user:
                    await self._sign_in(client)
                await client.use(self._namespace, self._database)
        except _PROBLEMS as problem:
            raise self._describe(problem) from problem
        self._client = client

    async def close(self) -> None:
        """Lets go of the connection."""
        client, self._client = self._client, None
        if client is not None and urlsplit(self._base).scheme not in {"http", "https"}:
            await client.close()

    async def query(self, statements: str, **values: object) -> Sequence[object]:
        """Returns the result of each statement; raises GraphUnavailable. What conflicts with others is tried again."""
        for attempt in range(1, _TRIES + 1):
            try:
                async with asyncio.timeout(_SECONDS):
                    return await self._ask(statements, values)
            except _Refused as refusal:
                words = str(refusal)
                if attempt == _TRIES or not any(sign in words.lower() for sign in _CONFLICTS):
                    raise self._describe(refusal) from refusal
            except _PROBLEMS as problem:
                raise self._describe(problem) from problem
            await asyncio.sleep(_PAUSE * attempt)
        raise AssertionError  # the last round returns or raises

    async def _ask(self, statements: str, values: Mapping[str, object]) -> Sequence[object]:
        if self._client is None:
            raise GraphUnavailable(f"{self._address}: there is no connection")
        answer = await self._client.query_raw(statements, values)
        results = answer.get("result")
        if not isinstance(results, list):
            raise _Refused(_read_refusal(answer))
        failed = [str(each.get("result")) for each in results if each.get("status") != "OK"]
        if failed:
            raise _Refused(next((words for words in failed if not any(e in words for e in _ECHOES)), failed[0]))
        return [each.get("result") for each in results]

    async def _sign_in(self, client: _Client) -> None:
        """Signs in as a user of the database, else as one of the server."""
        named = {"username": self._user, "password": self._password}
        try:
            await client.signin({**named, "namespace": self._namespace, "database": self._database})
        except SurrealError:
            await client.signin(named)

    def _describe(self, problem: BaseException) -> GraphUnavailable:
        words = " ".join(str(problem).split()) or f"no answer in {_SECONDS:.0f} s"
        return GraphUnavailable(f"{self._address}: {words}")


def _read_refusal(answer: Mapping[str, object]) -> str:
    said = answer.get("error")
    return str(said.get("message") or said) if isinstance(said, Mapping) else "the server gave no answer"
