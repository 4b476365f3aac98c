"""The end of finished runs: deletes those that were made for once, and all that the others made, when they expire."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from vapora.controller.ports import Conflict, KubeApi, NotFound
from vapora.controller.reconcile import Kit
from vapora.core.naming import LABEL_TEMPLATE, LABEL_WORKFLOW
from vapora.core.plan import Key
from vapora.core.views import child, text
from vapora.core.workflow.children import FINAL
from vapora.core.workflow.expiry import is_disposable, is_slot_noted, read_expiry, shrink

_KINDS = ("Pod", "Job", "ConfigMap", "ControllerRevision")
_LOOK_AGAIN = 60.0


class Expiry:
    """Looks at runs that are at rest. It is told nothing: their statuses say when they expire."""

    def __init__(self, kit: Kit, api: KubeApi) -> None:
        self._kit = kit
        self._api = api

    async def look(self, key: Key, obj: Mapping[str, object]) -> float | None:
        """Does what is due; returns the seconds until something is."""
        at, now = read_expiry(child(obj, "status")), self._kit.clock.now()
        if at is None:
            return None
        if now < at:
            return (at - now).total_seconds()
        if not is_disposable(obj):
            await self._clear(key, obj)
        elif self._is_needed(key, obj):
            return _LOOK_AGAIN
        else:
            await self._delete(key, text(child(obj, "metadata"), "uid"))
        return None

    def _is_needed(self, key: Key, obj: Mapping[str, object]) -> bool:
        """Returns whether its parent may still undo it, or its template would make it again."""
        store, labels = self._kit.store, child(obj, "metadata", "labels")
        parent = store.parent_of(key)
        above = store.get(parent) if parent is not None else None
        if above is not None and text(child(above, "status"), "phase") not in FINAL:
            return True
        template = store.key_of(text(labels, LABEL_TEMPLATE))
        return not is_slot_noted(obj, store.get(template) if template is not None else None)

    async def _clear(self, key: Key, obj: Mapping[str, object]) -> None:
        """Removes what a run made, and only then says so: it is done again where it was interrupted."""
        uid = text(child(obj, "metadata"), "uid")
        for kind in _KINDS:
            await self._api.delete_collection(kind, key.namespace, selector=f"{LABEL_WORKFLOW}={uid}")
        for view in list(self._kit.store.children(uid).values()):
            if view.meta.controller_uid == uid:
                await self._delete(view.meta.key, view.meta.uid)
        status = shrink(child(obj, "status"), self._kit.clock.now())
        await self._kit.writer.write(key, status, urgent=True)

    async def _delete(self, key: Key, uid: str) -> None:
        with suppress(NotFound, Conflict):  # it is gone; a namesake may be there
            await self._api.delete(key, uid=uid)
