"""What an operator sees of the cluster through its proxy: what is so, nothing at all, or what was so before."""

import asyncio
import json

import aiohttp
from aiohttp import web

_POLL = 0.02
_GONE = {
    "type": "ERROR",
    "object": {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": 410,
        "reason": "Expired",
        "message": "too old resource version",
    },
}


class View:
    """Rules lists and watches; single objects are always read as they are. Set from any thread."""

    def __init__(self) -> None:
        self._streams = 0
        self._deaf = 0  # streams up to this number bring nothing more
        self._is_closed = False
        self._is_late = False
        self.version = ""
        self.lists = 0

    def deafen(self) -> None:
        """Let every watch that is open stay so and say nothing more, as behind a firewall that forgot it."""
        self._deaf = self._streams

    def close(self) -> None:
        """Show nothing from now on: watches stay silent, lists have no answer."""
        self._is_closed = True

    def open(self) -> None:
        """Show all again; watches of before are told that what they were to see is forgotten (410)."""
        self._is_closed = False

    def go_back(self, version: str) -> None:
        """Answer lists with what was at that version, and let watches wait, as a cache does that lags behind."""
        self.version, self._is_late, self.lists = version, True, 0

    def catch_up(self) -> None:
        """Let the watches tell what has happened since; lists are again of what is."""
        self.version, self._is_late = "", False

    async def turn(self, request: web.BaseRequest) -> str:
        """Return the path to ask the API server for, once there is something to see."""
        if "limit" in request.query:  # every list has one
            while self._is_closed:
                await asyncio.sleep(_POLL)
            if self.version and "continue" not in request.query:
                self.lists += 1
                return f"{request.raw_path}&resourceVersion={self.version}&resourceVersionMatch=Exact"
        return request.raw_path

    async def pass_on(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Pass on a watch, as far as it is to be seen."""
        self._streams += 1
        number = self._streams
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        chunks = answer.content.iter_any()
        following = asyncio.ensure_future(anext(chunks, b""))
        try:
            while not self._is_closed:
                while self._is_late:
                    await asyncio.sleep(_POLL)
                done, _ = await asyncio.wait([following], timeout=_POLL)
                if self._is_closed or not done or self._is_late:
                    continue
                chunk = following.result()
                if number <= self._deaf:
                    await asyncio.Event().wait()  # until the operator hangs up
                if not chunk:
                    break
                await response.write(chunk)
                following = asyncio.ensure_future(anext(chunks, b""))
            else:
                while self._is_closed:
                    await asyncio.sleep(_POLL)
                await response.write(json.dumps(_GONE).encode() + b"\n")
        finally:
            following.cancel()
        await response.write_eof()
        return response
