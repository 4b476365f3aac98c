"""What one reconcile knows of a Taskserv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vapora.api.taskserv import TaskservSpec
from vapora.core.plan import Key, Manifest, Problem
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.capacity import NodeSize
from vapora.core.taskserv.dependencies import Need
from vapora.core.taskserv.objects.workload import name_workload
from vapora.core.taskserv.upgrade.layout import BLUE, GREEN, Tracks, read_active
from vapora.core.views import JobView, Meta, PlainView, PodView, RevisionView, RouteView, WorkloadView, child

MadeView = WorkloadView | JobView | PlainView | RouteView


@dataclass(frozen=True, slots=True)
class Observed:
    """Is the service, what was made for it, its pods, and the services it needs.

    `asked` is the request annotation. `cycle` is the path of required dependencies that leads back to it; empty where
    there is none. `conflicts` are the services that must not be there with it. `leftovers` have the names of what is
    made for it and belong to another owner. `config` are the digests of what pods use; None where one may not be read.
    """

    meta: Meta
    spec: TaskservSpec | SpecProblem
    status: Manifest
    children: tuple[MadeView, ...]
    pods: tuple[PodView, ...]
    needs: tuple[Need, ...]
    cycle: tuple[Key, ...]
    asked: str = ""
    revisions: tuple[RevisionView, ...] = ()
    conflicts: tuple[str, ...] = ()
    leftovers: tuple[Meta, ...] = ()
    config: Mapping[Key, str | None] = field(default_factory=dict)
    nodes: tuple[NodeSize, ...] | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def has_workload(self) -> bool:
        """Is true where pods are run for it, by whatever kind."""
        return any(isinstance(view, WorkloadView | JobView) for view in self.children)

    @property
    def tracks(self) -> Tracks:
        """Is what is there of the service's two Deployments."""
        names = {name_workload(self.meta, track): track for track in (BLUE, GREEN)}
        found = [v for v in self.children if isinstance(v, WorkloadView) and v.meta.key.kind == "Deployment"]
        views = tuple((names[v.meta.key.name], v) for v in found if v.meta.key.name in names)
        return Tracks(read_active(self.status), views)

    def find_workload(self, kind: str, track: str) -> WorkloadView | None:
        """Returns what runs the pods: the Deployment of a track, or the StatefulSet."""
        if kind == "Deployment":
            return self.tracks.find(track)
        return next((v for v in self.children if isinstance(v, WorkloadView) and v.meta.key.kind == kind), None)

    def find_child(self, manifest: Manifest) -> MadeView | None:
        """Returns the child that a manifest is about."""
        named = (manifest["kind"], child(manifest, "metadata")["name"])
        return next((view for view in self.children if (view.meta.key.kind, view.meta.key.name) == named), None)
