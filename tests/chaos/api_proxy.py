"""The operator's way to the API server: plain HTTP on loopback, at whose far end is the real one."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from tests.chaos.gate import Cut, Expire, Fault, Freeze, Gate, Refuse, Side, hold
from tests.chaos.view import View
from tests.cluster.access import Cluster

from vapora.adapters.kube_kinds import RESOURCES

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PATH = re.compile(
    r"/apis?/(?:[^/]+/)?[^/]+/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?"
)
_LISTS = {resource.path(): resource for resource in RESOURCES.values() if resource.is_namespaced}
_GONE = b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","reason":"Expired","code":410}}\n'
_HOP_BY_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding"})


class _Gone(Exception):
    """The operator or its connection is gone; there is nobody to answer."""


class ApiProxy:
    """Forwards requests, watches too, and lets the gate count the writes and strike at them.

    Lists and watches show the gate's namespace alone, so that operators of several stages can work side by side.
    """

    def __init__(self, cluster: Cluster, gate: Gate) -> None:
        self._cluster = cluster
        self._gate = gate
        self._tasks: set[asyncio.Task[object]] = set()
        self._watches: dict[aiohttp.ClientResponse, bool] = {}  # whether it has ended with 410

    async def __aenter__(self) -> Self:
        self.view = View(asyncio.get_running_loop())
        self.view = View(asyncio.get_running_loop())
        trust = ssl.create_default_context(cafile=str(self._cluster.ca))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0), auto_decompress=False, trust_env=False
        )
        server = web.Server(self._serve, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.cut()
        await self._runner.cleanup()
        await self._session.close()

    async def cut(self) -> None:
        """Break every connection, watches too."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _expire(self) -> None:
        """End every watch with the word that all must be listed again."""
        for answer in self._watches:
            self._watches[answer] = True
            answer.close()

    def write_kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig for the way through here, with the administrator's token; JSON is YAML."""
        name = "through-the-proxy"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": name, "user": {"token": self._cluster.token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await self._handle(request)
        except (_Gone, ConnectionError, aiohttp.ClientError, asyncio.CancelledError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)
        finally:
            self._tasks.discard(task)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        fault = self._note(request, body)
        if isinstance(fault, Freeze):
            await hold(self._gate, fault)
            fault = None
        if fault is not None and fault.side is Side.BEFORE:
            return self._strike(fault)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = self._cluster.url + await self.view.turn(request, self._confine(request))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with (
            self._session.request(request.method, url, data=body or None, headers=headers, timeout=timeout) as answer,
            _aborting(answer),
        ):
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            if isinstance(fault, Expire):
                self._expire()
            elif fault is not None:
                await answer.read()
                if isinstance(fault, Cut):
                    await self.cut()
                return self._strike(fault)
            if "watch" in request.query:
                return await self._stream(request, answer, kept)
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    def _confine(self, request: web.BaseRequest) -> str:
        resource = _LISTS.get(request.path)
        if resource is None:
            return request.raw_path
        return request.raw_path.replace(request.path, resource.path(self._gate.namespace), 1)

    def _note(self, request: web.BaseRequest, body: bytes) -> Fault | None:
        """Have the gate count a write to an object of its namespace.

        The Lease is in another one, since it is renewed by the clock. Events count: a workflow has few, far below the
        rate from which they are dropped.
        """
        found = _PATH.fullmatch(request.path) if request.method in _VERBS else None
        if found is None or found["namespace"] != self._gate.namespace:
            return None
        target = found["plural"] + (f"/{found['sub']}" if found["sub"] else "")
        name = found["name"] or json.loads(body or b"{}").get("metadata", {}).get("name", "")
        return self._gate.pass_through(_VERBS[request.method], target, name)

    def _strike(self, fault: Fault) -> web.StreamResponse:
        self._gate.strike(fault)  # holds up this loop, so that nothing passes until the operator is dead
        if isinstance(fault, Refuse):
            after = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
            status = {"kind": "Status", "status": "Failure", "reason": fault.reason, "code": fault.status}
            return web.json_response({"apiVersion": "v1", **status}, status=fault.status, headers=after)
        raise _Gone

    async def _stream(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Pass on a watch as it comes."""
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        self._watches[answer], chunk = False, b"\n"
        try:
            async for chunk in self.view.watch(request, answer):
                await response.write(chunk)
        except aiohttp.ClientConnectionError:
            if not (self._watches[answer] and chunk.endswith(b"\n")):
                raise
            await response.write(_GONE)
        finally:
            del self._watches[answer]
        await response.write_eof()
        return response


@asynccontextmanager
async def _aborting(answer: aiohttp.ClientResponse) -> AsyncIterator[None]:
    """Break the connection of an answer that is not read to its end: TLS would wait for the other's goodbye."""
    try:
        yield
    finally:
        if answer.connection is not None and answer.connection.transport is not None:
            answer.connection.transport.abort()
