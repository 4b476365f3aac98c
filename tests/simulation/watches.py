"""Watches in memory: each lags as it likes, breaks off, falls silent, and lists again."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.kube_objects import KubeObjects
from tests.fakes.selectors import is_selected
from tests.simulation.loop import SimulatedLoop

from vapora.controller.ports import JsonObject

_LAG, _LONG_LAG = 0.02, 0.3  # seconds; each watch has one of them for its whole life


@dataclass(slots=True)
class Watch:
    """Is one watch; what happened waits in `line` until it is delivered. A deaf one hears nothing until it lists."""

    kind: str
    selector: str
    on_object: Callable[[str, JsonObject], None]
    on_deleted: Callable[[JsonObject], None]
    on_listed: Callable[[frozenset[str], int], None]
    lag: float = _LAG
    line: deque[tuple[str, JsonObject]] = field(default_factory=deque)
    is_deaf: bool = True
    is_due: bool = False
    held_until: float = 0.0


class Watches:
    """Is EventSource for one life of the operator; nothing is delivered any more once `is_frozen`."""

    def __init__(self, objects: KubeObjects, loop: SimulatedLoop, chance: random.Random) -> None:
        self._objects = objects
        self._loop = loop
        self._chance = chance
        self.all: list[Watch] = []
        self.is_frozen = False
        objects.subscribers.append(self._notice)

    def close(self) -> None:
        self.is_frozen = True
        self._objects.subscribers.remove(self._notice)

    async def watch(
        self,
        kind: str,
        selector: str,
        *,
        on_object: Callable[[str, JsonObject], None],
        on_deleted: Callable[[JsonObject], None],
        on_listed: Callable[[frozenset[str], int], None],
    ) -> None:
        lag = _LONG_LAG if self._chance.random() < 0.15 else _LAG
        watch = Watch(kind, selector, on_object, on_deleted, on_listed, lag)
        self.all.append(watch)
        self._list(watch)
        await asyncio.get_running_loop().create_future()

    def delay(self, watch: Watch, seconds: float) -> None:
        """Breaks a connection: everything comes, but late, once it was made again."""
        watch.held_until = max(watch.held_until, self._loop.time() + seconds)

    def deafen(self, watch: Watch, seconds: float) -> None:
        """Loses a watch: what happens until it lists again is never reported."""
        if not watch.is_deaf:
            watch.is_deaf = True
            watch.line.clear()
            self._loop.call_later(seconds, self._list, watch)

    def _list(self, watch: Watch) -> None:
        """Lists what there is now; the answer is on its way for a while, and what happens then comes behind it."""
        if self.is_frozen:
            return
        watch.is_deaf = False
        watch.line.clear()
        listed, version = list(self._objects.select(watch.kind, watch.selector)), self._objects.version
        for obj in listed:
            watch.line.append(("LISTED", obj))
        uids = frozenset(obj["metadata"]["uid"] for obj in listed)
        watch.line.append(("END", {"uids": uids, "version": version}))
        self._hurry(watch)

    def _notice(self, change: str, obj: JsonObject, former: JsonObject | None) -> None:
        for watch in self.all:
            if watch.kind != obj["kind"] or watch.is_deaf:
                continue
            was = former is not None and is_selected(former["metadata"].get("labels", {}), watch.selector)
            is_now = change != "DELETED" and is_selected(obj["metadata"].get("labels", {}), watch.selector)
            if is_now:
                watch.line.append(("MODIFIED" if was else "ADDED", obj))
            elif was:
                watch.line.append(("DELETED", obj))
            if watch.line:
                self._hurry(watch)

    def _hurry(self, watch: Watch) -> None:
        if not watch.is_due:
            watch.is_due = True
            when = max(self._loop.time() + self._chance.random() * watch.lag, watch.held_until)
            self._loop.call_at(when, self._deliver, watch)

    def _deliver(self, watch: Watch) -> None:
        watch.is_due = False
        if self.is_frozen:
            return None
        if watch.held_until > self._loop.time():
            return self._hurry(watch)
        for _ in range(len(watch.line)):
            change, obj = watch.line.popleft()
            match change:
                case "END":
                    watch.on_listed(obj["uids"], obj["version"])
                case "DELETED":
                    watch.on_deleted(obj)
                case _:
                    watch.on_object(change, obj)
        return None
