"""The triggers redisList and redisStream."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.exceptions import RedisError

from vapora.adapters.resolver import Resolver
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known
from vapora.core.agentpool.triggers import Credentials, Probe, TriggerUnreadable

_PORT = 6379
_PAGE, _PAGES = 1000, 10  # entries of a stream that are counted one by one, where the server does not know the lag


async def read_list(resolver: Resolver, probe: Probe, credentials: Credentials) -> QueueDepth:
    """Counts a list; one that is not there is empty, as Redis has it."""
    async with _connected(resolver, probe, credentials) as client:
        counting = cast("Awaitable[int]", client.llen(probe.subject))  # typed for other clients, too
        return QueueDepth(Known(await counting), Known(0))


async def read_stream(resolver: Resolver, probe: Probe, credentials: Credentials) -> QueueDepth:
    """Counts the entries that a consumer group has not been given, and those that it holds.

    After entries were deleted, or a group set back, the server gives no lag; then the entries are counted.
    """
    async with _connected(resolver, probe, credentials) as client:
        for group in await client.xinfo_groups(probe.subject):
            if _text(group["name"]) == probe.group:
                lag = group.get("lag")
                waiting = await _count(client, probe.subject, _text(group["last-delivered-id"])) if lag is None else lag
                return QueueDepth(Known(int(waiting)), Known(int(group["pending"])))
    raise TriggerUnreadable(f"stream {probe.subject} has no group {probe.group}")


async def _count(client: Redis, stream: str, after: str) -> int:
    """Counts entries after an id; of more than are looked at, at least those are there."""
    found = 0
    for _ in range(_PAGES):
        page = await client.xrange(stream, min=f"({after}", count=_PAGE)
        found += len(page)
        if len(page) < _PAGE:
            break
        after = _text(page[-1][0])
    return found


@asynccontextmanager
async def _connected(resolver: Resolver, probe: Probe, credentials: Credentials) -> AsyncIterator[Redis]:
    parts = urlsplit(probe.url)
    database = parts.path.strip("/") or "0"
    if not database.isdecimal():
        raise TriggerUnreadable("the path of its url is no number of a database")
    pool = ConnectionPool(
        connection_class=_CheckedConnection,
        resolver=resolver,
        tls=ssl.create_default_context() if parts.scheme == "rediss" else None,
        host=parts.hostname,
        port=parts.port or _PORT,
        db=int(database),
        username=credentials.username or parts.username or None,
        password=credentials.password or None,
    )
    try:
        yield Redis(connection_pool=pool)
    except RedisError as problem:
        raise TriggerUnreadable(" ".join(str(problem).split())) from None
    except OSError as problem:
        raise TriggerUnreadable(f"no connection: {problem.strerror or problem}") from None
    finally:
        await pool.aclose()


class _CheckedConnection(Connection):
    """Connects to an address that the resolver allowed; a certificate is checked against the name in the URL."""

    def __init__(
        self,
        *,
        resolver: Resolver,
        tls: ssl.SSLContext | None,
        host: str,
        port: int,
        db: int,
        username: str | None,
        password: str | None,
    ) -> None:
        super().__init__(host=host, port=port, db=db, username=username, password=password)
        self._resolver = resolver
        self._tls = tls

    async def _connect(self) -> None:
        socket = await self._resolver.connect(self.host, self.port)
        if self._tls is None:
            self._reader, self._writer = await asyncio.open_connection(sock=socket)
        else:
            self._reader, self._writer = await asyncio.open_connection(
                sock=socket, ssl=self._tls, server_hostname=self.host
            )


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
