"""The intake: what a watch of our own kinds reports goes into the store, and its key into the queue."""

from __future__ import annotations

from vapora.controller.ports import JsonObject, Meter
from vapora.controller.store import Store
from vapora.controller.workqueue import Priority, WorkQueue
from vapora.core.naming import LABEL_WORKFLOW
from vapora.core.plan import Key
from vapora.core.views import child, text


class Intake:
    """Takes events in. It cannot fail and never waits."""

    def __init__(self, store: Store, queue: WorkQueue, meter: Meter) -> None:
        self._store = store
        self._queue = queue
        self._meter = meter

    def take(self, kind: str, event: str | None, obj: JsonObject) -> None:
        """Takes one event in; a type of None is the initial list's."""
        self._meter.watch_event(kind, event or "LISTED")
        meta = child(obj, "metadata")
        key = Key(kind, text(meta, "namespace"), text(meta, "name"))
        parent = self._store.key_of(text(child(meta, "labels"), LABEL_WORKFLOW))
        if event == "DELETED":
            self._store.remove(key, text(meta, "uid"))  # perhaps a write that found nothing did so already
            self._queue.add(key)
            for orphan in self._store.children(text(meta, "uid")):
                self._queue.add(orphan)  # its own last event may have come before this one
        elif self._store.put(kind, obj):
            self._queue.add(key, Priority.FRESH if event else Priority.BACKGROUND)
        if parent is not None:
            self._queue.add(parent)
