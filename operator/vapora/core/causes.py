"""Why pods do not run: the first failing cause, in the words of the container, the scheduler or the API server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from vapora.api.reasons import Reason
from vapora.core.views import ContainerEnd, PodView, WorkloadView

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_NO_PROGRESS = "ProgressDeadlineExceeded"
_WAITING_REASONS = {
    "ImagePullBackOff": Reason.ImageFailing,
    "ErrImagePull": Reason.ImageFailing,
    "InvalidImageName": Reason.ImageFailing,
    "ErrImageNeverPull": Reason.ImageFailing,
    "ImageInspectError": Reason.ImageFailing,
    "RegistryUnavailable": Reason.ImageFailing,
    "CrashLoopBackOff": Reason.ContainerCrashing,
    "CreateContainerConfigError": Reason.ConfigMissing,
    "CreateContainerError": Reason.ContainerCannotRun,
    "RunContainerError": Reason.ContainerCannotRun,
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Is one reason why something does not run, and who says it in which words."""

    reason: Reason
    message: str


def find_cause(workload: WorkloadView | None, pods: Iterable[PodView]) -> Cause | None:
    """Returns what keeps a workload's pods from running; None where nothing is known to.

    A refusal to make pods comes first, then the oldest pod with a cause of its own, then that nothing moves at all.
    """
    stalled = workload.stalled if workload else ""
    if workload and stalled and stalled != _NO_PROGRESS:
        return Cause(_read_refusal(workload.message), f"{stalled}: {workload.message}")
    for pod in sorted(pods, key=lambda pod: (pod.meta.created_at or _LONG_AGO, pod.meta.key)):
        if not pod.meta.is_deleting and (cause := _find_pod_cause(pod)):
            return cause
    if workload and stalled:
        return Cause(Reason.ProgressDeadlineExceeded, workload.message)
    return None


def _find_pod_cause(pod: PodView) -> Cause | None:
    if pod.waiting_reason in _WAITING_REASONS:
        return Cause(_WAITING_REASONS[pod.waiting_reason], _describe_waiting(pod))
    if pod.unschedulable:
        return Cause(Reason.Unschedulable, f"unschedulable: {pod.unschedulable}")
    if pod.phase == "Failed":
        words = _join(pod.reason, pod.message) or _describe_end(pod.end) or "the pod failed"
        return Cause(Reason.Evicted if pod.reason == "Evicted" else Reason.ContainerCrashing, words)
    end = pod.end or (pod.last_end if pod.restarts else None)
    if not pod.is_ready and end is not None and not pod.is_finished:
        return Cause(Reason.OOMKilled if end.reason == "OOMKilled" else Reason.ContainerCrashing, _describe_end(end))
    if pod.phase == "Running" and not pod.is_ready and not pod.waiting_reason:
        return Cause(Reason.ProbeFailing, "the container runs and is not ready yet")
    return None


def _describe_waiting(pod: PodView) -> str:
    words = _join(pod.waiting_reason, pod.waiting_message)
    ended = _describe_end(pod.last_end or pod.end) if pod.waiting_reason == "CrashLoopBackOff" else ""
    return f"{words} ({ended})" if ended else words


def _describe_end(end: ContainerEnd | None) -> str:
    if end is None:
        return ""
    reason = "" if end.reason in {"", "Error", "Completed"} else f"{end.reason}, "
    return _join(f"{reason}exit code {end.exit_code}", end.message.strip())


def _read_refusal(message: str) -> Reason:
    return Reason.QuotaExceeded if "exceeded quota" in message else Reason.AdmissionRefused


def _join(first: str, second: str) -> str:
    return f"{first}: {second}" if first and second else first or second
