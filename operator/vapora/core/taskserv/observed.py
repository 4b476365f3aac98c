"""What one reconcile knows of a Taskserv."""

from __future__ import annotations

from dataclasses import dataclass

from vapora.api.taskserv import TaskservSpec
from vapora.core.owned import KeptView
from vapora.core.plan import Key, Manifest, Problem
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.dependencies import Need
from vapora.core.views import Meta, PodView, WorkloadView, child


@dataclass(frozen=True, slots=True)
class Observed:
    """Is the service, what was made for it, its pods, and the services it needs.

    `cycle` is the path of required dependencies that leads back to it; empty where there is none. `leftovers` have the
    names of what is made for it and belong to another owner.
    """

    meta: Meta
    spec: TaskservSpec | SpecProblem
    status: Manifest
    children: tuple[KeptView, ...]
    pods: tuple[PodView, ...]
    needs: tuple[Need, ...]
    cycle: tuple[Key, ...]
    leftovers: tuple[Meta, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def has_workload(self) -> bool:
        """Is true where pods are run for it, by whatever kind."""
        return any(isinstance(view, WorkloadView) for view in self.children)

    def find_workload(self, kind: str) -> WorkloadView | None:
        """Returns what runs the pods: a Deployment or a StatefulSet, as `kind` says."""
        return next((v for v in self.children if isinstance(v, WorkloadView) and v.meta.key.kind == kind), None)

    def find_child(self, manifest: Manifest) -> KeptView | None:
        """Returns the child that a manifest is about."""
        named = (manifest["kind"], child(manifest, "metadata")["name"])
        return next((view for view in self.children if (view.meta.key.kind, view.meta.key.name) == named), None)
