"""Where a service stands: Waiting, Deploying, Healthy, or Degraded with the first failing cause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vapora.api.durations import parse_duration
from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.causes import find_cause
from vapora.core.taskserv.dependencies import HEALTHY, find_lost, find_missing
from vapora.core.taskserv.manifests import count_replicas, name_workload_kind
from vapora.core.taskserv.observed import Observed
from vapora.core.views import parse_time, text

PENDING, WAITING, DEPLOYING, DEGRADED, FAILED = "Pending", "Waiting", "Deploying", "Degraded", "Failed"
_DEPLOYED = frozenset({DEPLOYING, HEALTHY, DEGRADED})
# What a rollout may show for a moment; it is a failure only when the progress deadline is over.
_PASSING = frozenset({Reason.Unschedulable, Reason.ProbeFailing})


@dataclass(frozen=True, slots=True)
class Health:
    """Is where a service stands and why; `due` are the seconds until it turns by itself."""

    phase: str
    reason: str
    message: str
    is_serving: bool = False
    deploying_since: datetime | None = None
    waiting_on: tuple[str, ...] = ()
    due: float | None = None

    @property
    def is_ready(self) -> bool:
        """Is true while it serves as asked; a rollout that the former replicas carry does not end that."""
        return self.phase == HEALTHY or (self.phase == DEPLOYING and self.is_serving)


def has_deployed(observed: Observed) -> bool:
    """Is true once a first deploy has begun; nothing that is lost afterwards tears it down."""
    return text(observed.status, "phase") in _DEPLOYED or observed.has_workload


def judge_health(observed: Observed, spec: TaskservSpec, *, is_changing: bool, now: datetime) -> Health:
    """Says where a service stands; with `is_changing` its workload is being applied in this very reconcile."""
    if not has_deployed(observed) and (missing := find_missing(observed.needs)):
        return _wait_for(missing)
    health = _judge_workload(observed, spec, is_changing=is_changing, now=now)
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


def _judge_workload(observed: Observed, spec: TaskservSpec, *, is_changing: bool, now: datetime) -> Health:
    workload = observed.find_workload(name_workload_kind(spec))
    wanted = count_replicas(spec)
    available = workload.available if workload else 0
    is_serving = workload is not None and available >= wanted
    is_settled = workload is not None and workload.is_settled and workload.replicas == wanted
    since = now if is_changing else parse_time(observed.status.get("deployingSince"))
    count = f"{available} of {wanted} replicas are available"
    if not is_changing and (is_settled or (is_serving and since is None)):
        return Health(HEALTHY, Reason.AllHealthy, count, is_serving=True)
    cause = find_cause(workload, observed.pods)
    message = f"{count}; {cause.message}" if cause else count
    due = _find_rest(since, spec, now)
    if due > 0 and (is_changing or cause is None or cause.reason in _PASSING):
        return Health(DEPLOYING, Reason.Deploying, message, is_serving, since, due=due)
    late = Reason.ReplicasNotReady if since is None else Reason.ProgressDeadlineExceeded
    return Health(DEGRADED, cause.reason if cause else late, message, is_serving, since)


def _find_rest(since: datetime | None, spec: TaskservSpec, now: datetime) -> float:
    if since is None:
        return 0.0
    deadline = timedelta(seconds=parse_duration(spec.upgrade.progress_deadline))
    return (since + deadline - now).total_seconds()
