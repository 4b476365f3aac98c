"""Where a service stands: Waiting, Deploying, Healthy, or Degraded with the first failing cause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vapora.api.durations import parse_duration
from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.causes import find_cause
from vapora.core.naming import LABEL_REVISION
from vapora.core.taskserv.dependencies import HEALTHY, find_lost, find_missing
from vapora.core.taskserv.objects.workload import name_workload_kind
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.upgrade.layout import Layout, is_selective
from vapora.core.taskserv.upgrade.rollout import find_end
from vapora.core.views import JobView, PodView, WorkloadView, parse_time, text

PENDING, WAITING, DEPLOYING, DEGRADED, FAILED = "Pending", "Waiting", "Deploying", "Degraded", "Failed"
ROLLING_BACK = "RollingBack"
_DEPLOYED = frozenset({DEPLOYING, ROLLING_BACK, HEALTHY, DEGRADED})
# What a rollout may show for a moment; it is a failure only when the progress deadline is over.
_PASSING = frozenset({Reason.Unschedulable, Reason.ProbeFailing})


@dataclass(frozen=True, slots=True)
class Health:
    """Is where a service stands and why; `due` is when it turns by itself."""

    phase: str
    reason: str
    message: str
    is_serving: bool = False
    deploying_since: datetime | None = None
    waiting_on: tuple[str, ...] = ()
    due: datetime | None = None

    @property
    def is_good(self) -> bool:
        """Is true where what runs is well by itself, whatever it may lack of others."""
        is_alone = self.reason == Reason.DependencyUnhealthy and self.deploying_since is None
        return self.phase == HEALTHY or (is_alone and self.is_serving)

    @property
    def is_ready(self) -> bool:
        """Is true while it serves as asked; a rollout that the former replicas carry does not end that."""
        return self.phase == HEALTHY or (self.phase in {DEPLOYING, ROLLING_BACK} and self.is_serving)


def has_deployed(observed: Observed) -> bool:
    """Is true once a first deploy has begun; nothing that is lost afterwards tears it down."""
    return text(observed.status, "phase") in _DEPLOYED or observed.has_workload


def count_minimum(spec: TaskservSpec) -> int:
    """Returns how many replicas a healthy service has at least."""
    if spec.scaling:
        return spec.scaling.min
    return 1 if spec.replicas is None else spec.replicas


def judge_health(
    observed: Observed, spec: TaskservSpec, layout: Layout, *, is_changing: bool, is_pinned: bool, now: datetime
) -> Health:
    """Says where a service stands; with `is_changing` its workload is being applied in this very reconcile."""
    if not has_deployed(observed) and (missing := find_missing(observed.needs)):
        return _wait_for(missing)
    if spec.type == "job":
        health = _judge_job(observed, layout, now)
    else:
        health = _judge_workload(observed, spec, layout, is_changing=is_changing, now=now)
    if is_pinned and health.phase == DEPLOYING:
        health = replace(health, phase=ROLLING_BACK, reason=Reason.RollingBack)
    lost = find_lost(observed.needs)
    if not lost:
        return health
    message = f"needs {_tell(lost)}; {health.message}"
    names = tuple(name for name, _ in lost)
    return replace(health, phase=DEGRADED, reason=Reason.DependencyUnhealthy, message=message, waiting_on=names)


def _wait_for(missing: tuple[tuple[str, str], ...]) -> Health:
    names = tuple(name for name, _ in missing)
    return Health(WAITING, Reason.WaitingForDependency, f"waits for {_tell(missing)}", waiting_on=names)


def _tell(services: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name} ({why})" for name, why in services)


def _count_available(observed: Observed, spec: TaskservSpec, layout: Layout) -> int:
    kind = name_workload_kind(spec)
    served = [layout.active] if is_selective(spec) else list(layout.placements)
    views = [observed.find_workload(kind, placement.track) for placement in served]
    return sum(view.available for view in views if view)


def _judge_workload(
    observed: Observed, spec: TaskservSpec, layout: Layout, *, is_changing: bool, now: datetime
) -> Health:
    workload = observed.find_workload(name_workload_kind(spec), layout.active.track)
    wanted, available = count_minimum(spec), _count_available(observed, spec, layout)
    serves = workload is not None and available >= wanted
    since = now if is_changing else parse_time(observed.status.get("deployingSince"))
    count = f"{available} of {wanted} replicas are available"
    is_at_rest = layout.candidate is None and not is_changing and _is_current(workload, layout)
    if is_at_rest and serves and (_is_settled(workload, layout) or since is None):
        return Health(HEALTHY, Reason.AllHealthy, count, is_serving=True)
    cause = find_cause(workload, observed.pods)
    message = "; ".join(filter(None, (_tell_candidate(observed, layout), count, cause.message if cause else "")))
    due = _find_deadline(since, layout, spec)
    is_in_time = now < due if due else layout.candidate is not None  # a share that is watched has its time
    if is_in_time and (is_changing or cause is None or cause.reason in _PASSING or layout.candidate):
        return Health(DEPLOYING, Reason.Deploying, message, serves, since, due=due)
    late = Reason.ReplicasNotReady if since is None else Reason.ProgressDeadlineExceeded
    return Health(DEGRADED, cause.reason if cause else late, message, serves, since, due=due)


def _is_current(workload: WorkloadView | None, layout: Layout) -> bool:
    return workload is not None and workload.revision == layout.active.revision.digest


def _is_settled(workload: WorkloadView | None, layout: Layout) -> bool:
    return workload is not None and workload.is_settled and layout.active.replicas in {None, workload.replicas}


def _tell_candidate(observed: Observed, layout: Layout) -> str:
    if layout.candidate is None:
        return ""
    view = observed.tracks.find(layout.candidate.track)
    available = view.available if view else 0
    return f"{layout.candidate.revision} has {available} of {layout.candidate.replicas} replicas beside"


def _find_deadline(since: datetime | None, layout: Layout, spec: TaskservSpec) -> datetime | None:
    rollout = layout.rollout
    if rollout and rollout.healthy_at is None:
        return None if rollout.held_at else find_end(rollout, spec)
    if since is None:
        return None
    return since + timedelta(seconds=parse_duration(spec.upgrade.progress_deadline))


def _judge_job(observed: Observed, layout: Layout, now: datetime) -> Health:
    """Judges by the Job of the revision; what has ended well once needs no Job any more."""
    revision = layout.active.revision
    job = next((v for v in observed.children if isinstance(v, JobView) and _is_of(v, revision.digest)), None)
    since = parse_time(observed.status.get("deployingSince")) or now
    if revision.outcome == HEALTHY or (job and job.is_complete):
        return Health(HEALTHY, Reason.Succeeded, "the job has ended well", is_serving=True)
    cause = find_cause(None, _find_pods(observed, revision.digest))
    if job and job.is_failed:
        message = "; ".join(filter(None, (f"{job.reason}: {job.message}", cause.message if cause else "")))
        return Health(FAILED, cause.reason if cause else Reason.Failed, message, deploying_since=since)
    return Health(DEPLOYING, Reason.Deploying, cause.message if cause else "the job runs", deploying_since=since)


def _is_of(view: JobView, digest: str) -> bool:
    return view.meta.labels.get(LABEL_REVISION) == digest


def _find_pods(observed: Observed, digest: str) -> tuple[PodView, ...]:
    return tuple(pod for pod in observed.pods if pod.meta.labels.get(LABEL_REVISION) == digest)
