"""Taskservs: how they are observed, and who is told when one of them turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from vapora.api.taskserv import Dependency, TaskservSpec
from vapora.controller.dependents import Dependents
from vapora.controller.leftovers import find_leftovers
from vapora.controller.ports import JsonObject
from vapora.controller.reconcile import Kit, PlannedReconciler
from vapora.controller.specs import SpecCache
from vapora.controller.store import Store
from vapora.core.plan import Key
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.dependencies import Need, Provider, find_cycle
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.plan import plan_taskserv
from vapora.core.taskserv.supported import read_taskserv_spec
from vapora.core.views import PlainView, PodView, WorkloadView, child, project_meta, rows, text

KIND = "Taskserv"
CHILD_KINDS = ("Deployment", "StatefulSet", "Service")


class TaskservObserver:
    """Gathers what a plan must know of a service."""

    def __init__(self, store: Store, dependents: Dependents) -> None:
        self._store = store
        self._dependents = dependents
        self._specs = SpecCache(read_taskserv_spec)

    def observe(self, key: Key) -> Observed | None:
        """Returns the service with everything around it; None where it is gone."""
        obj = self._store.get(key)
        self._dependents.register(key, _read_needed(key, obj or {}, required_only=False))
        if obj is None:
            self._specs.forget(key)
            return None
        meta = project_meta(obj, KIND)
        spec = self._specs.get(meta, obj)
        children = self._store.children(meta.uid).values()
        return Observed(
            meta=meta,
            spec=spec,
            status=child(obj, "status"),
            children=tuple(view for view in children if isinstance(view, WorkloadView | PlainView)),
            pods=tuple(view for view in children if isinstance(view, PodView)),
            needs=tuple(self._observe_needs(key, spec)),
            cycle=find_cycle(key, self._find_required),
            leftovers=tuple(find_leftovers(self._store, meta, [(kind, key.name) for kind in CHILD_KINDS])),
        )

    def _observe_needs(self, key: Key, spec: TaskservSpec | SpecProblem) -> Iterator[Need]:
        if isinstance(spec, SpecProblem):
            return
        for dependency in spec.dependencies:
            namespace = dependency.namespace or key.namespace
            yield Need(dependency, self._observe_provider(dependency, namespace), namespace != key.namespace)

    def _observe_provider(self, dependency: Dependency, namespace: str) -> Provider | None:
        obj = self._store.get(Key(KIND, namespace, dependency.name))
        if obj is None:
            return None
        phase, is_ready = _read_standing(obj)
        is_exposed = text(child(obj, "spec"), "exposure") in {"internal", "public"}
        return Provider(phase, is_ready, is_exposed)

    def _find_required(self, key: Key) -> Iterator[Key]:
        return _read_needed(key, self._store.get(key) or {}, required_only=True)


class TaskservReconciler:
    """Reconciles services, and has those that need one looked at as soon as it turns."""

    def __init__(
        self, observer: TaskservObserver, dependents: Dependents, kit: Kit, enqueue: Callable[[Key], None]
    ) -> None:
        self._inner = PlannedReconciler(observer.observe, plan_taskserv, kit)
        self._dependents = dependents
        self._store = kit.store
        self._enqueue = enqueue
        self._standing: dict[Key, tuple[object, ...]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one service once."""
        try:
            return await self._inner.reconcile(key)
        finally:  # its status may be written although another action was refused
            self._wake_dependents(key)

    def _wake_dependents(self, key: Key) -> None:
        obj = self._store.get(key)
        before = self._standing.pop(key, None)
        if obj is not None:
            self._standing[key] = (*_read_standing(obj), text(child(obj, "spec"), "exposure"))
        if self._standing.get(key) != before:
            for dependent in sorted(self._dependents.find(key)):
                self._enqueue(dependent)


def _read_standing(obj: JsonObject) -> tuple[str, bool]:
    status = child(obj, "status")
    ready = next((row for row in rows(status, "conditions") if row.get("type") == "Ready"), {})
    return text(status, "phase"), ready.get("status") == "True"


def _read_needed(key: Key, obj: Mapping[str, object], *, required_only: bool) -> Iterator[Key]:
    """Reads the raw spec: whether another service's spec is sound is for its own reconcile to say."""
    for row in rows(child(obj, "spec"), "dependencies"):
        if text(row, "kind") not in {"", KIND} or (required_only and row.get("required") is False):
            continue
        yield Key(KIND, text(row, "namespace") or key.namespace, text(row, "name"))
