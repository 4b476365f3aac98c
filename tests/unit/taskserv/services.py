"""Builders of observed services, and a small world that carries a plan out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from vapora.api.taskserv import Dependency
from vapora.core.plan import Apply, Delete, Key, Plan
from vapora.core.taskserv.dependencies import Need, Provider
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.supported import read_taskserv_spec
from vapora.core.views import PodView, WorkloadView, child, project, project_meta, project_pod

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
KEY = Key("Taskserv", "system", "backend")


def build_spec(**fields: object) -> dict[str, object]:
    return {"image": "backend:${version}", "version": "0.1.0", "replicas": 3, "ports": {"http": 8080}, **fields}


def build_observed(*needs: Need, **fields: object) -> Observed:
    manifest = {"metadata": {"namespace": KEY.namespace, "name": KEY.name, "uid": "uid-1", "generation": 1}}
    return Observed(
        meta=project_meta(manifest, "Taskserv"),
        spec=read_taskserv_spec(build_spec(**fields)),
        status={},
        children=(),
        pods=(),
        needs=needs,
        cycle=(),
    )


def need(
    name: str, phase: str | None, *, ready: bool = False, exposed: bool = False, foreign: bool = False, **fields: object
) -> Need:
    dependency = Dependency.model_validate({"name": name, **fields})
    provider = None if phase is None else Provider(phase, ready or phase == "Healthy", exposed)
    return Need(dependency, provider, foreign)


def carry_out(observed: Observed, plan: Plan, *, available: int | None = None) -> Observed:
    """Does what the engine and the cluster would do; `available` replicas come up, all if it is None."""
    children = {view.meta.key: view for view in observed.children}
    for action in plan.actions:
        if isinstance(action, Apply):
            view = make(action.manifest, available)
            children[view.meta.key] = view
        elif isinstance(action, Delete):
            del children[action.key]
    observed = replace(observed, children=tuple(children.values()))
    return observed if plan.status is None else replace(observed, status=plan.status)


def make(manifest: Mapping[str, object], available: int | None) -> object:
    replicas = child(manifest, "spec").get("replicas")
    up = replicas if available is None else available
    status = {"replicas": replicas, "updatedReplicas": replicas, "readyReplicas": up, "availableReplicas": up}
    return project({**manifest, "status": status}, str(manifest["kind"]))


def with_workload(observed: Observed, **fields: object) -> Observed:
    """Changes what the workload reports."""
    children = tuple(replace(view, **fields) if isinstance(view, WorkloadView) else view for view in observed.children)
    return replace(observed, children=children)


def build_pod(*, waiting: Mapping[str, str] | None = None, name: str = "p-1", **status: object) -> PodView:
    statuses = [{"state": {"waiting": dict(waiting)}}] if waiting else []
    manifest = {
        "metadata": {"namespace": KEY.namespace, "name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Pending", "containerStatuses": statuses, **status},
    }
    return project_pod(manifest)
