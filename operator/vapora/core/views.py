"""What the engine keeps of the children it watches: only what a plan needs, so that other changes wake nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vapora.core import naming
from vapora.core.gpu.admission import find_wait
from vapora.core.plan import Key

ANNOTATION_APPLIED = f"{naming.GROUP}/applied"  # digest of the manifest that we applied last
ANNOTATION_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"  # a ReplicaSet removes the lowest first
ANNOTATION_CONFIG = f"{naming.GROUP}/config"  # of a pod: digest of the Secrets and ConfigMaps that it uses


def parse_time(value: object) -> datetime | None:
    """Reads an RFC 3339 time of the API; None stays None."""
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def child(source: Mapping[str, object], *path: str) -> Mapping[str, object]:
    """Follows a path of nested objects; a missing one is empty."""
    node: object = source
    for name in path:
        # A dict, and that there is nothing, is told at once; any other Mapping slowly.
        if not (type(node) is dict or (node is not None and isinstance(node, Mapping))):
            return {}
        node = node.get(name)
    return node if type(node) is dict or (node is not None and isinstance(node, Mapping)) else {}


def rows(source: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """Returns the objects of a list field; a missing one is empty."""
    value = source.get(name)
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def text(source: Mapping[str, object], name: str) -> str:
    """Returns a string field; a missing one is empty."""
    value = source.get(name)
    return value if isinstance(value, str) else ""


def number(source: Mapping[str, object], name: str) -> int:
    """Returns an integer field; a missing one is 0, as the API leaves zeros out."""
    value = source.get(name)
    return value if isinstance(value, int) else 0


@dataclass(frozen=True, slots=True)
class Meta:
    """Is the part of an object's metadata that plans use."""

    key: Key
    uid: str
    labels: Mapping[str, str]
    owner_uid: str  # who is told of a change: our label first, as a Deployment's Pods belong to its ReplicaSet
    controller_uid: str  # who made it, by the API's own garbage-collected reference
    generation: int
    created_at: datetime | None
    is_deleting: bool
    finalizers: tuple[str, ...]


def project_meta(manifest: Mapping[str, object], kind: str) -> Meta:
    """Reads the metadata of an object; `kind` is given because items of a list do not say theirs."""
    meta = child(manifest, "metadata")
    owners = [owner for owner in rows(meta, "ownerReferences") if owner.get("controller")]
    finalizers = meta.get("finalizers")
    controller = text(owners[0], "uid") if owners else ""
    labels = {name: str(value) for name, value in child(meta, "labels").items() if name.startswith(naming.GROUP)}
    return Meta(
        key=Key(kind, text(meta, "namespace"), text(meta, "name")),
        uid=text(meta, "uid"),
        labels=labels,
        owner_uid=labels.get(naming.LABEL_WORKFLOW) or labels.get(naming.LABEL_OWNER) or controller,
        controller_uid=controller,
        generation=number(meta, "generation"),
        created_at=parse_time(meta.get("creationTimestamp")),
        is_deleting="deletionTimestamp" in meta,
        finalizers=tuple(str(name) for name in finalizers) if isinstance(finalizers, list) else (),
    )


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """Says how a container ended."""

    exit_code: int
    reason: str
    message: str
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class PodView:
    """Is a Pod as a plan sees it.

    `waiting_*` are the first waiting container's, `end` the first container's that ended badly, else the last's.
    `unschedulable` holds the scheduler's words while no node takes the Pod; `deletion_cost` is empty where none is set.
    Views that differ in `node` alone are equal, as it matters only of a Pod that is being deleted: or every Pod would
    be looked at once for nothing.
    """

    meta: Meta
    phase: str
    reason: str
    message: str
    node: str = field(compare=False)
    is_ready: bool
    restarts: int
    waiting_reason: str
    waiting_message: str
    unschedulable: str
    disruption: str
    end: ContainerEnd | None
    last_end: ContainerEnd | None
    deletion_cost: str = ""

    @property
    def is_finished(self) -> bool:
        """Is true once no container runs or will run again."""
        return self.phase in {"Succeeded", "Failed"}


def project_pod(manifest: Mapping[str, object]) -> PodView:
    """Reads a Pod."""
    status = child(manifest, "status")
    containers = rows(status, "initContainerStatuses") + rows(status, "containerStatuses")
    waiting = next((w for c in containers if (w := child(c, "state", "waiting"))), {})
    return PodView(
        meta=project_meta(manifest, "Pod"),
        phase=text(status, "phase") or "Pending",
        reason=text(status, "reason"),
        message=text(status, "message"),
        node=text(child(manifest, "spec"), "nodeName"),
        is_ready=_condition(status, "Ready").get("status") == "True",
        restarts=sum(number(c, "restartCount") for c in containers),
        waiting_reason=text(waiting, "reason"),
        waiting_message=text(waiting, "message"),
        unschedulable=_unschedulable(status),
        disruption=text(_condition(status, "DisruptionTarget"), "reason"),
        end=_worst_end(containers, "state"),
        last_end=_worst_end(containers, "lastState"),
        deletion_cost=text(child(manifest, "metadata", "annotations"), ANNOTATION_DELETION_COST),
    )


def _condition(status: Mapping[str, object], kind: str) -> Mapping[str, object]:
    return next((row for row in rows(status, "conditions") if row.get("type") == kind), {})


def _unschedulable(status: Mapping[str, object]) -> str:
    scheduled = _condition(status, "PodScheduled")
    return text(scheduled, "message") if scheduled.get("status") == "False" else ""


def _worst_end(containers: list[Mapping[str, object]], when: str) -> ContainerEnd | None:
    """Returns how the first container that failed ended, else the main one, else the last."""
    ends = {text(c, "name"): _end(state) for c in containers if (state := child(c, when, "terminated"))}
    failed = next((end for end in ends.values() if end.exit_code != 0), None)
    return failed or ends.get("main") or next(reversed(ends.values()), None)


def _end(state: Mapping[str, object]) -> ContainerEnd:
    return ContainerEnd(
        exit_code=number(state, "exitCode"),
        reason=text(state, "reason"),
        message=text(state, "message"),
        finished_at=parse_time(state.get("finishedAt")),
    )


@dataclass(frozen=True, slots=True)
class JobView:
    """Is a Job as a plan sees it; `is_complete` and `failure` come from its conditions, never from counts."""

    meta: Meta
    is_complete: bool
    is_failed: bool
    reason: str
    message: str
    finished_at: datetime | None


def project_job(manifest: Mapping[str, object]) -> JobView:
    """Reads a Job."""
    status = child(manifest, "status")
    met = {text(row, "type"): row for row in rows(status, "conditions") if row.get("status") == "True"}
    failure = met.get("Failed") or met.get("FailureTarget")
    ending = failure or met.get("Complete") or met.get("SuccessCriteriaMet") or {}
    return JobView(
        meta=project_meta(manifest, "Job"),
        is_complete=failure is None and bool(ending),
        is_failed=failure is not None,
        reason=text(ending, "reason"),
        message=text(ending, "message"),
        finished_at=parse_time(ending.get("lastTransitionTime")),
    )


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """Is a Deployment (or another kind that keeps Pods running) as a plan sees it.

    `applied` is the digest of what we applied last; `existing` counts its pods, `replicas` those that its spec asks
    for; `stalled` is the reason of its own controller, where it gave up. `revision` and `config` are what its pods are
    to be made of.
    """

    meta: Meta
    applied: str
    revision: str
    config: str
    replicas: int
    existing: int
    ready: int
    updated: int
    available: int
    is_observed: bool
    stalled: str
    message: str

    @property
    def is_settled(self) -> bool:
        """Is true once exactly the wanted pods exist, in their newest form, and all are available."""
        return self.is_observed and self.existing == self.updated == self.available == self.replicas


def project_workload(manifest: Mapping[str, object], kind: str) -> WorkloadView:
    """Reads a Deployment or a StatefulSet."""
    status = child(manifest, "status")
    meta = project_meta(manifest, kind)
    template = child(manifest, "spec", "template", "metadata")
    progressing, failure = _condition(status, "Progressing"), _condition(status, "ReplicaFailure")
    bad = failure if failure.get("status") == "True" else progressing if progressing.get("status") == "False" else {}
    return WorkloadView(
        meta=meta,
        applied=text(child(manifest, "metadata", "annotations"), ANNOTATION_APPLIED),
        revision=text(child(template, "labels"), naming.LABEL_REVISION),
        config=text(child(template, "annotations"), ANNOTATION_CONFIG),
        replicas=number(child(manifest, "spec"), "replicas"),
        existing=number(status, "replicas"),
        ready=number(status, "readyReplicas"),
        updated=number(status, "updatedReplicas"),
        available=number(status, "availableReplicas"),
        is_observed=number(status, "observedGeneration") >= meta.generation,
        stalled=text(bad, "reason"),
        message=text(bad, "message"),
    )


@dataclass(frozen=True, slots=True)
class WorkflowView:
    """Is a Workflow as the one that made it sees it; `outputs` are those of its steps, by step.

    `is_partial` says that its status only refers to some of them; `cost_cents` is 0 until it has ended.
    """

    meta: Meta
    phase: str
    reason: str
    message: str
    waiting_on: str
    request: str
    handled_request: str
    finished_at: datetime | None
    outputs: Mapping[str, object]
    is_partial: bool = False
    cost_cents: int = 0


def project_workflow(manifest: Mapping[str, object]) -> WorkflowView:
    """Reads a Workflow."""
    status = child(manifest, "status")
    succeeded = _condition(status, "Succeeded")
    steps = child(status, "steps")
    outputs = {name: found for name in steps if (found := child(steps, name, "outputs"))}
    return WorkflowView(
        meta=project_meta(manifest, "Workflow"),
        phase=text(status, "phase"),
        reason=text(succeeded, "reason"),
        message=text(succeeded, "message"),
        waiting_on=text(status, "waitingOn"),
        request=text(child(manifest, "metadata", "annotations"), naming.ANNOTATION_REQUEST),
        handled_request=text(status, "handledRequest"),
        finished_at=parse_time(status.get("finishedAt")),
        outputs=outputs,
        is_partial="keepsakes" in status or any("outputRef" in child(steps, name) for name in steps),
        cost_cents=number(status, "costCents") if "finishedAt" in status else 0,
    )


@dataclass(frozen=True, slots=True)
class PlainView:
    """Is a child of which only the existence and what we applied matters: a Service, an HPA, an Ingress.

    `is_headless` is about Services: whether it has no address of its own is fixed when it is made.
    """

    meta: Meta
    applied: str
    is_headless: bool = False


def project_plain(manifest: Mapping[str, object], kind: str) -> PlainView:
    """Reads a child that has no state of interest."""
    return PlainView(
        meta=project_meta(manifest, kind),
        applied=text(child(manifest, "metadata", "annotations"), ANNOTATION_APPLIED),
        is_headless=child(manifest, "spec").get("clusterIP") == "None",
    )


@dataclass(frozen=True, slots=True)
class RevisionView:
    """Is a ControllerRevision: what it keeps, under a number that grows."""

    meta: Meta
    number: int
    data: Mapping[str, object]


def project_revision(manifest: Mapping[str, object]) -> RevisionView:
    """Reads a ControllerRevision."""
    return RevisionView(
        meta=project_meta(manifest, "ControllerRevision"),
        number=number(manifest, "revision"),
        data=child(manifest, "data"),
    )


@dataclass(frozen=True, slots=True)
class RouteView:
    """Is an HTTPRoute; `refusal` is why a Gateway does not accept it, in the words of the Gateway's controller."""

    meta: Meta
    applied: str
    refusal: str


def project_route(manifest: Mapping[str, object]) -> RouteView:
    """Reads an HTTPRoute."""
    said = [_condition(parent, "Accepted") for parent in rows(child(manifest, "status"), "parents")]
    refused = next((row for row in said if row.get("status") == "False"), {})
    return RouteView(
        meta=project_meta(manifest, "HTTPRoute"),
        applied=text(child(manifest, "metadata", "annotations"), ANNOTATION_APPLIED),
        refusal=": ".join(filter(None, (text(refused, "reason"), text(refused, "message")))),
    )


@dataclass(frozen=True, slots=True)
class KueueView:
    """Is the Workload that Kueue makes of a Job; `meta` has the labels of the Job's pods, as it has none of its own.

    `wait` and `eviction` are reasons in Kueue's words, `message` is what it says to them.
    """

    meta: Meta
    wait: str
    eviction: str
    message: str


def project_kueue(manifest: Mapping[str, object]) -> KueueView:
    """Reads a Workload of Kueue."""
    pods = rows(child(manifest, "spec"), "podSets")
    labels = child(pods[0], "template", "metadata", "labels") if pods else {}
    meta = project_meta({"metadata": {**child(manifest, "metadata"), "labels": labels}}, "Workload")
    status = child(manifest, "status")
    reserved, evicted = _condition(status, "QuotaReserved"), _condition(status, "Evicted")
    is_evicted = evicted.get("status") == "True"
    wait, message = find_wait(reserved, _condition(status, "Admitted"), rows(status, "admissionChecks"))
    eviction = text(evicted, "reason") or "Evicted" if is_evicted else ""
    return KueueView(meta, wait, eviction, text(evicted, "message") if is_evicted else message)


ChildView = PodView | JobView | WorkloadView | WorkflowView | RevisionView | RouteView | KueueView | PlainView


def project(manifest: Mapping[str, object], kind: str) -> ChildView:
    """Reads a child of any watched kind."""
    if kind in {"Deployment", "StatefulSet"}:
        return project_workload(manifest, kind)
    read = _READERS.get(kind)
    return read(manifest) if read else project_plain(manifest, kind)


_READERS: Mapping[str, Callable[[Mapping[str, object]], ChildView]] = {
    "Pod": project_pod,
    "Job": project_job,
    "Workflow": project_workflow,
    "ControllerRevision": project_revision,
    "HTTPRoute": project_route,
    "Workload": project_kueue,
}
