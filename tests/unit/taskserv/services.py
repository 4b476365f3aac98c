"""Builders of observed services, and a small world that carries a plan out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from vapora.api.taskserv import Dependency
from vapora.core.plan import Apply, Create, Delete, Key, Plan
from vapora.core.taskserv.dependencies import Need, Provider
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.plan import plan_taskserv
from vapora.core.taskserv.supported import read_taskserv_spec
from vapora.core.views import ChildView, PodView, RevisionView, WorkloadView, child, project, project_meta, project_pod

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
    name: str,
    phase: str | None,
    *,
    ready: bool = False,
    exposed: bool = False,
    foreign: bool = False,
    at: str = "",
    **fields: object,
) -> Need:
    dependency = Dependency.model_validate({"name": name, **fields})
    provider = None if phase is None else Provider(phase, ready or phase == "Healthy", exposed, at)
    return Need(dependency, provider, foreign)


def respec(observed: Observed, **fields: object) -> Observed:
    meta = replace(observed.meta, generation=observed.meta.generation + 1)
    return replace(observed, spec=read_taskserv_spec(build_spec(**fields)), meta=meta)


def carry_out(observed: Observed, plan: Plan, *, available: int | None = None) -> Observed:
    """Does what the engine and the cluster would do; `available` replicas come up, all if it is None."""
    views: dict[Key, ChildView] = {view.meta.key: view for view in (*observed.children, *observed.revisions)}
    for action in plan.actions:
        if isinstance(action, Apply | Create):
            view = make(action.manifest, views, available)
            views[view.meta.key] = view
        elif isinstance(action, Delete):
            del views[action.key]
    observed = replace(
        observed,
        children=tuple(view for view in views.values() if not isinstance(view, RevisionView)),
        revisions=tuple(view for view in views.values() if isinstance(view, RevisionView)),
    )
    return observed if plan.status is None else replace(observed, status=plan.status)


def make(manifest: Mapping[str, object], views: Mapping[Key, ChildView], available: int | None) -> ChildView:
    """Makes a child, or sets its size and leaves the rest; one that is new has one replica, as the API server says."""
    made = project(manifest, str(manifest["kind"]))
    former = views.get(made.meta.key)
    if not isinstance(made, WorkloadView):
        return made
    sized = child(manifest, "spec").get("replicas")
    size = sized if isinstance(sized, int) else former.replicas if isinstance(former, WorkloadView) else 1
    base = former if isinstance(former, WorkloadView) and "template" not in child(manifest, "spec") else made
    up = size if available is None else min(available, size)
    return replace(
        base, meta=made.meta, replicas=size, existing=size, updated=size, ready=up, available=up, is_observed=True
    )


def settle(observed: Observed, now: datetime = NOW, available: int | None = None) -> Observed:
    """Plans and carries out until nothing is left to do."""
    for _ in range(20):
        plan = plan_taskserv(observed, now)
        after = carry_out(observed, plan, available=available)
        if after == observed:
            return observed
        observed = after
    raise AssertionError(f"never settles: {plan}")


def wait_out(observed: Observed, seconds: float, *, start: datetime = NOW) -> tuple[Observed, datetime]:
    """Lets time go by, with a look at every moment that a plan asks for, until nothing changes by itself any more."""
    now, end = start, start + timedelta(seconds=seconds)
    while True:
        observed = settle(observed, now)
        due = plan_taskserv(observed, now).requeue_after
        if due is None or now + timedelta(seconds=due) > end:
            return observed, end
        now += timedelta(seconds=max(due, 0.001))


def find_workload(observed: Observed, name: str = KEY.name) -> WorkloadView | None:
    views = (view for view in observed.children if isinstance(view, WorkloadView))
    return next((view for view in views if view.meta.key.name == name), None)


def with_workload(observed: Observed, name: str = KEY.name, **fields: object) -> Observed:
    """Changes what a workload reports."""
    meant = find_workload(observed, name)
    children = tuple(replace(view, **fields) if view is meant else view for view in observed.children)
    return replace(observed, children=children)


def build_pod(
    *, waiting: Mapping[str, str] | None = None, name: str = "p-1", revision: str = "", **status: object
) -> PodView:
    statuses = [{"state": {"waiting": dict(waiting)}}] if waiting else []
    manifest = {
        "metadata": {
            "namespace": KEY.namespace,
            "name": name,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"vapora.dev/revision": revision},
        },
        "status": {"phase": "Pending", "containerStatuses": statuses, **status},
    }
    return project_pod(manifest)


def say(status: Mapping[str, object]) -> dict[str, str]:
    return {row["type"]: f"{row['status']} {row['reason']}: {row['message']}" for row in status["conditions"]}
