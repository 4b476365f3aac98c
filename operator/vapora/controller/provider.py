"""The controller of Providers: their inventories are read again and again, their use is told as it is."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from vapora.controller.ports import Clock
from vapora.controller.providergate import KIND, ProviderGate
from vapora.controller.reconcile import Kit, PlannedReconciler
from vapora.controller.specs import SpecCache
from vapora.controller.store import Store
from vapora.core.calls import Account, ListCall, Listing, read_listed
from vapora.core.naming import LABEL_PROVIDER
from vapora.core.plan import Key
from vapora.core.provider.plan import TASKSERV, Observed, Reading, plan_provider, read_inventory
from vapora.core.provider.supported import read_provider
from vapora.core.provider.types import ProviderTypes
from vapora.core.supported import SpecProblem
from vapora.core.views import Meta, child, project_meta

REFRESH, AGAIN = 60.0, 10.0  # seconds between two readings; after one that failed
_SOON, _BUSY = 1.0, 5.0  # after an operation, with those that end beside it; while one goes on
_TICK = 0.5


class Inventories:
    """Reads what Providers have, as their accounts: on an interval, when they change, and after each operation."""

    def __init__(
        self, types: ProviderTypes, store: Store, gate: ProviderGate, clock: Clock, wake: Callable[[Key], None]
    ):
        self._store = store
        self._gate = gate
        self._clock = clock
        self._wake = wake
        self._specs = SpecCache(lambda raw: read_provider(types, raw))
        self._readings: dict[Key, tuple[str, int, Reading]] = {}
        self._due: dict[Key, float] = {}
        self._has_any = asyncio.Event()

    def observe(self, key: Key) -> Observed | None:
        """Returns all that is known of a Provider; None where it is gone."""
        obj = self._store.get(key)
        if obj is None:
            self._specs.forget(key)
            self._readings.pop(key, None)
            self._due.pop(key, None)
            return None
        self._has_any.set()
        meta = project_meta(obj, KIND)
        in_use, throttled, _ = self._gate.count(key)
        return Observed(
            meta=meta,
            spec=self._specs.get(meta, obj),
            status=child(obj, "status"),
            reading=self._find_reading(meta),
            in_use=in_use,
            throttled=throttled,
        )

    def refresh(self, key: Key, within: float) -> None:
        """Has an inventory read within so many seconds."""
        self._due[key] = min(self._due.get(key, math.inf), self._clock.monotonic() + within)

    async def run(self) -> None:
        """Reads inventories when they are due, until it is cancelled; it rests while there is no Provider."""
        while True:
            await self._has_any.wait()
            await self._clock.sleep(_TICK)
            keys = self._store.keys(KIND)
            async with asyncio.TaskGroup() as group:
                for key in keys:
                    if self._is_due(key):
                        group.create_task(self.read(key))
            if not keys:
                self._has_any.clear()

    async def read(self, key: Key) -> None:
        """Reads one inventory, and has the Provider looked at."""
        obj = self._store.get(key)
        if obj is None:
            return
        meta = project_meta(obj, KIND)
        spec = self._specs.get(meta, obj)
        self._due[key] = self._clock.monotonic() + (_BUSY if self._gate.count(key)[0] else REFRESH)
        if isinstance(spec, SpecProblem):
            return
        account = Account(key.namespace, spec[0].service_account_name)
        selector = f"{LABEL_PROVIDER}={key.name}"
        kinds = (*spec[1].list_kinds(), TASKSERV)
        call = ListCall(tuple(Listing(version, kind, key.namespace, selector) for version, kind in kinds))
        answer = await self._gate.request(key, call, account)
        if answer.is_failure:
            self._due[key] = self._clock.monotonic() + AGAIN
            self._keep(meta, Reading(self._clock.now(), refusal=answer))
        else:
            self._keep(meta, Reading(self._clock.now(), read_inventory(spec[1], read_listed(answer))))

    def _keep(self, meta: Meta, reading: Reading) -> None:
        self._readings[meta.key] = (meta.uid, meta.generation, reading)
        self._wake(meta.key)

    def _find_reading(self, meta: Meta) -> Reading | None:
        uid, generation, reading = self._readings.get(meta.key, ("", 0, None))
        return reading if (uid, generation) == (meta.uid, meta.generation) else None

    def _is_due(self, key: Key) -> bool:
        obj = self._store.get(key)
        is_known = obj is not None and self._find_reading(project_meta(obj, KIND)) is not None
        is_asked = key in self._due and self._clock.monotonic() >= self._due[key]
        return is_asked or key not in self._due or (not is_known and self._is_sound(key))

    def _is_sound(self, key: Key) -> bool:
        obj = self._store.get(key) or {}
        return not isinstance(self._specs.get(project_meta(obj, KIND), obj), SpecProblem)


class ProviderReconciler:
    """Reconciles Providers; limits that were raised let in who waits, and what ended is read."""

    def __init__(self, inventories: Inventories, gate: ProviderGate, kit: Kit) -> None:
        self._inner = PlannedReconciler(inventories.observe, plan_provider, kit)
        self._inventories = inventories
        self._gate = gate
        self._ended: dict[Key, int] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one Provider once."""
        self._gate.admit(key)
        in_use, _, ended = self._gate.count(key)
        if in_use or ended != self._ended.get(key, 0):
            self._inventories.refresh(key, _BUSY if in_use and ended == self._ended.get(key, 0) else _SOON)
        self._ended[key] = ended
        return await self._inner.reconcile(key)
