"""The resync: makes sure that the store holds what the API server holds, whatever a watch has missed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vapora.controller.ports import ApiError, Clock, KubeApi, NotFound
from vapora.controller.store import Store, resource_version
from vapora.controller.workqueue import Priority, WorkQueue
from vapora.core.plan import Key
from vapora.core.views import child, text

log = logging.getLogger(__name__)

EVERY = 600.0
_PATIENCE = 60.0  # seconds given to the watches for their first list, before what they miss is read one by one
_LIST_AGAIN = 2.0
_RETRY = 5.0
_POLL = 0.1


class Resync:
    """Lists the metadata of our kinds at the start and every ten minutes.

    At the start it only waits until the watches have brought all that exists: then `is_synced`. Later it drops what is
    gone, reads what differs, and queues both.
    """

    def __init__(self, api: KubeApi, store: Store, queue: WorkQueue, clock: Clock, kinds: Sequence[str]) -> None:
        self._api = api
        self._store = store
        self._queue = queue
        self._clock = clock
        self._kinds = kinds
        self.is_synced = False
        self.tried_at = clock.monotonic()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while not await self._try_first():
            await self._clock.sleep(_RETRY)
        self.is_synced = True
        while True:
            await self._clock.sleep(EVERY)
            while not await self._try_once():
                await self._clock.sleep(_RETRY)

    async def once(self) -> None:
        """Brings the store to what the API server holds now."""
        for kind in self._kinds:
            known = self._store.keys(kind)
            listed = await self._list(kind)
            for key in known:
                if key not in listed and (obj := self._store.get(key)) is not None:
                    if (parent := self._store.parent_of(key)) is not None:
                        self._queue.add(parent, Priority.BACKGROUND)
                    self._store.remove(key, text(child(obj, "metadata"), "uid"))
                    self._queue.add(key, Priority.BACKGROUND)
            for key, version in listed.items():
                if version > self._store.version(key):
                    await self._read(key)
        self._queue_orphans()

    def queue_all(self) -> None:
        """Queues every object of our kinds, and every child whose owner is not known."""
        for kind in self._kinds:
            for key in self._store.keys(kind):
                self._queue.add(key, Priority.BACKGROUND)
        self._queue_orphans()

    async def _try_first(self) -> bool:
        """Waits until all that exists is in the store; returns False where it cannot be listed."""
        self.tried_at = self._clock.monotonic()
        deadline = self._clock.monotonic() + _PATIENCE
        try:
            while missing := await self._find_missing():
                if self._clock.monotonic() >= deadline:
                    log.warning("the watches have not brought everything", extra={"missing": len(missing)})
                    return await self._try_once()
                await self._await_objects(missing)
        except ApiError as problem:
            log.warning("our kinds cannot be listed", extra={"problem": str(problem)})
            return False
        return True

    async def _find_missing(self) -> list[Key]:
        """Lists what exists now and is not in the store; what was deleted since the last list is not among it."""
        return [key for kind in self._kinds for key in await self._list(kind) if self._store.get(key) is None]

    async def _await_objects(self, missing: Sequence[Key]) -> None:
        again = self._clock.monotonic() + _LIST_AGAIN
        while self._clock.monotonic() < again and any(self._store.get(key) is None for key in missing):
            await self._clock.sleep(_POLL)

    async def _try_once(self) -> bool:
        self.tried_at = self._clock.monotonic()
        try:
            await self.once()
        except ApiError as problem:
            log.warning("the resync failed", extra={"problem": str(problem)})
            return False
        return True

    async def _list(self, kind: str) -> dict[Key, int]:
        listed = {}
        async for obj in self._api.list(kind, metadata_only=True):
            meta = child(obj, "metadata")
            listed[Key(kind, text(meta, "namespace"), text(meta, "name"))] = resource_version(obj)
        return listed

    async def _read(self, key: Key) -> None:
        try:
            if self._store.put(key.kind, await self._api.get(key)):
                self._queue.add(key, Priority.BACKGROUND)
        except NotFound:
            log.debug("an object went while it was read", extra={"object": str(key)})

    def _queue_orphans(self) -> None:
        for owner in self._store.owners():
            if self._store.key_of(owner) is None:
                for key in self._store.children(owner):
                    self._queue.add(key, Priority.BACKGROUND)
