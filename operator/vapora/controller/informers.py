"""Follows the children of our objects: keeps in the store what matters, and queues the owner when that changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from vapora.controller.ports import EventSource, JsonObject, Meter
from vapora.controller.store import Store
from vapora.controller.workqueue import Priority, WorkQueue
from vapora.core.gpu.kueue import LABEL_JOB
from vapora.core.naming import LABEL_OWNER, LABEL_RECORDED, LABEL_REVISION, LABEL_WORKFLOW
from vapora.core.plan import Key
from vapora.core.views import Meta, child, project, text


@dataclass(frozen=True, slots=True)
class Watched:
    """Is one watch: a kind, and the label that its objects carry."""

    kind: str
    label: str
    but: str = ""
    asked: str = ""  # instead, where the objects have it from others, and not on themselves

    @property
    def selector(self) -> str:
        """Is the label selector of the watch."""
        return self.asked or (f"{self.label},{self.but}" if self.but else self.label)


_UNRECORDED = f"{LABEL_RECORDED}!=true"  # a recorded attempt interests nobody, and there are many
WATCHED = (
    Watched("Pod", LABEL_WORKFLOW, _UNRECORDED),
    Watched("Job", LABEL_WORKFLOW, _UNRECORDED),
    Watched("Workload", LABEL_WORKFLOW, asked=LABEL_JOB),
    Watched("Pod", LABEL_OWNER),
    Watched("Deployment", LABEL_OWNER),
    Watched("StatefulSet", LABEL_OWNER),
    Watched("Service", LABEL_OWNER),
    Watched("Job", LABEL_OWNER),
    Watched("ControllerRevision", LABEL_REVISION),
    Watched("HorizontalPodAutoscaler", LABEL_OWNER),
    Watched("PodDisruptionBudget", LABEL_OWNER),
    Watched("Ingress", LABEL_OWNER),
    Watched("HTTPRoute", LABEL_OWNER),
)


class ChildInformers:
    """Runs all watches. A child whose owner is not known is queued itself, for the reconciler of orphans."""

    def __init__(self, source: EventSource, store: Store, queue: WorkQueue, meter: Meter) -> None:
        self._source = source
        self._store = store
        self._queue = queue
        self._meter = meter
        self._unlisted = set(WATCHED)

    @property
    def is_synced(self) -> bool:
        """Is true once every watch has listed all there was."""
        return not self._unlisted

    async def run(self) -> None:
        """Watches until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for watched in WATCHED:
                group.create_task(self._watch(watched), name=f"watch-{watched.kind}-{watched.label}")

    async def _watch(self, watched: Watched) -> None:
        def on_object(event: str, obj: JsonObject) -> None:
            self._meter.watch_event(watched.kind, event)
            if watched.asked and watched.label not in project(obj, watched.kind).meta.labels:
                return  # somebody else's
            changed = self._store.put_child(watched.kind, obj)
            if changed is not None:
                self._notify(changed, Priority.BACKGROUND if event == "LISTED" else Priority.FRESH)

        def on_deleted(obj: JsonObject) -> None:
            self._meter.watch_event(watched.kind, "DELETED")
            meta = child(obj, "metadata")
            self._forget(Key(watched.kind, text(meta, "namespace"), text(meta, "name")), text(meta, "uid"))

        def on_listed(uids: frozenset[str], version: int) -> None:
            for uid, key in self._store.child_keys(watched.kind, watched.label).items():
                # One made after the list was read is not in it, and yet exists.
                if uid not in uids and self._store.version(key) <= version:
                    self._forget(key, uid)
            self._unlisted.discard(watched)

        await self._source.watch(
            watched.kind, watched.selector, on_object=on_object, on_deleted=on_deleted, on_listed=on_listed
        )

    def _forget(self, key: Key, uid: str) -> None:
        removed = self._store.remove_child(key, uid)
        if removed is not None and (owner := self._store.key_of(removed.owner_uid)) is not None:
            self._queue.add(owner)

    def _notify(self, changed: Meta, priority: Priority) -> None:
        self._queue.add(self._store.key_of(changed.owner_uid) or changed.key, priority)
