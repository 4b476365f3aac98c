"""Orphans: children whose owner is gone must not be held by our finalizer."""

from __future__ import annotations

from collections import OrderedDict

from vapora.controller.ports import JsonObject, KubeApi, NotFound
from vapora.controller.store import Store
from vapora.core.naming import FINALIZER_ATTEMPT, WITHOUT_FINALIZER
from vapora.core.plan import Key
from vapora.core.views import ChildView, Meta, child, rows, text

_REMEMBERED = 1000
_LOOK_AGAIN = 10.0


class OrphanReconciler:
    """Takes our finalizer off a child once its owner is proven gone; whoever deletes the child then gets it deleted.

    A store that lags may not know an owner yet, so the API server is asked before anything is let go.
    """

    def __init__(self, api: KubeApi, store: Store) -> None:
        self._api = api
        self._store = store
        self._gone: OrderedDict[str, None] = OrderedDict()

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one child whose owner was not known."""
        view = self._store.find_child(key)
        if view is None or not self._is_held_orphan(view):
            return None
        try:
            if not await self._has_lost_owner(view.meta):
                return _LOOK_AGAIN
            await self._release(view.meta)
        except NotFound:
            self._store.remove_child(key, view.meta.uid)
        return None

    def _is_held_orphan(self, view: ChildView) -> bool:
        return FINALIZER_ATTEMPT in view.meta.finalizers and self._store.key_of(view.meta.owner_uid) is None

    async def _has_lost_owner(self, meta: Meta) -> bool:
        if meta.owner_uid in self._gone:
            return True
        owner = _find_owner(await self._api.get(meta.key), meta)
        if owner is not None:
            try:
                found = await self._api.get(owner)
            except NotFound:
                pass
            else:
                if text(child(found, "metadata"), "uid") == meta.owner_uid:
                    return False
        self._gone[meta.owner_uid] = None
        if len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)
        return True

    async def _release(self, meta: Meta) -> None:
        body = {"metadata": {"uid": meta.uid, **WITHOUT_FINALIZER}}
        self._store.put_answer(await self._api.patch(meta.key, body))


def _find_owner(manifest: JsonObject, meta: Meta) -> Key | None:
    """Returns the key of the owner that the child names; None where the reference was taken off with the owner."""
    owners = [row for row in rows(child(manifest, "metadata"), "ownerReferences") if row.get("uid") == meta.owner_uid]
    return Key(text(owners[0], "kind"), meta.key.namespace, text(owners[0], "name")) if owners else None
