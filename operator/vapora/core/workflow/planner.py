"""The plan of a workflow: what a reconcile decides, as a pure function of what was observed and the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from vapora.core.conditions import cut
from vapora.core.naming import FINALIZER_CLEANUP, NO_ITEM
from vapora.core.plan import CancelTask, Event, EventType, Key, Patch, Plan
from vapora.core.supported import SpecProblem
from vapora.core.workflow.advance import advance, cancel, fail_step
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.draft import DEADLINE_EXCEEDED, Draft
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.gates import open_gates
from vapora.core.workflow.observed import Observed, WorkflowPlan
from vapora.core.workflow.release import read_labels
from vapora.core.workflow.requests import Request, read_request
from vapora.core.workflow.starting import is_failing, start_what_may, take_over
from vapora.core.workflow.status import Phase, State, Unit, WorkflowStatus

CANCEL_GRACE = timedelta(seconds=30)
BROKER_PATIENCE = timedelta(minutes=10)
BROKER_RETRY = 5.0


def plan_workflow(observed: Observed, now: datetime) -> WorkflowPlan:
    """Decides what a workflow needs now; planning again after carrying it out gives nothing more to do."""
    if observed.is_deleting:
        return plan_deletion(observed, now)
    if observed.status.phase.is_final:
        return WorkflowPlan(Plan(), observed.status, observed.frontier)
    if isinstance(observed.definition, SpecProblem):
        return plan_refusal(observed, observed.definition)
    return plan_run(observed, observed.definition, now)


def plan_refusal(observed: Observed, problem: SpecProblem) -> WorkflowPlan:
    """Says why the spec cannot be run; nothing starts, and a corrected spec is looked at anew."""
    status = replace(observed.status, reason=problem.reason, message=problem.message)
    told = observed.status.reason == problem.reason and observed.status.message == problem.message
    events = () if told else (Event(EventType.WARNING, problem.reason, problem.message),)
    return WorkflowPlan(Plan(events=events), status, observed.frontier)


def plan_deletion(observed: Observed, now: datetime) -> WorkflowPlan:
    """Lets a deleted workflow go: its tasks are called back; its children go with it by their owner reference.

    While the broker is away, that waits: but not for ever.
    """
    if FINALIZER_CLEANUP not in observed.finalizers:
        return WorkflowPlan(Plan(), observed.status, observed.frontier)
    actions: list[CancelTask | Patch] = []
    for name, step in observed.status.steps.items():
        units = {NO_ITEM: step.unit} if step.items is None else step.items.active
        for item, unit in units.items():
            task = observed.identity.effect_of(name, item, unit)
            if task and unit.state.is_working:
                actions.append(CancelTask(Key("AgentPool", observed.identity.namespace, unit.pool), task))
    if actions and observed.surroundings.broker_problem and now < (observed.deleted_at or now) + BROKER_PATIENCE:
        return WorkflowPlan(Plan(requeue_after=BROKER_RETRY), observed.status, observed.frontier)
    kept = [name for name in observed.finalizers if name != FINALIZER_CLEANUP]
    actions.append(Patch(observed.workflow, {"metadata": {"uid": observed.identity.uid, "finalizers": kept}}))
    return WorkflowPlan(Plan(actions=tuple(actions)), observed.status, observed.frontier)


def plan_run(observed: Observed, definition: Definition, now: datetime) -> WorkflowPlan:
    """Moves every unit on that something happened to, then starts what may start, then looks whether it is over."""
    draft = Draft(observed, definition, now, observed.frontier.copy(), dict(observed.status.steps))
    if observed.status.ending is not None:
        draft.outcome = (observed.status.ending, observed.status.reason, observed.status.message)
    status = _handle_request(draft, observed.status)
    _release_written(draft)
    for place in sorted(_find_places(draft)):
        advance(draft, place)
    _check_deadline(draft)
    while True:
        open_gates(draft)
        if draft.is_ending:
            break
        take_over(draft)
        _close_fans(draft)
        if draft.frontier.gates:
            continue
        start_what_may(draft)
        has_room_again = _heed_refusals(draft)
        _close_fans(draft)
        if not draft.frontier.gates and not has_room_again:
            break
    if draft.is_ending:
        _cancel_rest(draft)
        _close_fans(draft)
        open_gates(draft)  # what can never run now is skipped, whoever ended last
    return _conclude(draft, status)


def _handle_request(draft: Draft, status: WorkflowStatus) -> WorkflowStatus:
    """Carries out the request annotation once; only cancel is known so far."""
    request, text = read_request(draft.observed.request, draft.observed.identity.uid), cut(draft.observed.request)
    if request is None or text == status.handled_request:
        return status
    if request == Request("cancel", ""):
        draft.outcome = (Phase.CANCELLED, "CancelRequested", "it was cancelled on request")
    else:
        draft.tell(EventType.WARNING, "RequestRefused", f"request {text!r}: this version carries out cancel only")
    return replace(status, handled_request=text)


def _release_written(draft: Draft) -> None:
    """Lets dependents go of effects whose result is durable by now."""
    for step in sorted(draft.frontier.unwritten):
        if draft.observed.written.step(draft.graph.names[step]).state.is_final:
            draft.frontier.unwritten.discard(step)
            draft.frontier.settle(draft.graph, step)
        else:
            draft.durable_first = True


def _find_places(draft: Draft) -> set[Place]:
    """Returns the units to look at: those with news, those that are due, those that wait for their effect."""
    frontier, observed = draft.frontier, draft.observed
    if observed.changed is None:
        places = {(step, NO_ITEM) for step in frontier.active if step not in frontier.fans}
        places |= {(step, item) for step in frontier.fans for item in draft.active_items(step)}
        frontier.pop_due(draft.now)
        return places
    named = {place for name in observed.changed if (place := _find_place(draft, name)) is not None}
    problems = {frontier.units[name] for name in observed.problems if name in frontier.units}
    return named | problems | frontier.starting | frontier.pop_due(draft.now)


def _find_place(draft: Draft, name: str) -> Place | None:
    """Returns the unit that a child or task is for; the Pod of a Job says in its labels."""
    place = draft.frontier.units.get(name)
    pod = None if place else draft.observed.children.get(Key("Pod", draft.observed.identity.namespace, name))
    if pod is None:
        return place
    step, item, _ = read_labels(pod)
    return (draft.graph.index[step], item) if step in draft.graph.index else None


def _heed_refusals(draft: Draft) -> bool:
    """Looks at the units whose child or task was refused for good when this plan was first carried out.

    Returns whether that made room for others to start.
    """
    before = draft.frontier.working
    for name, problem in sorted(draft.observed.problems.items()):
        if problem.is_permanent and (place := draft.frontier.units.get(name)) is not None:
            advance(draft, place)
    return draft.frontier.working < before


def _check_deadline(draft: Draft) -> None:
    if draft.definition.deadline is None:
        return
    at = draft.observed.created_at + timedelta(seconds=draft.definition.deadline)
    if draft.now < at:
        draft.wake_at(at)
    elif not draft.is_ending:
        words = f"it did not end within {draft.definition.deadline:g} s"
        draft.outcome = (Phase.FAILED, DEADLINE_EXCEEDED, words)


def _cancel_rest(draft: Draft) -> None:
    for step in draft.frontier.ready:
        if draft.status(step).state is State.READY:
            draft.settle(step, Unit(State.CANCELLED, finished_at=draft.now, reason="Cancelled"))
    draft.frontier.ready.clear()
    draft.frontier.retrying.clear()
    for step in sorted(draft.frontier.active):
        if step in draft.frontier.fans:
            for item in sorted(draft.active_items(step)):
                cancel(draft, (step, item), grace=CANCEL_GRACE)
        else:
            cancel(draft, (step, NO_ITEM), grace=CANCEL_GRACE)


def _close_fans(draft: Draft) -> None:
    """Ends every forEach whose items have ended, or have failed too often."""
    for step in sorted(draft.frontier.fans):
        status = draft.status(step)
        items, active = status.items, draft.active_items(step)
        if items is None:
            continue
        failing = is_failing(draft, step)
        if failing:
            for item in sorted(active):
                cancel(draft, (step, item), grace=CANCEL_GRACE)
        if active:
            continue
        items = draft.status(step).items or items
        ended = replace(status.unit, finished_at=draft.now, reason="", message="")
        if failing:
            first = items.failures[0] if items.failures else None
            words = f"{len(items.failed)} of {items.total} items failed" + (f"; {first.message}" if first else "")
            fail_step(draft, step, replace(ended, state=State.FAILED, reason="ItemsFailed", message=words))
        elif items.ended == items.total:
            draft.settle(step, replace(ended, state=State.SUCCEEDED))
        elif draft.is_ending:
            draft.settle(step, replace(ended, state=State.CANCELLED, reason="Cancelled"))


def _conclude(draft: Draft, status: WorkflowStatus) -> WorkflowPlan:
    """Gives the run's next status, and the final one where nothing is left to do."""
    frontier = draft.frontier
    all_ended = sum(frontier.states.values()) == len(draft.graph.names)
    is_over = not frontier.active if draft.is_ending else all_ended
    status = _end(draft, status) if is_over else _go_on(draft, status)
    status = draft.finish(replace(status, started_at=status.started_at or (draft.now if draft.steps else None)))
    if frontier.due:
        draft.wake_at(frontier.due[0][0])
    plan = Plan(
        actions=(*_claim_workflow(draft), *draft.actions),
        events=tuple(draft.events),
        urgent=is_over or draft.durable_first,
        requeue_after=None if draft.next_look is None or is_over else _seconds(draft.next_look - draft.now),
    )
    return WorkflowPlan(
        plan, status, frontier, tuple(draft.executions), draft.durable_first and not is_over, draft.looked_at
    )


def _end(draft: Draft, status: WorkflowStatus) -> WorkflowStatus:
    phase, reason, message = draft.outcome or (Phase.SUCCEEDED, "Succeeded", "every step has ended")
    draft.tell(EventType.WARNING if phase is Phase.FAILED else EventType.NORMAL, f"Workflow{phase}", message)
    return replace(status, phase=phase, ending=None, reason=reason, message=message, finished_at=draft.now)


def _go_on(draft: Draft, status: WorkflowStatus) -> WorkflowStatus:
    if status.phase is Phase.PENDING and draft.steps:
        draft.tell(EventType.NORMAL, "WorkflowStarted", f"started; it has {len(draft.graph.names)} steps")
    phase = Phase.RUNNING if draft.steps else Phase.PENDING
    ending, reason, message = draft.outcome or (None, "Running", "")
    return replace(status, phase=phase, ending=ending, reason=reason, message=message)


def _claim_workflow(draft: Draft) -> list[Patch]:
    """Puts our finalizer on the Workflow before its first task is given out, so that its end can call tasks back."""
    held = draft.observed.finalizers
    if not draft.frontier.starting or FINALIZER_CLEANUP in held:
        return []
    wanted = [*held, FINALIZER_CLEANUP]
    return [Patch(draft.observed.workflow, {"metadata": {"uid": draft.observed.identity.uid, "finalizers": wanted}})]


def _seconds(span: timedelta) -> float:
    return max(0.0, span.total_seconds())
