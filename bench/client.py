"""The client of a load: creates objects as fast as it can, and watches them end."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from tests.cluster import Cluster

Object = dict[str, Any]

IN_FLIGHT = 64
_STALL_SECONDS = 600.0
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PAGE = 500


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator["LoadClient"]:
    """A client of the cluster as its administrator, who is under no limit."""
    secure = ssl.create_default_context(cafile=str(cluster.ca))
    async with aiohttp.ClientSession(
        cluster.url,
        headers={"Authorization": f"Bearer {cluster.token}", "Content-Type": "application/json"},
        connector=aiohttp.TCPConnector(limit=0, ssl=secure),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
    ) as session:
        yield LoadClient(session)


class Ended:
    """The names of the objects that a watch has seen end."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.last_at = time.monotonic()
        self._news = asyncio.Event()

    def add(self, name: str) -> None:
        if name not in self.names:
            self.names.add(name)
            self.last_at = time.monotonic()
            self._news.set()

    async def wait_for(self, count: int, *, stall: float = _STALL_SECONDS) -> None:
        """Return when so many have ended, or none has for ten minutes: of one long Workflow nothing is heard before."""
        while len(self.names) < count:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), stall)
            except TimeoutError:
                return


class LoadClient:
    """What a load does with the API; paths are those of collections."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def create_all(self, path: str, objects: Sequence[object]) -> None:
        """Create all objects, 64 at a time."""
        bodies = iter([json.dumps(obj) for obj in objects])

        async def work() -> None:
            for body in bodies:
                async with self._session.post(path, data=body) as answer:
                    payload = await answer.read()
                    if answer.status != 201:
                        raise RuntimeError(f"not created: {answer.status} {payload.decode()}")

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())

    @asynccontextmanager
    async def watching(self, path: str, phase: str) -> AsyncIterator[Ended]:
        """Watch which objects reach a phase, from when the block begins."""
        async with self._session.get(path, params={"limit": "1"}) as answer:
            answer.raise_for_status()
            version = (await answer.json())["metadata"]["resourceVersion"]
        ended = Ended()
        task = asyncio.create_task(self._follow(path, phase, version, ended))
        try:
            yield ended
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def list_all(self, path: str) -> list[Object]:
        """Return all objects."""
        items: list[Object] = []
        query = {"limit": str(_PAGE)}
        while True:
            async with self._session.get(path, params=query) as answer:
                answer.raise_for_status()
                page = await answer.json()
            items += page["items"]
            if not (following := page["metadata"].get("continue")):
                return items
            query["continue"] = following

    async def _follow(self, path: str, phase: str, version: str, ended: Ended) -> None:
        """Watch for ever: an API server under load ends the watches that it finds slow, and they are taken up again."""
        query = {"watch": "true", "allowWatchBookmarks": "true", "fieldSelector": f"status.phase={phase}"}
        while True:
            places = {"resourceVersion": version, "timeoutSeconds": "3600"}
            async with self._session.get(path, params=query | places, headers={"Accept": _METADATA}) as answer:
                answer.raise_for_status()
                async for event in _read_events(answer.content):
                    meta = event["object"]["metadata"]
                    version = meta["resourceVersion"]
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        ended.add(meta["name"])


async def _read_events(stream: aiohttp.StreamReader) -> AsyncIterator[Object]:
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)
