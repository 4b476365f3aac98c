"""Builders of observed pools, and a small world that carries a plan out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known
from vapora.core.agentpool.observed import Observed, QueueState
from vapora.core.agentpool.supported import read_pool_spec
from vapora.core.naming import FINALIZER_CLEANUP, SIZE_MANAGER
from vapora.core.plan import Apply, Delete, EnsureQueue, Key, Patch, Plan, RemoveQueue
from vapora.core.views import PodView, WorkloadView, child, project_meta, project_plain, project_pod, project_workload

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
KEY = Key("AgentPool", "agents", "developer")
SCALING = {"min": 5, "max": 20}


def build_spec(**fields: object) -> dict[str, object]:
    return {"role": "developer", "maxConcurrent": 2, "template": {"image": "agents:1"}, "scaling": SCALING, **fields}


def build_observed(
    queued: int = 0, in_flight: int = 0, *, finalizers: tuple[str, ...] = (FINALIZER_CLEANUP,), **fields: object
) -> Observed:
    meta = project_meta(
        {
            "metadata": {
                "namespace": KEY.namespace,
                "name": KEY.name,
                "uid": "uid-1",
                "generation": 1,
                "finalizers": list(finalizers),
            }
        },
        "AgentPool",
    )
    return Observed(
        meta=meta,
        resource_version="7",
        deleted_at=None,
        spec=read_pool_spec(build_spec(**fields)),
        status={},
        workload=None,
        pods=(),
        depth=QueueDepth(Known(queued), Known(in_flight)),
        queue=QueueState.UNTOUCHED,
        broker_problem=None,
        nats_url="nats://nats:4222",
        foreign="",
    )


def carry_out(observed: Observed, plan: Plan, *, ready: bool = True) -> Observed:
    """Does what the engine and the cluster would do; with `ready` every agent comes up."""
    for action in plan.actions:
        if isinstance(action, Apply):
            observed = apply(observed, action, ready=ready)
        elif isinstance(action, Delete):
            observed = replace(observed, autoscaler=None)
        elif isinstance(action, EnsureQueue):
            observed = replace(observed, queue=QueueState.MADE)
        elif isinstance(action, RemoveQueue):
            observed = replace(observed, queue=QueueState.REMOVED)
        elif isinstance(action, Patch):
            finalizers = tuple(child(action.body, "metadata")["finalizers"])
            observed = replace(observed, meta=replace(observed.meta, finalizers=finalizers))
    return observed if plan.status is None else replace(observed, status=plan.status)


def apply(observed: Observed, action: Apply, *, ready: bool) -> Observed:
    if action.manifest["kind"] == "HorizontalPodAutoscaler":
        return replace(observed, autoscaler=project_plain(action.manifest, "HorizontalPodAutoscaler"))
    if action.manager != SIZE_MANAGER:
        replicas = observed.workload.replicas if observed.workload else 1
        return replace(observed, workload=deploy(action.manifest, replicas, ready=ready))
    sized = deploy({"spec": {}}, child(action.manifest, "spec")["replicas"], ready=ready)
    had = observed.workload
    return replace(observed, workload=replace(sized, meta=had.meta, applied=had.applied))


def deploy(manifest: Mapping[str, object], replicas: int, *, ready: bool) -> WorkloadView:
    up = replicas if ready else 0
    status = {"replicas": replicas, "updatedReplicas": replicas, "readyReplicas": up, "availableReplicas": up}
    spec = {**child(manifest, "spec"), "replicas": replicas}
    return project_workload({**manifest, "spec": spec, "status": status}, "Deployment")


def build_pod(*, waiting: Mapping[str, str] | None = None, name: str = "p-1", **status: object) -> PodView:
    statuses = [{"state": {"waiting": dict(waiting)}}] if waiting else []
    manifest = {
        "metadata": {"namespace": KEY.namespace, "name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Pending", "containerStatuses": statuses, **status},
    }
    return project_pod(manifest)
