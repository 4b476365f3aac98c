"""The work queue: keys to look at, each once and by one worker at a time, fresh changes first."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from operator import itemgetter

from vapora.controller.ports import Clock
from vapora.core.plan import Key

BACKOFF_FIRST = 0.005
BACKOFF_MAX = 16 * 60.0
BACKLOG = 256  # waiting keys beyond which the workers count as behind
SPARING = 0.25
_JITTER = (
    0.2  # a delay is stretched by up to this part of itself, so that keys that failed together do not return together
)
_SLACK = 1024  # dropped delays that may stay in the timeline before it is rebuilt


class Priority(IntEnum):
    """Orders keys: what changed just now goes before what an initial list or a resync brought up."""

    FRESH = 0
    BACKGROUND = 1


@dataclass(frozen=True, slots=True)
class _Entry:
    priority: Priority
    since: float


class WorkQueue:
    """Hands out keys: one added twice comes once, one added while it is processed comes once more afterwards.

    `jitter` returns a number in [0, 1). Every operation is O(log n). A closed queue takes nothing in, so that one
    that does not lead gathers no keys; whoever opens it adds all there are.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._ready: dict[Priority, OrderedDict[Key, _Entry]] = {priority: OrderedDict() for priority in Priority}
        self._again: dict[Key, _Entry] = {}
        self._processing: dict[Key, float] = {}
        self._due: dict[Key, float] = {}
        self._timeline: list[tuple[float, Key]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: float | None = None
        self._failures: dict[Key, int] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._is_open = True

    def open(self) -> None:
        """Takes keys in from now on."""
        self._is_open = True

    def close(self) -> None:
        """Forgets everything, backoffs too, and takes nothing in; no key may be in processing."""
        self._is_open = False
        for ready in self._ready.values():
            ready.clear()
        self._again.clear()
        self._failures.clear()
        self._due.clear()
        self._timeline.clear()
        self._set_alarm()

    @property
    def depth(self) -> int:
        """Is the number of keys that wait for a worker now."""
        return sum(len(ready) for ready in self._ready.values()) + len(self._again)

    def spare(self) -> float:
        """Returns the part of its rate that telling people of progress may use now.

        A progress write or an Event costs the API server as much as the work that others wait for, so it is 1 while
        the workers keep up and a quarter while they are behind.
        """
        return 1.0 if self.depth <= BACKLOG else SPARING

    @property
    def delayed(self) -> int:
        """Is the number of keys that wait for their time."""
        return len(self._due)

    def waited(self, key: Key) -> float:
        """Returns the seconds that a key now being processed had waited for a worker."""
        return self._processing[key]

    def failures(self, key: Key) -> int:
        """Returns how many times in a row a key was retried."""
        return self._failures.get(key, 0)

    def add(self, key: Key, priority: Priority = Priority.FRESH) -> None:
        """Asks for a look at a key; one that waits already keeps its place, or moves up to a better priority."""
        if not self._is_open:
            return
        entry = _Entry(priority, self._clock.monotonic())
        if key in self._processing:
            known = self._again.get(key)
            if known is None or priority < known.priority:
                self._again[key] = _Entry(priority, known.since if known else entry.since)
            return
        if key in self._ready[Priority.FRESH]:
            return
        background = self._ready[Priority.BACKGROUND]
        if known := background.get(key):
            if priority is Priority.BACKGROUND:
                return
            del background[key]
            entry = _Entry(priority, known.since)
        self._ready[priority][key] = entry
        self._wake_one()

    def add_after(self, key: Key, seconds: float) -> None:
        """Asks for a look at a key after some time; the earliest wish wins."""
        if seconds <= 0:
            self.add(key)
            return
        when = self._clock.monotonic() + seconds
        if not self._is_open or when >= self._due.get(key, float("inf")):
            return
        self._due[key] = when
        heapq.heappush(self._timeline, (when, key))
        self._set_alarm()

    async def get(self) -> Key:
        """Waits for a key and hands it out; the caller says `done` afterwards.

        A delayed look at the key is dropped: whoever looks now sees everything and says anew when to look next.
        """
        while (entry := self._pop()) is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake_one()  # this wake-up was for a key that another worker must take now
                elif waiter in self._waiters:
                    self._waiters.remove(waiter)
                raise
        key, since = entry
        self._due.pop(key, None)
        self._processing[key] = self._clock.monotonic() - since
        return key

    def done(self, key: Key) -> None:
        """Ends the processing of a key, and queues it again if it was added meanwhile."""
        del self._processing[key]
        if entry := self._again.pop(key, None):
            self._ready[entry.priority][key] = entry
            self._wake_one()

    def retry(self, key: Key) -> float:
        """Queues a key again after its next backoff, 5 ms doubling up to 16 min, and returns the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        backoff = min(math.ldexp(BACKOFF_FIRST, min(failures, 32)), BACKOFF_MAX)
        seconds = min(backoff * (1 + _JITTER * self._jitter()), BACKOFF_MAX)
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: Key) -> None:
        """Starts the backoff of a key anew."""
        self._failures.pop(key, None)

    def describe(self, most: int = 1000) -> dict[str, object]:
        """Returns what is in processing, what waits for a worker, and what for its time; of each the first ones."""
        now = self._clock.monotonic()
        ready = {key: entry for keys in self._ready.values() for key, entry in keys.items()} | self._again
        delayed = heapq.nsmallest(most, self._due.items(), key=itemgetter(1))
        return {
            "open": self._is_open,
            "processing": [str(key) for key in islice(self._processing, most)],
            "waiting": [
                {"key": str(key), "seconds": round(now - entry.since, 3), "priority": entry.priority.name.lower()}
                for key, entry in islice(ready.items(), most)
            ],
            "delayed": [
                {"key": str(key), "dueIn": round(due - now, 3), "failures": self.failures(key)} for key, due in delayed
            ],
            "counts": {"processing": len(self._processing), "waiting": self.depth, "delayed": self.delayed},
        }

    def _pop(self) -> tuple[Key, float] | None:
        for ready in self._ready.values():
            if ready:
                key, entry = ready.popitem(last=False)
                return key, entry.since
        return None

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _set_alarm(self) -> None:
        if len(self._timeline) > 2 * len(self._due) + _SLACK:
            self._timeline = [(when, key) for key, when in self._due.items()]
            heapq.heapify(self._timeline)
        while self._timeline and self._due.get(self._timeline[0][1]) != self._timeline[0][0]:
            heapq.heappop(self._timeline)
        next_due = self._timeline[0][0] if self._timeline else None
        if self._alarm is not None and self._alarm_at == next_due:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, next_due
        if next_due is not None:
            seconds = max(next_due - self._clock.monotonic(), 0)
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._release_due)

    def _release_due(self) -> None:
        self._alarm = None
        now = self._clock.monotonic()
        while self._timeline and self._timeline[0][0] <= now:
            when, key = heapq.heappop(self._timeline)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
        self._set_alarm()
