"""The course of a service: which revision it heads for, how far that is, and what runs on the way there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.plan import Event, EventType
from vapora.core.taskserv.health import count_minimum
from vapora.core.taskserv.objects.workload import name_workload_kind
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.upgrade.canary import judge_analysis, measure
from vapora.core.taskserv.upgrade.layout import Layout, build_layout
from vapora.core.taskserv.upgrade.revisions import History, Revision, read_history
from vapora.core.taskserv.upgrade.rollout import Failure, Rollout, find_end, find_failure, follow_rollout, is_of
from vapora.core.taskserv.upgrade.target import Target, choose_target, fall_back
from vapora.core.views import WorkloadView, text


@dataclass(frozen=True, slots=True)
class Course:
    """Is what was decided about the revisions of a service; `due` is when to look at them again."""

    history: History
    target: Target
    layout: Layout
    due: datetime | None

    def settle(self, spec: TaskservSpec, now: datetime, *, is_good: bool) -> Course:
        """Takes in how the service does: a rollout that is healthy for long enough is over."""
        rollout = self.layout.rollout
        if rollout is None or not is_good:
            return self
        if rollout.healthy_at is None:
            rollout = replace(rollout, healthy_at=now)
        is_over = not rollout.former or find_end(rollout, spec) <= now
        ended = replace(self.layout, rollout=None if is_over else rollout)
        ends = [moment for moment in (self.layout.due, None if is_over else find_end(rollout, spec)) if moment]
        return replace(self, layout=ended, due=min(ends, default=None))


def decide_course(observed: Observed, spec: TaskservSpec, now: datetime) -> Course:
    """Decides which revision is to run, and where."""
    history = read_history(observed.meta, spec, observed.revisions, observed.status)
    target = choose_target(
        observed.status,
        history,
        rollback_to=spec.rollback_to,
        asked=observed.asked,
        uid=observed.meta.uid,
        running=_find_running(observed, spec, history),
    )
    rollout = _follow(observed, target.revision, now)
    good = history.find(rollout.former) if rollout and _may_fall_back(spec, target) else None
    is_alike = good is not None and good.template.get("type") == target.revision.template.get("type")
    if rollout and good and is_alike and (failure := _find_failure(observed, spec, target.revision, rollout, now)):
        target, rollout = fall_back(target, history, good, failure.reason, failure.message), None
    layout = _lay_out(observed, spec, history, target, rollout, now)
    dues = [layout.due, find_end(layout.rollout, spec) if layout.rollout and not layout.rollout.held_at else None]
    return Course(history, _tell_promotion(observed, target, layout), layout, min(filter(None, dues), default=None))


def _may_fall_back(spec: TaskservSpec, target: Target) -> bool:
    """A job is not undone by running another one; and what was gone back to has nothing to go back to."""
    return spec.upgrade.auto_rollback and spec.type != "job" and target.pin is None


def _find_running(observed: Observed, spec: TaskservSpec, history: History) -> Revision | None:
    view = observed.find_workload(name_workload_kind(spec), observed.tracks.active)
    return history.find_digest(view.revision) if view else None


def _follow(observed: Observed, target: Revision, now: datetime) -> Rollout | None:
    views = [view for view in observed.children if isinstance(view, WorkloadView)]
    good = text(observed.status, "lastGoodRevision")
    return follow_rollout(observed.status, target, good, views, observed.pods, now)


def _lay_out(
    observed: Observed, spec: TaskservSpec, history: History, target: Target, rollout: Rollout | None, now: datetime
) -> Layout:
    active = observed.find_workload(name_workload_kind(spec), observed.tracks.active)
    wanted = active.replicas if spec.scaling and active else count_minimum(spec)
    return build_layout(
        observed.status,
        spec,
        history,
        target.revision,
        observed.tracks,
        rollout,
        is_pinned=target.pin is not None,
        wanted=wanted,
        now=now,
    )


def _find_failure(
    observed: Observed, spec: TaskservSpec, target: Revision, rollout: Rollout, now: datetime
) -> Failure | None:
    own = [pod for pod in observed.pods if is_of(pod, target)]
    active = observed.find_workload(name_workload_kind(spec), observed.tracks.active)
    view = observed.tracks.find(observed.tracks.other)
    if view is None or view.revision != target.digest or (active and active.revision == target.digest):
        available = active.available if active else 0
        return find_failure(rollout, own, spec, now, is_serving=available >= count_minimum(spec))
    if rollout.held_at and (complaint := judge_analysis(spec, measure(target, view, observed.pods))):
        return Failure(Reason.AnalysisFailed, complaint)
    # Before all of a share is there nothing of it is missed; afterwards its loss counts at once.
    has_all = rollout.held_at is None or view.available >= view.replicas
    return find_failure(rollout, own, spec, now, is_serving=has_all)


def _tell_promotion(observed: Observed, target: Target, layout: Layout) -> Target:
    if layout.active.track == observed.tracks.active or target.events:
        return target
    message = f"{target.revision} serves alone now"
    return replace(target, events=(Event(EventType.NORMAL, Reason.Promoted, message),))
