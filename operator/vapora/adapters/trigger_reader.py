"""Reads the triggers of pools, each in the few seconds that it has, with the credentials of its Secret."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping

from vapora.adapters.resolver import AddressForbidden, Resolver
from vapora.adapters.trigger_http import HttpGet, read_json, read_prometheus
from vapora.controller.ports import SecretReader, SecretUnavailable
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.triggers import (
    HTTP,
    POSTGRES,
    PROMETHEUS,
    REDIS_LIST,
    REDIS_STREAM,
    Credentials,
    Probe,
    TriggerUnreadable,
)
from vapora.core.calls import Account, Answer, HttpCall, SecretRef

SECONDS = 5.0  # that one reading may take
_SECRET_KEPT = 30.0  # seconds; each reading would else be a request to the API server, too

_WEB = {PROMETHEUS: read_prometheus, HTTP: read_json}
_Read = Callable[[Resolver, Probe, Credentials], Awaitable[QueueDepth]]


class OutsideReader:
    """Is TriggerReader for Redis, PostgreSQL, Prometheus and HTTP.

    It connects only to addresses that steps may call, and reads Secrets with the rights of the pool's agents.
    """

    def __init__(
        self, resolver: Resolver, secrets: SecretReader, call: Callable[[HttpCall, Account], Awaitable[Answer]]
    ) -> None:
        self._secrets = secrets
        self._call = call
        self._known: dict[tuple[Account, SecretRef], tuple[float, str]] = {}
        self._resolver = resolver

    async def read(self, account: Account, probe: Probe) -> QueueDepth:
        """Returns what is waiting and at work, or raises TriggerUnreadable."""
        try:
            async with asyncio.timeout(SECONDS):
                credentials = await self._read_credentials(account, probe)
                if probe.type in _WEB:
                    return await _WEB[probe.type](self._build_get(account, credentials), probe)
                return await _load(probe.type)(self._resolver, probe, credentials)
        except SecretUnavailable as problem:
            raise TriggerUnreadable(str(problem)) from None
        except AddressForbidden as problem:
            raise TriggerUnreadable(str(problem)) from None
        except TimeoutError:
            raise TriggerUnreadable(f"no answer within {SECONDS:g} s") from None

    def _build_get(self, account: Account, credentials: Credentials) -> HttpGet:
        headers = _authorize(credentials)

        async def get(url: str) -> Mapping[str, object]:
            answer = await self._call(HttpCall("GET", url, key="trigger", headers=headers, timeout=SECONDS), account)
            if answer.is_failure or not isinstance(answer.value, Mapping):
                raise TriggerUnreadable(answer.message or "no answer")
            return answer.value

        return get

    async def _read_credentials(self, account: Account, probe: Probe) -> Credentials:
        if not probe.secret:
            return Credentials()
        if probe.secret_key:
            value = await self._read_value(account, SecretRef(probe.secret, probe.secret_key))
            return Credentials(token=value) if probe.type in {PROMETHEUS, HTTP} else Credentials(password=value)
        return await self._read_all(account, probe.secret)

    async def _read_all(self, account: Account, secret: str) -> Credentials:
        """Takes the keys that are there; a Secret with none of them is one too few."""
        found: dict[str, str] = {}
        problem = SecretUnavailable(f"Secret {account.namespace}/{secret}")
        for name in ("username", "password", "token"):
            try:
                found[name] = await self._read_value(account, SecretRef(secret, name))
            except SecretUnavailable as missing:
                problem = missing
        if not found:
            raise problem
        return Credentials(**found)

    async def _read_value(self, account: Account, ref: SecretRef) -> str:
        known = self._known.get((account, ref))
        if known is not None and time.monotonic() - known[0] < _SECRET_KEPT:
            return known[1]
        self._known.pop((account, ref), None)
        value = await self._secrets.read_secret(account, ref)
        self._known[account, ref] = (time.monotonic(), value)
        return value


def _load(kind: str) -> _Read:
    """Finds what reads a database; the clients are 8 MiB, which most operators never need."""
    from vapora.adapters.trigger_postgres import read_query  # noqa: PLC0415  # see above
    from vapora.adapters.trigger_redis import read_list, read_stream  # noqa: PLC0415  # see above

    return {REDIS_STREAM: read_stream, REDIS_LIST: read_list, POSTGRES: read_query}[kind]


def _authorize(credentials: Credentials) -> dict[str, str]:
    if credentials.token:
        return {"Authorization": f"Bearer {credentials.token}"}
    if not credentials.username and not credentials.password:
        return {}
    pair = f"{credentials.username}:{credentials.password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
