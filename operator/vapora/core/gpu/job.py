"""What a GPU Job has beyond any other Job: resources, shared memory, a toleration, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vapora.core.gpu.decision import GPU_RESOURCE, is_gpu_resource
from vapora.core.gpu.profiles import DEFAULT_PROFILES, Profile
from vapora.core.views import child, number, text

JOB_TTL_SECONDS = 3600
SHM_VOLUME = "vapora-shm"
SHM_PATH = "/dev/shm"  # noqa: S108 - where the frameworks' data loaders hand tensors on, not a temporary file

# The condition Failed of a Job that a disruption ended (eviction, preemption, node lost): an infrastructure failure.
DISRUPTION_REASON = "PodFailurePolicy"

Object = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class GpuSettings:
    """Is what the operator's settings say of GPU Jobs; `node_labels` are such as `nvidia.com/gpu.product`."""

    resource: str = GPU_RESOURCE
    runtime_class: str | None = None
    node_labels: Mapping[str, str] = field(default_factory=dict)
    queue: str = ""  # of Kueue, for the Jobs of steps that name none
    profiles: Mapping[str, Profile] = field(default_factory=lambda: DEFAULT_PROFILES)


@dataclass(frozen=True, slots=True)
class GpuJob:
    """Is what to add: `resources` and `volume_mounts` to the container, `spec` to the Job, the rest to the pod."""

    resources: Object = field(default_factory=dict)
    volume_mounts: Sequence[Object] = ()
    volumes: Sequence[Object] = ()
    tolerations: Sequence[Object] = ()
    runtime_class: str | None = None
    affinity: Object = field(default_factory=dict)
    spec: Object = field(default_factory=dict)


def build_gpu_job(
    ml: Object,
    timeout: float | None,
    *,
    limits: Object | None = None,
    requests: Object | None = None,
    mounts: Sequence[Object] = (),
    settings: GpuSettings | None = None,
) -> GpuJob:
    """Builds the additions of a step from its `status.steps[].ml`; a step that gets no GPU gets none.

    `timeout` is in seconds. `limits` and `requests` are the step's own: a resource that they name is left as it is, and
    the result holds them. `mounts` are the step's volume mounts, so that its own /dev/shm stays.
    """
    settings = settings or GpuSettings()
    profile = settings.profiles.get(text(ml, "profile"))
    if profile is None:
        return GpuJob()
    gpus = number(child(ml, "estimate"), "gpus") or profile.gpus
    own_shm = any(mount.get("mountPath") == SHM_PATH for mount in mounts)
    has_shm = bool(profile.shm) and not own_shm
    return GpuJob(
        resources=_build_resources(child(ml, "estimate"), profile, gpus, limits or {}, requests or {}, settings),
        volume_mounts=[{"name": SHM_VOLUME, "mountPath": SHM_PATH}] if has_shm else [],
        volumes=[{"name": SHM_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": profile.shm}}] if has_shm else [],
        tolerations=[{"key": settings.resource, "operator": "Exists"}],
        runtime_class=settings.runtime_class,
        affinity=_build_affinity(settings.node_labels),
        spec=build_job_policy(active_deadline_seconds=None if timeout is None else max(1, math.ceil(timeout))),
    )


def build_job_policy(*, active_deadline_seconds: int | None = None) -> dict[str, object]:
    """Builds the fields of a Job's spec that say how it ends: one pod, never again, and why it failed.

    The pod template must say `restartPolicy: Never`. Tries are counted by the operator, so the Job makes no second
    pod. A disruption fails it with DISRUPTION_REASON, anything else with BackoffLimitExceeded or DeadlineExceeded.
    """
    policy: dict[str, object] = {
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": JOB_TTL_SECONDS,
        "podFailurePolicy": {
            "rules": [{"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
    }
    if active_deadline_seconds is not None:
        policy["activeDeadlineSeconds"] = active_deadline_seconds
    return policy


def _build_resources(
    estimate: Object, profile: Profile, gpus: int, limits: Object, requests: Object, settings: GpuSettings
) -> dict[str, object]:
    """Requests equal limits for what the profile adds."""
    added: dict[str, object] = {
        "memory": text(estimate, "memory") or profile.memory,
        "cpu": text(estimate, "cpu") or profile.cpu,
    }
    if not any(is_gpu_resource(name) for name in (*limits, *requests)):
        added[settings.resource] = str(gpus)
    added = {name: value for name, value in added.items() if name not in limits and name not in requests}
    return {"limits": {**added, **limits}, "requests": {**added, **requests}}


def _build_affinity(labels: Mapping[str, str]) -> dict[str, object]:
    if not labels:
        return {}
    expressions = [{"key": name, "operator": "In", "values": [value]} for name, value in sorted(labels.items())]
    terms = [{"matchExpressions": expressions}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
