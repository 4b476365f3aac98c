"""The trigger postgres: the number that a query gives."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from vapora.adapters.resolver import Resolver
from vapora.adapters.trigger_http import build_depth
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.triggers import Credentials, Probe, TriggerUnreadable

_PORT = 5432
_MILLISECONDS = "4000"  # after which the server gives up a query; the reading has 5 s


async def read_query(resolver: Resolver, probe: Probe, credentials: Credentials) -> QueueDepth:
    """Runs a query that changes nothing; no row, or a null, is unknown, not 0."""
    parts = urlsplit(probe.url)
    host, port = parts.hostname or "", parts.port or _PORT
    try:
        addresses = await resolver.resolve(host, port)
        connection = await asyncpg.connect(
            host=list(addresses),
            port=port,
            user=credentials.username or unquote(parts.username or "") or "postgres",
            password=credentials.password,
            database=unquote(parts.path.strip("/")) or "postgres",
            ssl=_choose_tls(host, parse_qs(parts.query).get("sslmode", ["prefer"])[0]),
            statement_cache_size=0,
            server_settings={"application_name": "vapora-operator", "statement_timeout": _MILLISECONDS},
        )
        try:
            async with connection.transaction(readonly=True):
                row: Sequence[object] | None = await connection.fetchrow(probe.subject)
        finally:
            connection.terminate()
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
        raise TriggerUnreadable(" ".join(str(problem).split())) from None
    except OSError as problem:
        raise TriggerUnreadable(f"no connection: {problem.strerror or problem}") from None
    if row is None or len(row) == 0:
        raise TriggerUnreadable("the query gives no row")
    return build_depth(float(row[0]) if isinstance(row[0], Decimal) else row[0])


def _choose_tls(host: str, mode: str) -> str | bool | ssl.SSLContext:
    if mode == "verify-full":
        return _NamedContext(host)
    if mode in {"prefer", "require"}:
        return mode
    if mode == "disable":
        return False
    raise TriggerUnreadable(f"sslmode {mode}: allowed are disable, prefer, require and verify-full")


class _NamedContext(ssl.SSLContext):
    """Checks a certificate against the name in the URL, although the connection goes to a checked address."""

    def __new__(cls, _: str) -> _NamedContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, name: str) -> None:
        self.load_default_certs()
        self._name = name

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  # the signature is the standard library's
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Wraps as the parent does, for the name."""
        return super().wrap_bio(incoming, outgoing, server_side, self._name or server_hostname, session)
