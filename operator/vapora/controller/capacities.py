"""What namespaces can get of GPUs and queues: read again and again, only while a run needs to know it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from vapora.controller.ports import ApiError, Clock, JsonObject, KubeApi, NotFound
from vapora.controller.store import Store
from vapora.core.gpu.capacity import Capacity, Node, Quota
from vapora.core.gpu.kueue import QueuePlace, rank_workloads
from vapora.core.plan import Key
from vapora.core.views import ChildView, JobView, KueueView, PodView, child, rows, text

log = logging.getLogger(__name__)

_SWEEP = 2.0  # seconds between two looks at a namespace
_NODES = 30.0  # and at the nodes: there are many, and they are large
_QUEUES = 10.0  # and at all that waits in the queues of a namespace
_MAX_JOBS = 20  # of a namespace, whose events are read in one look
_GPU_WORDS = ("nvidia.com/", "amd.com/", "gpu.intel.com/")


class Capacities:
    """Keeps what was last read, by namespace, and wakes the runs that need it when it turns."""

    def __init__(self, api: KubeApi, store: Store, clock: Clock, wake: Callable[[Key], None]) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._wake = wake
        self._runs: dict[Key, str] = {}
        self._known: Mapping[str, Capacity] = {}
        self._nodes: tuple[Node, ...] | None = None
        self._nodes_at: float | None = None
        self._places: dict[str, tuple[float, Mapping[str, QueuePlace]]] = {}
        self._wanted = asyncio.Event()

    @property
    def known(self) -> Mapping[str, Capacity]:
        """Returns what was read; each turn is another mapping."""
        return self._known

    def note(self, key: Key, uid: str) -> None:
        """Says that a run needs to know what its namespace can get."""
        self._runs[key] = uid
        if key.namespace not in self._known:
            self._wanted.set()

    def forget(self, key: Key) -> None:
        """Says that a run needs it no more."""
        self._runs.pop(key, None)

    async def run(self) -> None:
        """Reads until it is cancelled; rests while no run needs anything."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.sweep()
            if self._runs and not self._wanted.is_set():
                await self._pause()
                self._wanted.set()

    async def _pause(self) -> None:
        """Waits for the next look, or until a namespace is wanted that is not known."""
        sleep = asyncio.ensure_future(self._clock.sleep(_SWEEP))
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait((sleep, wanted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            wanted.cancel()

    async def sweep(self) -> None:
        """Reads everything that is needed once, and wakes the runs of namespaces where anything has turned."""
        namespaces = {key.namespace for key in self._runs}
        if namespaces:
            await self._read_nodes()
        for namespace in sorted(namespaces):
            found = await self._read(namespace)
            if found != self._known.get(namespace):
                self._known = {**self._known, namespace: found}
                self._tell(namespace)
        if not namespaces.issuperset(self._known):
            self._known = {name: found for name, found in self._known.items() if name in namespaces}

    def _tell(self, namespace: str) -> None:
        for key, uid in list(self._runs.items()):
            if key.namespace == namespace:
                for job in self._list_jobs(uid):
                    self._store.touch_child(job.meta.key)
                self._wake(key)

    def _list_jobs(self, uid: str) -> list[JobView]:
        views = self._look(uid)
        return [view for view in views if isinstance(view, JobView) and not (view.is_complete or view.is_failed)]

    async def _read_nodes(self) -> None:
        if self._nodes_at is not None and self._clock.monotonic() < self._nodes_at + _NODES:
            return
        found = await self._list("Node")
        self._nodes = None if found is None else tuple(sorted(map(_read_node, found), key=lambda node: node.name))
        self._nodes_at = self._clock.monotonic()

    async def _read(self, namespace: str) -> Capacity:
        quotas = await self._list("ResourceQuota", namespace)
        queues = await self._list("LocalQueue", namespace)
        before = self._known.get(namespace, Capacity())
        return replace(
            before,
            nodes=self._nodes,
            quotas=None if quotas is None else tuple(map(_read_quota, quotas)),
            has_kueue=queues is not None,
            refusals=await self._read_refusals(namespace),
            places=await self._read_places(namespace),
        )

    async def _read_places(self, namespace: str) -> Mapping[str, QueuePlace]:
        """Returns where Workloads stand in their queues, read anew now and then while one of ours waits there."""
        views = [view for key, uid in self._runs.items() if key.namespace == namespace for view in self._look(uid)]
        if not any(isinstance(view, KueueView) and view.wait for view in views):
            self._places.pop(namespace, None)
            return {}
        at, places = self._places.get(namespace, (-_QUEUES, {}))
        if self._clock.monotonic() >= at + _QUEUES:
            places = rank_workloads(await self._list("Workload", namespace) or ())
            self._places[namespace] = (self._clock.monotonic(), places)
        return places

    def _look(self, uid: str) -> Iterable[ChildView]:
        return self._store.children(uid).values()

    async def _read_refusals(self, namespace: str) -> Mapping[str, str]:
        """Returns, for Jobs without a Pod, why their controller could make none: that stands in Events alone."""
        refusals: dict[str, str] = {}
        for key, uid in list(self._runs.items()):  # others come and go while events are read
            if key.namespace != namespace:
                continue
            views = self._look(uid)
            with_pods = {view.meta.controller_uid for view in views if isinstance(view, PodView)}
            for job in self._list_jobs(uid):
                if job.meta.uid in with_pods or len(refusals) >= _MAX_JOBS:
                    continue
                fields = f"involvedObject.uid={job.meta.uid},reason=FailedCreate"
                events = await self._list("Event", namespace, fields)
                if events:
                    refusals[job.meta.uid] = text(max(events, key=_when), "message")
        return refusals

    async def _list(self, kind: str, namespace: str = "", fields: str = "") -> list[JsonObject] | None:
        """Returns the objects of a kind; None where the cluster has not the kind, or does not let us see them."""
        try:
            return [obj async for obj in self._api.list(kind, namespace=namespace, fields=fields)]
        except NotFound:
            return None
        except ApiError as problem:
            log.debug("what a namespace can get could not be read", extra={"kind": kind, "problem": str(problem)})
            return None


def _read_node(obj: JsonObject) -> Node:
    offered = {} if child(obj, "spec").get("unschedulable") is True else child(obj, "status", "allocatable")
    labels = child(obj, "metadata", "labels")
    return Node(
        name=text(child(obj, "metadata"), "name"),
        allocatable={name: str(value) for name, value in offered.items()},
        labels={name: str(value) for name, value in labels.items() if name.startswith(_GPU_WORDS)},
    )


def _read_quota(obj: JsonObject) -> Quota:
    """Reads a quota; one with a scope is left out, as it may not be about the step at all."""
    spec = child(obj, "spec")
    is_scoped = bool(spec.get("scopes")) or bool(rows(child(spec, "scopeSelector"), "matchExpressions"))
    hard = {} if is_scoped else child(spec, "hard")
    return Quota(text(child(obj, "metadata"), "name"), {name: str(value) for name, value in hard.items()})


def _when(event: Mapping[str, object]) -> str:
    return text(event, "lastTimestamp") or text(event, "eventTime")
