"""How the present try of a unit stands, read from its child or its agent's answer, never from what is missing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from vapora.core.plan import Key, Look
from vapora.core.views import ChildView, JobView, KueueView, PodView, WorkflowView
from vapora.core.workflow.children import look_at_workflow
from vapora.core.workflow.failure import Failure, find_eviction, find_job_failure, find_pod_failure
from vapora.core.workflow.observed import Observed
from vapora.core.workflow.standing import Absent, Broken, Done, Standing, Stopped, TakenBack, Underway, Unseen
from vapora.core.workflow.status import State, Unit


def find_child(observed: Observed, key: Key) -> ChildView | None:
    """Returns the unit's child, but not a namesake that somebody else made."""
    view = observed.children.get(key)
    return view if view is not None and view.meta.controller_uid == observed.identity.uid else None


def is_next_made(observed: Observed, step: str, item: int, tries: int) -> bool:
    """Returns whether the child of a unit's next try is there: a process before this one may have made it unsaid."""
    keys = (observed.identity.child(kind, step, item, tries + 1) for kind in ("Pod", "Job", "Workflow"))
    return any(find_child(observed, key) is not None for key in keys)


def find_job_pod(observed: Observed, job: JobView) -> PodView | None:
    """Returns the Pod that a Job made."""
    pods = (view for view in observed.children.values() if isinstance(view, PodView))
    return next((pod for pod in pods if pod.meta.controller_uid == job.meta.uid), None)


def find_workload(observed: Observed, job: JobView) -> KueueView | None:
    """Returns what Kueue made of a Job."""
    made = (view for view in observed.children.values() if isinstance(view, KueueView))
    return next((view for view in made if view.meta.controller_uid == job.meta.uid), None)


def look_at_child(observed: Observed, unit: Unit, now: datetime, *, needs_result: bool) -> Standing:
    """Says how a Pod or Job stands; `needs_result` waits for the Pod that holds a finished Job's words."""
    assert unit.child is not None  # noqa: S101  # only units with a child come here
    view = find_child(observed, unit.child)
    if view is None:
        return _without_child(observed, unit)
    return _check_times(_look_at(observed, view, needs_result=needs_result), view, unit, now)


def _look_at(observed: Observed, view: ChildView, *, needs_result: bool) -> Standing:
    match view:
        case PodView():
            return _look_at_pod(view)
        case WorkflowView():
            return look_at_workflow(view)
        case _:
            return _look_at_job(observed, view, needs_result=needs_result)


def _without_child(observed: Observed, unit: Unit) -> Standing:
    assert unit.child is not None  # noqa: S101  # as above
    problem = observed.problems.get(unit.child.name)
    if problem is not None and isinstance(problem.action, Look):
        gone = f"{unit.child.kind} {unit.child.name} is gone and nobody saw how it ended"
        return Broken(Failure("ChildLost", gone)) if problem.is_permanent else Unseen()
    if problem is not None and problem.is_permanent:
        return Broken(Failure("AdmissionRefused", problem.message))
    return Absent() if unit.state is State.STARTING else Unseen()


def _look_at_pod(pod: PodView) -> Standing:
    if pod.phase == "Succeeded":
        return Done(read_result(pod), pod.end.finished_at if pod.end else None)
    if (failure := find_pod_failure(pod)) is not None:
        ended = pod.end.finished_at if pod.end else None
        return Broken(failure, ended, None if pod.is_finished or pod.meta.is_deleting else pod)
    if pod.unschedulable:
        return Underway(is_running=False, why=pod.unschedulable, reason="Unschedulable")
    waits = f"{pod.waiting_reason}: {pod.waiting_message}" if pod.waiting_message else ""
    return Underway(is_running=pod.phase == "Running", why=waits)


def _look_at_job(observed: Observed, view: ChildView, *, needs_result: bool) -> Standing:
    if not isinstance(view, JobView):
        return Underway(is_running=False)
    pod, workload = find_job_pod(observed, view), find_workload(observed, view)
    if _awaits_words(view, pod, needs_result=needs_result):
        return Underway(is_running=True, why="the Job has ended; its Pod's words are awaited")
    if view.is_complete:
        return Done(read_result(pod) if pod else None, view.finished_at)
    evicted = None if view.is_failed or workload is None else find_eviction(workload)
    if (failure := evicted or find_job_failure(view, pod)) is not None:
        return Broken(failure, None if evicted else view.finished_at, None if view.is_failed else view)
    if view.meta.is_deleting and (pod is None or pod.is_finished):  # its controller says nothing more of it
        lost = Failure("ChildLost", f"Job {view.meta.key.name} was deleted before it ran")
        return _look_at_pod(pod) if pod is not None else Broken(lost)
    return _wait_for_job(pod, workload)


def _wait_for_job(pod: PodView | None, workload: KueueView | None) -> Underway:
    if pod is not None and pod.phase != "Pending":  # one that has finished has run: its Job only has not said so yet
        return Underway(is_running=True)
    if workload is not None and workload.wait:
        why = f"Kueue: {workload.wait}: {workload.message}" if workload.message else f"Kueue: {workload.wait}"
        return Underway(is_running=False, why=why, reason="Queued")
    if pod is None:
        return Underway(is_running=False, why="the Job has no Pod yet", is_podless=True)
    return Underway(is_running=False, why=pod.unschedulable, reason="Unschedulable" if pod.unschedulable else "")


def _awaits_words(job: JobView, pod: PodView | None, *, needs_result: bool) -> bool:
    """Returns whether a Job has ended and its Pod has yet to be seen to: the watch of Pods may lag behind."""
    if job.is_complete:
        return needs_result and (pod is None or not pod.is_finished)
    return job.is_failed and job.reason != "DeadlineExceeded" and pod is not None and not pod.is_finished


def _check_times(standing: Standing, view: ChildView, unit: Unit, now: datetime) -> Standing:
    if isinstance(standing, Broken) and standing.failure.reason == "Disrupted" and view.meta.is_deleting:
        # Perhaps we deleted it when its time was over, and were stopped before that was written.
        ended = (standing.at or now) + timedelta(seconds=1)  # the kubelet tells whole seconds
        if unit.until is not None and ended > unit.until:
            return Broken(Failure("TimedOut", describe_timeout(unit, unit.until)), unit.until)
    if not isinstance(standing, Underway):
        return standing
    if unit.until is not None and now >= unit.until:
        return Broken(Failure("TimedOut", describe_timeout(unit, unit.until)), unit.until, view)
    if unit.pending_until is not None and now >= unit.pending_until and not standing.is_running:
        why = f"it did not run within its pendingTimeout: {standing.why or 'no reason is known'}"
        return Broken(Failure("PendingTimeout", why), unit.pending_until, view)
    return standing


def describe_timeout(unit: Unit, until: datetime) -> str:
    """Says that a try took too long."""
    seconds = (until - unit.started_at).total_seconds() if unit.started_at else 0
    return f"it ran longer than its timeout of {seconds:g} s"


def read_result(pod: PodView) -> object:
    """Returns a Pod's termination message as JSON where it is JSON, else as text, else None."""
    words = pod.end.message.strip() if pod.end else ""
    if not words:
        return None
    try:
        value: object = json.loads(words)
    except (ValueError, RecursionError):  # the latter for four thousand opening brackets
        return words
    return value


def look_at_task(observed: Observed, unit: Unit, task_id: str, now: datetime) -> Standing:
    """Says how an agent's task stands."""
    answer = observed.results.get(task_id)
    if answer is None:
        if unit.until is not None and now >= unit.until:
            return Broken(Failure("TimedOut", describe_timeout(unit, unit.until)), unit.until, is_open=True)
        return Underway(is_running=unit.state is State.RUNNING)
    if answer.outcome == "success":
        return Done(answer.output, answer.finished_at, answer)
    if answer.code == "Withdrawn":
        return TakenBack()
    if answer.outcome == "cancelled":
        return Stopped(answer.finished_at, answer)
    reason = "Undeliverable" if answer.is_undeliverable else "TaskFailed" if answer.is_retryable else "TaskRefused"
    return Broken(Failure(reason, answer.words), answer.finished_at, agent=answer)
