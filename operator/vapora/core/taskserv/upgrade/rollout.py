"""How a new revision gets on: whether it moves, since when it is well, and when it has failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vapora.api.durations import parse_duration
from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.causes import Cause, find_cause
from vapora.core.conditions import timestamp
from vapora.core.naming import LABEL_REVISION
from vapora.core.plan import Manifest
from vapora.core.taskserv.upgrade.revisions import Revision
from vapora.core.views import PodView, WorkloadView, child, number, parse_time, text

# What says by itself that a container cannot run; anything else may be so for a moment.
_HARD = frozenset(
    {
        Reason.ImageFailing,
        Reason.ContainerCrashing,
        Reason.ConfigMissing,
        Reason.ContainerCannotRun,
        Reason.OOMKilled,
    }
)


@dataclass(frozen=True, slots=True)
class Rollout:
    """Is the deployment of a new revision, from its start until it has been well for the progress deadline.

    `former` is the good revision before it, if there was one. `moved` is the most progress that was seen, `moved_at`
    when that was. `step` counts the shares of a canary that are done; `held_at` is since when all of the present share
    runs.
    """

    revision: str
    former: str
    moved: int
    moved_at: datetime
    healthy_at: datetime | None = None
    step: int = 0
    held_at: datetime | None = None

    def write(self) -> Manifest:
        """Writes it as part of the status."""
        times = {"movedAt": self.moved_at, "healthyAt": self.healthy_at, "heldAt": self.held_at}
        said: dict[str, object] = {"revision": self.revision, "former": self.former or None, "moved": self.moved}
        said |= {name: timestamp(moment) for name, moment in times.items() if moment}
        return {name: value for name, value in {**said, "step": self.step or None}.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Failure:
    """Says why a revision is given up."""

    reason: str
    message: str


def follow_rollout(
    status: Manifest, target: Revision, good: str, views: Iterable[WorkloadView], pods: Iterable[PodView], now: datetime
) -> Rollout | None:
    """Returns the rollout of the target as far as it is seen now; None where the target is the good revision."""
    said = child(status, "rollout")
    if text(said, "revision") != target.id:
        return None if good == target.id else Rollout(target.id, good, 0, now)
    known = Rollout(
        target.id,
        text(said, "former"),
        number(said, "moved"),
        parse_time(said.get("movedAt")) or now,
        parse_time(said.get("healthyAt")),
        number(said, "step"),
        parse_time(said.get("heldAt")),
    )
    made = sum(view.updated for view in views if view.revision == target.digest and view.is_observed)
    moved = made + sum(pod.is_ready for pod in pods if is_of(pod, target))
    return replace(known, moved=moved, moved_at=now) if moved > known.moved else known


def is_of(pod: PodView, revision: Revision) -> bool:
    """Is true for a pod that is made of the revision."""
    return pod.meta.labels.get(LABEL_REVISION) == revision.digest and not pod.meta.is_deleting


def find_failure(
    rollout: Rollout, pods: Iterable[PodView], spec: TaskservSpec, now: datetime, *, is_serving: bool
) -> Failure | None:
    """Says why the revision has failed: it has come to a halt, or what it should serve is down because of it.

    `pods` are the revision's own; `is_serving` says whether the service has all the replicas that it should have.
    """
    if rollout.healthy_at and now >= find_end(rollout, spec):
        return None
    cause = find_cause(None, pods)
    if not is_serving and cause and cause.reason in _HARD:
        return Failure(cause.reason, cause.message)
    if rollout.healthy_at or rollout.held_at or now < find_end(rollout, spec):
        return None
    said = cause or Cause(Reason.ProgressDeadlineExceeded, f"no progress for {spec.upgrade.progress_deadline}")
    return Failure(said.reason, said.message)


def find_end(rollout: Rollout, spec: TaskservSpec) -> datetime:
    """Returns when the rollout is over by itself: it is good for ever, or has failed."""
    deadline = timedelta(seconds=parse_duration(spec.upgrade.progress_deadline))
    return (rollout.healthy_at or rollout.moved_at) + deadline
