"""The Pod or Job of one try, with everything by which it is found, kept and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vapora.api.stepbodies import RunBody
from vapora.core import naming
from vapora.core.gpu.job import GpuJob, GpuSettings, build_gpu_job, build_job_policy
from vapora.core.gpu.kueue import build_queueing
from vapora.core.plan import Key
from vapora.core.pods import PodParts, build_pod_template
from vapora.core.views import child
from vapora.core.workflow.status import Identity
from vapora.core.workflow.workspace import build_mount, build_pod_fields, build_volume


@dataclass(frozen=True, slots=True)
class Attempt:
    """Says what a try is: whose, which, as which account; `timeout` in seconds, `ml` where it is to get a GPU.

    `claim` names the claim of the workspace, where there is one, `queue` that of Kueue.
    """

    identity: Identity
    key: Key
    step: str
    item: int
    try_: int
    service_account: str
    timeout: float | None = None
    ml: Mapping[str, object] = field(default_factory=dict)
    claim: str = ""
    queue: str = ""
    gpu: GpuSettings = field(default_factory=GpuSettings)


def build_attempt(attempt: Attempt, body: RunBody) -> dict[str, object]:
    """Builds the manifest of the Pod or Job that `attempt.key` names."""
    labels = build_labels(attempt.identity, attempt.step, attempt.item, attempt.try_)
    template = build_pod_template(_read_parts(attempt, body, labels))
    template_meta = child(template, "metadata")
    metadata = {
        "name": attempt.key.name,
        "namespace": attempt.key.namespace,
        "ownerReferences": [attempt.identity.owner_reference],
        # A try that is drained, deleted or collected before its end was seen would be run again.
        "finalizers": [naming.FINALIZER_ATTEMPT],
    }
    if attempt.key.kind == "Pod":
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template_meta, **metadata}, "spec": template["spec"]}
    template["metadata"] = {**template_meta, "finalizers": [naming.FINALIZER_ATTEMPT]}
    deadline = None if attempt.timeout is None else max(1, round(attempt.timeout))
    spec: dict[str, object] = {**build_job_policy(active_deadline_seconds=deadline), "template": template}
    if attempt.queue:
        queueing = build_queueing(attempt.queue, body.pod_template)
        labels, spec = {**labels, **queueing}, {**spec, "suspend": True}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {**metadata, "labels": labels}, "spec": spec}


def build_labels(identity: Identity, step: str, item: int, try_: int) -> dict[str, str]:
    """Builds the labels by which the child of one try is found."""
    labels = {
        naming.LABEL_MANAGED_BY: naming.FIELD_MANAGER,
        naming.LABEL_WORKFLOW: identity.uid,
        naming.LABEL_STEP: step,
        naming.LABEL_TRY: str(try_),
    }
    return labels if item == naming.NO_ITEM else {**labels, naming.LABEL_ITEM: str(item)}


def _read_parts(attempt: Attempt, body: RunBody, labels: Mapping[str, str]) -> PodParts:
    limits, requests = body.resources.limits, body.resources.requests
    gpu = build_gpu_job(
        attempt.ml,
        attempt.timeout,
        limits=limits,
        requests=requests,
        mounts=body.volume_mounts,
        settings=attempt.gpu,
    )
    volumes, mounts = ([build_volume(attempt.claim)], [build_mount()]) if attempt.claim else ([], [])
    resources = gpu.resources or {"limits": limits, "requests": requests}
    return PodParts(
        image=body.image,
        command=body.command,
        args=body.args,
        env=body.env,
        env_from=body.env_from,
        resources={name: value for name, value in resources.items() if value},
        working_dir=body.working_dir,
        node_selector=body.node_selector,
        tolerations=[*body.tolerations, *gpu.tolerations],
        volumes=[*body.volumes, *gpu.volumes, *volumes],
        volume_mounts=[*body.volume_mounts, *gpu.volume_mounts, *mounts],
        container={"terminationMessagePolicy": "FallbackToLogsOnError"} if attempt.ml else {},
        pod={**(build_pod_fields() if attempt.claim else {}), **_build_placement(gpu)},
        service_account=body.service_account_name or attempt.service_account,
        restart_policy="Never",
        labels=labels,
        annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        pod_template=body.pod_template,
    )


def _build_placement(gpu: GpuJob) -> dict[str, object]:
    placement: dict[str, object] = {"affinity": dict(gpu.affinity)} if gpu.affinity else {}
    return {**placement, "runtimeClassName": gpu.runtime_class} if gpu.runtime_class else placement
