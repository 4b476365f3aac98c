"""Taskservs: how they are observed, and who is told when one of them turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from vapora.api.taskserv import Dependency, TaskservSpec
from vapora.controller.bystanders import NODES, Bystanders
from vapora.controller.dependents import Dependents
from vapora.controller.leftovers import find_leftovers
from vapora.controller.ports import JsonObject
from vapora.controller.reconcile import Kit, PlannedReconciler
from vapora.controller.specs import SpecCache
from vapora.controller.store import Store
from vapora.core.naming import ANNOTATION_REQUEST
from vapora.core.plan import Key
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.dependencies import Need, Provider, find_cycle
from vapora.core.taskserv.objects.exposure import name_candidate
from vapora.core.taskserv.objects.template import build_template, find_config
from vapora.core.taskserv.objects.workload import name_workload
from vapora.core.taskserv.observed import MadeView, Observed
from vapora.core.taskserv.plan import plan_taskserv
from vapora.core.taskserv.supported import read_taskserv_spec
from vapora.core.taskserv.upgrade.layout import GREEN
from vapora.core.taskserv.upgrade.revisions import read_pinned, restore_spec
from vapora.core.views import Meta, PodView, RevisionView, child, project_meta, rows, text

KIND = "Taskserv"
SERVICE = "Service"
_OF_ITS_NAME = (
    "Deployment",
    "StatefulSet",
    "Service",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Ingress",
    "HTTPRoute",
)


class TaskservObserver:
    """Gathers what a plan must know of a service."""

    def __init__(self, store: Store, dependents: Dependents, bystanders: Bystanders) -> None:
        self._store = store
        self._dependents = dependents
        self._bystanders = bystanders
        self._specs = SpecCache(read_taskserv_spec)

    async def look_around(self, key: Key) -> None:
        """Registers everything that a service looks at beside itself, and reads what nobody watches."""
        obj = self._store.get(key)
        needed = _read_needed(key, obj or {}, required_only=False)
        self._dependents.register(key, {*needed, *(Key(KIND, key.namespace, name) for name in _read_excluded(obj))})
        await self._bystanders.look_at(key, self._list_bystanders(key, obj) if obj else ())

    def observe(self, key: Key) -> Observed | None:
        """Returns the service with everything around it; None where it is gone."""
        obj = self._store.get(key)
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
            children=tuple(view for view in children if isinstance(view, MadeView) and not _is_foreign(view, meta)),
            pods=tuple(view for view in children if isinstance(view, PodView)),
            needs=tuple(self._observe_needs(key, spec)),
            cycle=find_cycle(key, self._find_required),
            asked=text(child(obj, "metadata", "annotations"), ANNOTATION_REQUEST),
            revisions=_list_revisions(self._store, meta),
            conflicts=tuple(self._find_conflicts(key, obj)),
            leftovers=tuple(find_leftovers(self._store, meta, _list_names(meta, spec))),
            config={used: self._bystanders.find_digest(used) for used in self._list_config(meta, obj, spec)},
            nodes=self._bystanders.find_nodes(),
        )

    def _list_bystanders(self, key: Key, obj: JsonObject) -> Iterator[Key]:
        meta = project_meta(obj, KIND)
        spec = self._specs.get(meta, obj)
        if isinstance(spec, SpecProblem):
            return
        yield from self._list_config(meta, obj, spec)
        for dependency in spec.dependencies:
            if dependency.kind == SERVICE:
                yield Key(SERVICE, dependency.namespace or key.namespace, dependency.name)
        if spec.minimum_resources:
            yield NODES

    def _list_config(self, meta: Meta, obj: JsonObject, spec: TaskservSpec | SpecProblem) -> frozenset[Key]:
        """Returns the Secrets and ConfigMaps of the spec's pods, and of those that run instead."""
        if isinstance(spec, SpecProblem) or spec.type == "job":
            return frozenset()
        pinned = read_pinned(_list_revisions(self._store, meta), child(obj, "status"))
        specs = [spec, restore_spec(spec, pinned)] if pinned else [spec]
        templates = (build_template(meta, each, "") for each in specs)
        return frozenset(key for template in templates for key in find_config(template, meta.key.namespace))

    def _observe_needs(self, key: Key, spec: TaskservSpec | SpecProblem) -> Iterator[Need]:
        if isinstance(spec, SpecProblem):
            return
        for dependency in spec.dependencies:
            namespace = dependency.namespace or key.namespace
            yield Need(dependency, self._observe_provider(dependency, namespace), namespace != key.namespace)

    def _observe_provider(self, dependency: Dependency, namespace: str) -> Provider | None:
        if dependency.kind == SERVICE:
            return self._bystanders.find_provider(Key(SERVICE, namespace, dependency.name))
        obj = self._store.get(Key(KIND, namespace, dependency.name))
        if obj is None:
            return None
        phase, is_ready, version = _read_standing(obj)
        is_exposed = text(child(obj, "spec"), "exposure") in {"internal", "public"}
        return Provider(phase, is_ready, is_exposed, version)

    def _find_required(self, key: Key) -> Iterator[Key]:
        return _read_needed(key, self._store.get(key) or {}, required_only=True)

    def _find_conflicts(self, key: Key, obj: JsonObject) -> Iterator[str]:
        """Yields the names of those that are there before it and exclude it, or that it excludes."""
        named = {Key(KIND, key.namespace, name) for name in _read_excluded(obj)}
        naming = {
            other for other in self._dependents.find(key) if key.name in _read_excluded(self._store.get(other) or {})
        }
        for other in sorted(named | naming):
            found = self._store.get(other)
            if found is not None and other != key and _goes_first(found, obj):
                yield other.name


class TaskservReconciler:
    """Reconciles services, and has those that look at one looked at as soon as it turns."""

    def __init__(
        self, observer: TaskservObserver, dependents: Dependents, kit: Kit, enqueue: Callable[[Key], None]
    ) -> None:
        self._observer = observer
        self._inner = PlannedReconciler(observer.observe, plan_taskserv, kit)
        self._dependents = dependents
        self._store = kit.store
        self._enqueue = enqueue
        self._standing: dict[Key, tuple[object, ...]] = {}
        self._excluded: dict[Key, frozenset[str]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one service once."""
        await self._observer.look_around(key)
        try:
            return await self._inner.reconcile(key)
        finally:  # its status may be written although another action was refused
            self._wake_dependents(key)

    def _wake_dependents(self, key: Key) -> None:
        obj = self._store.get(key)
        before, excluded = self._standing.pop(key, None), self._excluded.pop(key, frozenset())
        if obj is not None:
            self._standing[key] = (*_read_standing(obj), text(child(obj, "spec"), "exposure"))
            self._excluded[key] = frozenset(_read_excluded(obj))
        woken = {Key(KIND, key.namespace, name) for name in excluded ^ self._excluded.get(key, frozenset())}
        if obj is None:
            woken |= {Key(KIND, key.namespace, name) for name in excluded}
        if self._standing.get(key) != before:
            woken |= self._dependents.find(key)
        for dependent in sorted(woken):
            self._enqueue(dependent)


def _list_names(meta: Meta, spec: TaskservSpec | SpecProblem) -> Iterator[tuple[str, str]]:
    """Yields the kinds and names that the service may need for what is made for it."""
    yield from ((kind, meta.key.name) for kind in _OF_ITS_NAME)
    if isinstance(spec, TaskservSpec) and spec.upgrade.strategy in {"canary", "bluegreen"}:
        yield "Deployment", name_workload(meta, GREEN)
        yield SERVICE, name_candidate(meta)


def _list_revisions(store: Store, meta: Meta) -> tuple[RevisionView, ...]:
    return tuple(view for view in store.children(meta.uid).values() if isinstance(view, RevisionView))


def _is_foreign(view: MadeView, meta: Meta) -> bool:
    """Is true for what a StatefulSet made and labelled as its pods are."""
    return bool(view.meta.controller_uid) and view.meta.controller_uid != meta.uid


def _goes_first(other: JsonObject, obj: JsonObject) -> bool:
    """Of two that exclude each other the one that was deployed stays, else the older one."""
    ranks = []
    for each in (other, obj):
        has_run = bool(text(child(each, "status"), "version"))
        meta = child(each, "metadata")
        ranks.append((not has_run, text(meta, "creationTimestamp"), text(meta, "name")))
    return ranks[0] < ranks[1]


def _read_standing(obj: JsonObject) -> tuple[str, bool, str]:
    status = child(obj, "status")
    ready = next((row for row in rows(status, "conditions") if row.get("type") == "Ready"), {})
    return text(status, "phase"), ready.get("status") == "True", text(status, "version")


def _read_excluded(obj: Mapping[str, object] | None) -> list[str]:
    named = child(obj or {}, "spec").get("conflictsWith")
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def _read_needed(key: Key, obj: Mapping[str, object], *, required_only: bool) -> Iterator[Key]:
    """Reads the raw spec: whether another service's spec is sound is for its own reconcile to say."""
    for row in rows(child(obj, "spec"), "dependencies"):
        if text(row, "kind") not in {"", KIND} or (required_only and row.get("required") is False):
            continue
        yield Key(KIND, text(row, "namespace") or key.namespace, text(row, "name"))
