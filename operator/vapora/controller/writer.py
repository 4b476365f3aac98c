"""The status writer: sends what differs, with the version it was decided on, and not too often."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.controller.pacer import Pacer
from vapora.controller.ports import Clock, Conflict, JsonObject, KubeApi, NotFound
from vapora.controller.store import Store
from vapora.core.plan import Key
from vapora.core.views import child, text


def build_merge_patch(before: Mapping[str, object], wanted: Mapping[str, object]) -> JsonObject:
    """Returns the JSON merge patch (RFC 7386) that turns `before` into `wanted`: objects by field, lists whole.

    A None in `wanted` is the same as an absent field, as a merge patch cannot set null.
    """
    patch: JsonObject = {}
    for name, value in wanted.items():
        old = before.get(name)
        if value == old:
            continue
        if type(value) is dict or isinstance(value, Mapping):  # a dict is told at once
            is_object = type(old) is dict or isinstance(old, Mapping)
            inner = build_merge_patch(old if is_object else {}, value)  # type: ignore[arg-type]  # as just found
            if inner or not is_object:
                patch[name] = inner
        else:
            patch[name] = value
    patch.update((name, None) for name in before if name not in wanted)
    return patch


def is_same(found: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Returns whether a status stands as it was wanted, but for a None, which it cannot hold."""
    return found == wanted or not build_merge_patch(found, wanted)


class StatusWriter:
    """Writes statuses: an urgent one now, progress when the pacer lets it."""

    def __init__(self, api: KubeApi, store: Store, pacer: Pacer, clock: Clock) -> None:
        self._api = api
        self._store = store
        self._pacer = pacer
        self._clock = clock

    async def write(self, key: Key, status: Mapping[str, object], *, urgent: bool) -> bool:
        """Publishes a complete status; returns False where the pacer wants it later (it then queues the key).

        True also means that nothing differs or that the object is gone. Raises Conflict after it has read the object
        anew, so that the next reconcile decides on what is there.
        """
        known = self._store.get(key)
        patch = build_merge_patch(child(known, "status"), status) if known else {}
        if known is None or not patch:
            self._pacer.withdraw(key)
            return True
        if not urgent and not self._pacer.admit(key):
            return False
        meta = child(known, "metadata")
        body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "status": patch}
        started = self._clock.monotonic()
        try:
            self._store.put_answer(await self._api.patch(key, body, subresource="status"))
        except NotFound:
            self._store.remove(key, text(meta, "uid"))
        except Conflict:
            await self.read_anew(key, text(meta, "uid"))
            raise
        self._pacer.written(key, self._clock.monotonic() - started)
        return True

    def admits(self, key: Key) -> bool:
        """Returns whether progress may be written now; if not, the object is put in line and queued in its turn."""
        return self._pacer.admit(key)

    def forget(self, key: Key) -> None:
        """Drops what is known of an object that is gone."""
        self._pacer.forget(key)

    async def read_anew(self, key: Key, uid: str) -> None:
        """Reads an object into the store, as somebody else may have written it; one that is gone is forgotten."""
        try:
            self._store.put(key.kind, await self._api.get(key))
        except NotFound:
            self._store.remove(key, uid)
