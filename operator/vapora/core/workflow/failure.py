"""Why a try failed: one table maps every reason to the budget it uses up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from vapora.core.views import JobView, KueueView, PodView


class FailureClass(Enum):
    """Says whose fault a failure is, and so which budget pays for the next try."""

    APPLICATION = "application"
    INFRASTRUCTURE = "infrastructure"
    PERMANENT = "permanent"  # the same try would fail again


@dataclass(frozen=True, slots=True)
class Failure:
    """Is one failed try: a reason of the table, a sentence, the container's exit code where there is one."""

    reason: str
    message: str
    exit_code: int | None = None

    @property
    def failure_class(self) -> FailureClass:
        """Looks the reason up."""
        return CLASSES.get(self.reason, FailureClass.APPLICATION)


_A, _I, _P = FailureClass.APPLICATION, FailureClass.INFRASTRUCTURE, FailureClass.PERMANENT
CLASSES: Mapping[str, FailureClass] = {
    # The work said no.
    "ExitCode": _A,
    "OOMKilled": _A,
    "TimedOut": _A,
    "TaskFailed": _A,
    "OutputInvalid": _A,
    "ChildFailed": _A,
    "HttpRefused": _A,
    "HttpAnswerInvalid": _A,
    "MailRefused": _A,
    "NotFound": _A,
    "ObjectFailed": _A,
    "CallBroke": _A,
    "ClusterDiffers": _A,
    # The cluster took the ground away.
    "Evicted": _I,
    "Preempted": _I,
    "NodeLost": _I,
    "Disrupted": _I,
    "ChildLost": _I,
    "ImagePullFailed": _I,
    "ContainerConfigError": _I,
    "AdmissionRefused": _I,
    "PendingTimeout": _I,
    "GpuWaitOver": _I,
    "Undeliverable": _I,
    "TaskCancelled": _I,
    "Withdrawn": _I,
    "HttpUnavailable": _I,
    "HttpUnreachable": _I,
    "HttpTimeout": _I,
    "MailUnreachable": _I,
    "ApiUnavailable": _I,
    "SecretUnavailable": _I,
    "MetricsUnavailable": _I,
    "GraphUnavailable": _I,
    # The next try would be the same.
    "UnresolvedReference": _P,
    "AmbiguousReference": _P,
    "MissingOutput": _P,
    "OutputTooLarge": _P,
    "CostLimitReached": _P,
    "TaskRefused": _P,
    "InvalidInput": _P,
    "OutcomeUnknown": _P,
    "ApprovalRejected": _P,
    "ApprovalTimedOut": _P,
    "NotUndone": _P,
    "QuotaExceeded": _P,
    "SimulationForbidden": _P,
    "ExpressionFailed": _P,
    "AddressForbidden": _P,
    "AccountForbidden": _P,
    "FieldConflict": _P,
    "ManagedElsewhere": _P,
    "ReplicasOwned": _P,
    "UnknownTask": _P,
    "UnknownTaskserv": _P,
    "UnknownAgent": _P,
    "UnknownAddon": _P,
    "NoInstaller": _P,
    "UnknownProviderType": _P,
    "InvalidSpec": _P,
    "PluginFailed": _P,
}

# Reasons that a Pod's own status, its disruption condition or a waiting container give, in Kubernetes' words.
_POD_REASONS: Mapping[str, str] = {
    "Evicted": "Evicted",
    "TerminationByKubelet": "Evicted",
    "EvictionByEvictionAPI": "Evicted",
    "PreemptionByScheduler": "Preempted",
    "Preempting": "Preempted",
    "DeletionByTaintManager": "NodeLost",
    "DeletionByPodGC": "NodeLost",
    "NodeLost": "NodeLost",
    "NodeShutdown": "NodeLost",
    "Shutdown": "NodeLost",
    "Terminated": "NodeLost",
    "NodeAffinity": "Disrupted",
    "UnexpectedAdmissionError": "AdmissionRefused",
    "OutOfcpu": "AdmissionRefused",
    "OutOfmemory": "AdmissionRefused",
    "OutOfpods": "AdmissionRefused",
    "DeadlineExceeded": "TimedOut",
}
# The kubelet has tried at least twice by the time it backs off; ErrImagePull alone may still come right.
_HOPELESS_WAITING: Mapping[str, str] = {
    "ImagePullBackOff": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "InvalidImageName": "ImagePullFailed",
    "CreateContainerConfigError": "ContainerConfigError",
}


def find_pod_failure(pod: PodView) -> Failure | None:
    """Returns why a Pod failed, or cannot start; None while it may still succeed, or has."""
    if pod.phase == "Succeeded":
        return None
    if pod.phase == "Failed":
        return _explain_failed(pod)
    if reason := _HOPELESS_WAITING.get(pod.waiting_reason):
        return Failure(reason, pod.waiting_message or pod.waiting_reason)
    if pod.meta.is_deleting and not pod.node:
        return Failure("ChildLost", f"Pod {pod.meta.key.name} was deleted before it ran")
    return None


def _explain_failed(pod: PodView) -> Failure:
    known = _POD_REASONS.get(pod.disruption) or _POD_REASONS.get(pod.reason)
    if known is not None:
        return Failure(known, pod.message or pod.disruption or pod.reason)
    if pod.meta.is_deleting:
        return Failure("Disrupted", f"Pod {pod.meta.key.name} was deleted while it ran")
    if pod.end is None:
        return Failure("Disrupted", pod.message or pod.reason or "the Pod failed and no container says why")
    if pod.end.reason == "OOMKilled":
        return Failure("OOMKilled", "a container used more memory than its limit", pod.end.exit_code)
    words = pod.end.message.strip() or pod.end.reason
    return Failure("ExitCode", f"exit code {pod.end.exit_code}" + (f": {words}" if words else ""), pod.end.exit_code)


def find_eviction(workload: KueueView) -> Failure | None:
    """Returns why Kueue took back what it had admitted; None while it has not."""
    if not workload.eviction:
        return None
    words = f"Kueue: {workload.eviction}: {workload.message}"
    return Failure("Preempted" if workload.eviction == "Preempted" else "Evicted", words)


def find_job_failure(job: JobView, pod: PodView | None) -> Failure | None:
    """Returns why a Job failed: in its Pod's words where the Pod is known, else in its own."""
    if pod is not None and (failure := find_pod_failure(pod)) is not None:
        return failure
    if not job.is_failed:
        return None
    reason = "TimedOut" if job.reason == "DeadlineExceeded" else "Disrupted" if pod is None else "ExitCode"
    return Failure(reason, job.message or job.reason)
