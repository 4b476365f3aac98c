"""What an operator sees of the cluster through its proxy: what is so, nothing at all, or what was so before."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp import web

_GONE = b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","reason":"Expired","code":410}}\n'


class View:
    """Rules lists and watches; single objects are always read as they are. Set from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._closed, self._opened, self._current = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._opened.set()
        self._current.set()
        self._version, self._plural = "", ""
        self._deaf = 0  # streams up to this number bring nothing more
        self.streams = 0

    def deafen(self) -> None:
        """Let every watch that is open stay so and say nothing more, as behind a firewall that forgot it."""
        self._deaf = self.streams

    def close(self) -> None:
        """Show nothing from now on: watches stay silent, lists have no answer."""
        self._call(self._opened.clear, self._closed.set)

    def open(self) -> None:
        """Show all again; watches of before are told that what they were to see is forgotten (410)."""
        self._call(self._closed.clear, self._opened.set)

    def go_back(self, version: str, plural: str = "") -> None:
        """Answer lists with what was at that version, and let watches wait, as a cache does that lags behind.

        Where a kind is named only it lags.
        """
        self._version, self._plural = version, plural
        self._call(self._current.clear)

    def catch_up(self) -> None:
        """Let the watches tell what has happened since; lists are again of what is."""
        self._version = ""
        self._call(self._current.set)

    def _call(self, *steps: Callable[[], None]) -> None:
        for step in steps:
            self._loop.call_soon_threadsafe(step)

    async def turn(self, request: web.BaseRequest, path: str) -> str:
        """Return the path to ask the API server for, once there is something to see."""
        if "limit" not in request.query:  # every list has one
            return path
        await self._opened.wait()
        if not self._version or "continue" in request.query or not request.path.endswith(self._plural):
            return path
        return f"{path}&resourceVersion={self._version}&resourceVersionMatch=Exact"

    async def watch(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield what a watch brings, as far as it is to be seen."""
        self.streams += 1
        number = self.streams
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            while (chunk := await _read(answer, closed)) and not closed.done():
                if request.path.endswith(self._plural):
                    await self._current.wait()
                if number <= self._deaf:
                    await asyncio.Event().wait()  # until the operator hangs up
                yield chunk
            if closed.done():
                await self._opened.wait()
                yield _GONE
        finally:
            closed.cancel()


async def _read(answer: aiohttp.ClientResponse, closed: asyncio.Future[bool]) -> bytes:
    """Read on, unless the view is closed first; what was read then is lost."""
    reading = asyncio.ensure_future(answer.content.readany())
    try:
        await asyncio.wait({reading, closed}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else b""
    finally:
        reading.cancel()
