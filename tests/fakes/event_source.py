"""Watches over the API server in memory, which may lag behind, or break off and list again."""

import asyncio
from collections.abc import Callable

from tests.fakes.kube_api import FakeKubeApi
from tests.fakes.selectors import is_selected

from vapora.controller.ports import JsonObject


class FakeEventSource:
    """Is EventSource in memory: each event comes `lag` seconds late; `relist` makes every watch list again."""

    def __init__(self, api: FakeKubeApi, *, lag: float = 0.0) -> None:
        self._api = api
        self.lag = lag
        self._queues: list[asyncio.Queue[tuple[str, JsonObject, JsonObject | None] | None]] = []

    def relist(self) -> None:
        for queue in self._queues:
            queue.put_nowait(None)

    async def watch(
        self,
        kind: str,
        selector: str,
        *,
        on_object: Callable[[str, JsonObject], None],
        on_deleted: Callable[[JsonObject], None],
        on_listed: Callable[[frozenset[str], int], None],
    ) -> None:
        queue: asyncio.Queue[tuple[str, JsonObject, JsonObject | None] | None] = asyncio.Queue()
        self._queues.append(queue)

        def deliver(change: str, obj: JsonObject, former: JsonObject | None) -> None:
            if obj["kind"] == kind:
                queue.put_nowait((change, obj, former))

        stop = self._api.subscribe(deliver)
        try:
            while True:
                listed = self._api.all(kind, selector)
                version = self._api.version
                for obj in listed:
                    on_object("LISTED", obj)
                on_listed(frozenset(obj["metadata"]["uid"] for obj in listed), version)
                while (event := await queue.get()) is not None:
                    await asyncio.sleep(self.lag)
                    self._report(event, selector, on_object, on_deleted)
        finally:
            stop()
            self._queues.remove(queue)

    def _report(
        self,
        event: tuple[str, JsonObject, JsonObject | None],
        selector: str,
        on_object: Callable[[str, JsonObject], None],
        on_deleted: Callable[[JsonObject], None],
    ) -> None:
        change, obj, former = event
        was = former is not None and is_selected(former["metadata"].get("labels", {}), selector)
        is_now = change != "DELETED" and is_selected(obj["metadata"].get("labels", {}), selector)
        if is_now:
            on_object("MODIFIED" if was else "ADDED", obj)
        elif was:
            on_deleted(former)
