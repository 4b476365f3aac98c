"""Commits in groups, to a server that may be away: what many hand in while one commit lasts goes with the next."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vapora.core.learning.execution import GraphUnavailable

log = logging.getLogger(__name__)

BATCH_ROWS = 500
CLOSED = "the knowledge graph is closed"
_RETRY_FIRST, _RETRY_MAX = 0.2, 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Write(Generic[T]):
    change: T
    rows: int
    done: asyncio.Future[None]


class GroupCommit(Generic[T]):
    """Writes, one commit at a time, through `commit`, and connects through `connect` before, and again after a failure.

    Both raise GraphUnavailable. While there is no connection, it is tried again in the background.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[None]], commit: Callable[[Sequence[T]], Awaitable[None]]
    ) -> None:
        self.problem: str | None = "the knowledge graph is not open yet"
        self._connect = connect
        self._carry_out = commit
        self._queue: asyncio.Queue[_Write[T] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Tries to connect, and begins to write."""
        if self._task is None:
            self._queue = asyncio.Queue()
            await self._open()
            self._task = asyncio.create_task(self._run(), name="knowledge-graph-writer")

    async def stop(self) -> None:
        """Writes what was handed in, if that is possible at once, and ends."""
        task, self._task = self._task, None
        if task is not None:
            self._queue.put_nowait(None)
            await task
            self.problem = CLOSED

    async def write(self, change: T, rows: int) -> None:
        """Returns once a change is durable; raises GraphUnavailable."""
        if self._task is None:
            raise GraphUnavailable(self.problem or CLOSED)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Write(change, rows, done))
        await done

    def check(self) -> None:
        """Raises GraphUnavailable where nothing can be read."""
        if self.problem is not None:
            raise GraphUnavailable(self.problem)

    async def _run(self) -> None:
        delay = _RETRY_FIRST
        while True:
            try:
                async with asyncio.timeout(None if self.problem is None else delay):
                    first = await self._queue.get()
            except TimeoutError:
                delay = min(delay * 2, _RETRY_MAX)
                await self._open()
                continue
            writes = [first, *self._gather()]
            await self._write([write for write in writes if write is not None])
            if None in writes:
                return
            if self.problem is None:
                delay = _RETRY_FIRST

    def _gather(self) -> list[_Write[T] | None]:
        found: list[_Write[T] | None] = []
        rows = 0
        while rows < BATCH_ROWS and not self._queue.empty():
            found.append(write := self._queue.get_nowait())
            if write is None:
                break
            rows += write.rows
        return found

    async def _write(self, writes: Sequence[_Write[T]]) -> None:
        refusal: GraphUnavailable | None = None
        try:
            if writes and self.problem is not None:
                await self._connect()
            if writes:
                await self._carry_out([write.change for write in writes])
                self.problem = None
        except GraphUnavailable as problem:
            refusal = self._fail(problem)
        for write in writes:
            with contextlib.suppress(asyncio.InvalidStateError):  # who waited has gone
                if refusal is None:
                    write.done.set_result(None)
                else:
                    write.done.set_exception(refusal)

    async def _open(self) -> None:
        try:
            await self._connect()
        except GraphUnavailable as problem:
            self._fail(problem)
        else:
            log.info("knowledge graph opened")
            self.problem = None

    def _fail(self, problem: GraphUnavailable) -> GraphUnavailable:
        if self.problem != str(problem):
            log.warning("knowledge graph unavailable", extra={"problem": str(problem)})
        self.problem = str(problem)
        return problem
