"""The pacer of progress writes: each object seldom, all objects a few a second, whoever waits longest first."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from vapora.controller.ports import Clock
from vapora.core.plan import Key

INTERVAL = 0.25  # seconds between two writes of one object, and before its first
SHARE = 10  # a write of a large object costs the API server much, so its pause is this many times its duration


class Pacer:
    """Hands out grants to write progress; `release` is called with each key that got one.

    A burst of short runs would otherwise write each of them twice, where its final write alone says all. `spare`
    returns the part of the rate that may be used now.
    """

    def __init__(
        self, clock: Clock, release: Callable[[Key], None], *, per_second: float, spare: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._release = release
        self._interval = 1 / per_second
        self._spare = spare
        self._line: list[tuple[float, Key]] = []
        self._waiting: dict[Key, float] = {}
        self._granted: set[Key] = set()
        self._rest_until: dict[Key, float] = {}
        self._wake = asyncio.Event()

    @property
    def depth(self) -> int:
        """Is the number of objects whose progress waits to be written."""
        return len(self._waiting)

    def admit(self, key: Key) -> bool:
        """Returns whether the object may be written now; if not, it is put in line, once."""
        if key in self._granted:
            return True
        if key not in self._waiting:
            now = self._clock.monotonic()
            self._waiting[key] = max(now, self._rest_until.get(key, now + INTERVAL))
            heapq.heappush(self._line, (self._waiting[key], key))
            self._wake.set()
        return False

    def written(self, key: Key, seconds: float) -> None:
        """Takes the object out of the line after a write that took so long."""
        self.withdraw(key)
        self._rest_until[key] = self._clock.monotonic() + max(INTERVAL, SHARE * seconds)

    def withdraw(self, key: Key) -> None:
        """Takes the object out of the line: it has nothing to write."""
        self._waiting.pop(key, None)
        self._granted.discard(key)

    def forget(self, key: Key) -> None:
        """Drops all that is known of an object that is gone."""
        self.withdraw(key)
        self._rest_until.pop(key, None)

    async def run(self) -> None:
        """Releases at most one object per interval until it is cancelled."""
        while True:
            if not self._waiting:
                self._line.clear()
                self._wake.clear()
                await self._wake.wait()
            await self._clock.sleep(self._interval / self._spare())
            self._release_next()

    def _release_next(self) -> None:
        now = self._clock.monotonic()
        while self._line and self._line[0][0] <= now:
            when, key = heapq.heappop(self._line)
            if self._waiting.get(key) == when:
                del self._waiting[key]
                self._granted.add(key)
                self._release(key)
                return
