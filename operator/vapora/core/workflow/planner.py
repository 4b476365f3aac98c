"""The plan of a workflow: what a reconcile decides, as a pure function of what was observed and the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from vapora.core.conditions import cut
from vapora.core.naming import APPROVE_ROLLBACK, FINALIZER_CLEANUP
from vapora.core.plan import CancelTask, Event, EventType, Key, Patch, Plan
from vapora.core.supported import SpecProblem
from vapora.core.workflow.advance import CANCELLING, advance, cancel, fail_step
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.draft import DEADLINE_EXCEEDED, UNREADABLE, Draft
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.gates import open_gates
from vapora.core.workflow.lateness import take_late_answers
from vapora.core.workflow.lifecycle import find_request, heed_pause, heed_request
from vapora.core.workflow.listening import listen
from vapora.core.workflow.observed import Observed, WorkflowPlan
from vapora.core.workflow.places import give_up_place, heed_rivals, plan_place
from vapora.core.workflow.purse import open_purse
from vapora.core.workflow.release import count_made, read_labels
from vapora.core.workflow.renewal import renew_step, retire_words
from vapora.core.workflow.restart import restart, restart_changed
from vapora.core.workflow.rollback import begin_rollback, conclude_rollback, find_wanted
from vapora.core.workflow.stages import build_stage, build_stage_frontier, list_completion
from vapora.core.workflow.starting import is_failing, start_what_may, take_over
from vapora.core.workflow.status import WAITING, Phase, Stage, State, WorkflowStatus

CANCEL_GRACE = timedelta(seconds=30)
BROKER_PATIENCE = timedelta(minutes=10)
BROKER_RETRY = 5.0
SUCCEEDED = (Phase.SUCCEEDED, "Succeeded", "every step has ended")


def plan_workflow(observed: Observed, now: datetime) -> WorkflowPlan:
    """Decides what a workflow needs now; planning again after carrying it out gives nothing more to do."""
    if observed.is_deleting:
        return plan_deletion(observed, now)
    observed, late = take_late_answers(observed, now)
    decided = _plan_standing(observed, now)
    return replace(decided, executions=(*late, *decided.executions)) if late else decided


def _plan_standing(observed: Observed, now: datetime) -> WorkflowPlan:
    if isinstance(observed.definition, SpecProblem):
        if observed.status.phase.is_final:
            return WorkflowPlan(Plan(), observed.status, observed.frontier)
        return plan_refusal(observed, observed.definition)
    if observed.status.phase.is_final:
        return plan_finished(observed, observed.definition, now)
    return plan_run(observed, observed.definition, now)


def plan_finished(observed: Observed, definition: Definition, now: datetime) -> WorkflowPlan:
    """Starts a run that has ended again, or undoes it, where that is asked for."""
    observed = replace(observed, status=count_made(observed.status, observed.children.values()))
    draft = begin_draft(observed, definition, now)
    request = find_request(observed.status.handled_request, observed.request, observed.identity.uid)
    if request is None and not observed.must_rerun:
        return WorkflowPlan(Plan(), observed.status, observed.frontier)
    if request is not None:
        draft.standing = replace(draft.standing, handled_request=cut(observed.request))
    refusal = "" if request is None else restart(draft, request)
    if refusal:
        draft.tell(EventType.WARNING, "RequestRefused", cut(f"request {observed.request!r}: {refusal}"))
    if observed.must_rerun and (request is None or refusal):
        restart_changed(draft)
    status = give_up_place(definition, replace(draft.standing, steps=draft.steps))
    frontier = build_stage_frontier(definition, status, observed.identity)
    return WorkflowPlan(Plan(events=tuple(draft.events)), status, frontier, durable_first=not status.phase.is_final)


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
    for name, item, unit in observed.status.units():
        task = observed.identity.effect_of(name, item, unit)
        if task and unit.pool and unit.state.is_working:
            actions.append(CancelTask(Key("AgentPool", observed.identity.namespace, unit.pool), task))
    if actions and observed.surroundings.broker_problem and now < (observed.deleted_at or now) + BROKER_PATIENCE:
        return WorkflowPlan(Plan(requeue_after=BROKER_RETRY), observed.status, observed.frontier)
    kept = [name for name in observed.finalizers if name != FINALIZER_CLEANUP]
    actions.append(Patch(observed.workflow, {"metadata": {"uid": observed.identity.uid, "finalizers": kept}}))
    return WorkflowPlan(Plan(actions=tuple(actions)), observed.status, observed.frontier)


def plan_run(observed: Observed, definition: Definition, now: datetime) -> WorkflowPlan:
    """Moves every unit on that something happened to, starts what may start, and goes on to the next stage."""
    draft = begin_draft(observed, definition, now)
    listen(draft)
    heed_request(draft)
    _release_written(draft)
    for place in sorted(_find_places(draft)):
        advance(draft, place)
    _check_deadline(draft)
    heed_pause(draft)
    if heed_rivals(draft):
        return plan_place(draft)
    _work(draft)
    while _is_over(draft):
        # Whose end nobody but this process could tell.
        rests_on_news = any(kind in UNREADABLE for kind, _ in _find_unwritten_ends(draft))
        if (following := find_next_stage(draft)) is None:
            break
        draft.enter(following)
        if rests_on_news or following.stage is Stage.ROLLBACK:
            # Else a crash could have the same effect end otherwise, or take a child that is undone for one that failed.
            draft.durable_first = True
            break
        _work(draft)
    return _conclude(draft)


def begin_draft(observed: Observed, definition: Definition, now: datetime) -> Draft:
    """Makes the workspace of a plan."""
    status = observed.status
    stage = definition if status.stage is Stage.STEPS else observed.frontier.stage or build_stage(definition, status)
    draft = Draft(observed, definition, stage, now, observed.frontier.copy(), dict(status.steps), status)
    if observed.spending or definition.spec.max_cost_cents is not None:
        draft.purse = open_purse(status.steps)
    if status.ending is not None:
        draft.outcome = (status.ending, status.reason, status.message)
    return draft


def _work(draft: Draft) -> None:
    """Starts what may start in this stage, or ends what must end."""
    while True:
        open_gates(draft)
        take_over(draft)  # also at the end: what was made is stopped, and its try never used again
        if draft.frontier.gates:
            continue  # what was taken over had ended, and what follows it may have been made too
        if draft.is_ending:
            break
        _close_fans(draft)
        if draft.frontier.gates:
            continue
        ended = len(draft.executions)
        if not draft.is_paused:
            start_what_may(draft)
        has_room_again = _heed_refusals(draft) or len(draft.executions) > ended
        _close_fans(draft)
        if not draft.frontier.gates and not has_room_again:
            break
    begins_to_end = draft.is_ending and bool(draft.frontier.active) and draft.observed.written.ending is None
    if begins_to_end and any(state is State.FAILED for _, state in _find_unwritten_ends(draft)):
        draft.durable_first = True  # else after a crash the others would be found stopped, and nobody knew why
    elif draft.is_ending:
        _cancel_rest(draft)
        _close_fans(draft)
        open_gates(draft)  # what can never run now is skipped, whoever ended last


def _is_over(draft: Draft) -> bool:
    """Returns whether nothing of this stage is left to do."""
    if draft.is_ending:
        return not draft.frontier.active
    return draft.frontier.settled == len(draft.graph.names)


def _find_unwritten_ends(draft: Draft) -> list[tuple[str, State]]:
    """Returns kind and state of each step of this stage that has ended, where that is not written yet."""
    written = draft.observed.written
    ends = ((step, draft.steps.get(step.name, WAITING).state) for step in draft.definition.steps)
    return [(step.kind, state) for step, state in ends if state.is_final and state is not written.step(step.name).state]


def find_next_stage(draft: Draft) -> WorkflowStatus | None:
    """Returns the status with which the next stage begins; None where the run is over."""
    standing, outcome = draft.standing, draft.outcome or SUCCEEDED
    draft.fold_items()
    if standing.stage is Stage.STEPS and (wanted := find_wanted(draft, outcome)) is not None:
        draft.outcome = outcome
        draft.tell(EventType.WARNING, "RollingBack", cut(f"{outcome[2]}; undoing {', '.join(wanted.undone)}"))
        return replace(begin_rollback(draft, wanted, outcome), ending=outcome[0])
    if standing.stage is Stage.ROLLBACK and standing.rollback is not None:
        outcome = draft.outcome = conclude_rollback(draft, outcome)
        rollback = replace(standing.rollback, finished_at=draft.now)
        heard = retire_words(standing.approvals, APPROVE_ROLLBACK)  # another rollback asks anew
        standing = draft.standing = replace(standing, rollback=rollback, approvals=heard)
    if standing.stage is Stage.COMPLETION or draft.is_terminating:
        return None
    if not list_completion(draft.whole, outcome[0]):
        return None
    draft.outcome = outcome
    _renew_completion(draft, outcome[0])
    return replace(standing, completing_since=draft.now, ending=outcome[0])


def _renew_completion(draft: Draft, outcome: Phase) -> None:
    for step in list_completion(draft.whole, outcome):
        if (before := draft.steps.get(step.name)) is not None:
            draft.steps[step.name] = renew_step(before, keeps=False)


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
        frontier.pop_due(draft.now)
        return set(draft.active_places())
    named = {place for name in observed.changed if (place := _find_place(draft, name)) is not None}
    problems = {frontier.units[name] for name in observed.problems if name in frontier.units}
    return named | problems | frontier.starting | frontier.people | frontier.pop_due(draft.now)


def _find_place(draft: Draft, name: str) -> Place | None:
    """Returns the unit that a child or task is for; the Pod and the Workload of a Job say in their labels."""
    units = draft.frontier.units
    place = units.get(name) or units.get(name.rpartition("/")[0])  # a call's id is its effect's, and a number
    children, namespace = draft.observed.children, draft.observed.identity.namespace
    if place is not None:
        return place
    made = children.get(Key("Pod", namespace, name)) or children.get(Key("Workload", namespace, name))
    if made is None:
        return None
    step, item, _ = read_labels(made)
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
    if draft.definition.deadline is None or draft.standing.stage is not Stage.STEPS:
        return
    began = draft.standing.restarted_at or draft.observed.created_at
    at = began + timedelta(seconds=draft.definition.deadline)
    if draft.now < at:
        draft.wake_at(at)
    elif not draft.is_ending:
        words = f"it did not end within {draft.definition.deadline:g} s"
        draft.outcome = (Phase.FAILED, DEADLINE_EXCEEDED, words)


def _cancel_rest(draft: Draft) -> None:
    for step in draft.frontier.ready:
        if draft.status(step).state in {State.READY, State.WAITING_APPROVAL}:
            draft.settle(step, draft.ended(step, State.CANCELLED, "Cancelled"))
    draft.frontier.ready.clear()
    draft.frontier.retrying.clear()
    grace = timedelta(0) if draft.is_terminating else CANCEL_GRACE
    for place in draft.active_places():
        unit = draft.unit(place)
        if draft.stops_siblings or unit is None or not unit.state.is_working or unit.reason == CANCELLING:
            cancel(draft, place, grace=grace)


def _close_fans(draft: Draft) -> None:
    """Ends every forEach whose items have ended, or have failed too often."""
    for step in sorted(draft.frontier.fans):
        failing = is_failing(draft, step)
        if failing:
            for item in sorted(draft.active_items(step)):
                cancel(draft, (step, item), grace=CANCEL_GRACE)
        status = draft.status(step)  # with the tries of those that were cancelled
        items = status.items
        if items is None or draft.active_items(step):
            continue
        ended = replace(status.unit, finished_at=draft.now, reason="", message="")
        if failing:
            first = items.failures[0] if items.failures else None
            words = f"{len(items.failed)} of {items.total} items failed" + (f"; {first.message}" if first else "")
            fail_step(draft, step, replace(ended, state=State.FAILED, reason="ItemsFailed", message=words))
        elif items.ended == items.total and not items.cancelled:
            draft.settle(step, replace(ended, state=State.SUCCEEDED))
        elif draft.is_ending or items.cancelled:
            draft.settle(step, replace(ended, state=State.CANCELLED, reason="Cancelled"))


def _conclude(draft: Draft) -> WorkflowPlan:
    """Gives the run's next status, and the final one where nothing is left to do."""
    frontier, is_over = draft.frontier, _is_over(draft)
    status = _end(draft) if is_over else _go_on(draft)
    draft.fold_items()
    if frontier.due:
        draft.wake_at(frontier.due[0][0])
    plan = Plan(
        actions=(*_claim_workflow(draft), *draft.actions),
        events=tuple(draft.events),
        urgent=is_over or draft.durable_first,
        requeue_after=None if draft.next_look is None or is_over else _seconds(draft.next_look - draft.now),
    )
    return WorkflowPlan(
        plan,
        status,
        frontier,
        tuple(draft.executions),
        tuple(draft.choices),
        durable_first=draft.durable_first and not is_over,
        lacks=frozenset(draft.lacks),
        unread=draft.unread,
        looked_at=draft.looked_at,
        wants_capacity=draft.wants_capacity,
    )


def _end(draft: Draft) -> WorkflowStatus:
    phase, reason, message = draft.outcome or SUCCEEDED
    is_bad = phase in {Phase.FAILED, Phase.ROLLED_BACK}
    draft.tell(EventType.WARNING if is_bad else EventType.NORMAL, f"Workflow{phase}", message)
    return replace(
        draft.standing,
        phase=phase,
        steps=draft.steps,
        ending=None,
        reason=reason,
        message=cut(message),
        started_at=_find_start(draft),
        finished_at=draft.now,
        completing_since=None,
        paused_at=None,
        is_pause_requested=False,
    )


def _go_on(draft: Draft) -> WorkflowStatus:
    heed_pause(draft)  # the end may have begun meanwhile
    standing = draft.standing
    if standing.phase is Phase.PENDING and draft.steps:
        draft.tell(EventType.NORMAL, "WorkflowStarted", f"started; it has {len(draft.graph.names)} steps")
    ending, reason, message = draft.outcome or (None, "Running", "")
    return replace(
        standing,
        phase=_find_phase(draft),
        steps=draft.steps,
        ending=ending,
        reason=reason,
        message=message,
        started_at=_find_start(draft),
    )


def _find_start(draft: Draft) -> datetime | None:
    return draft.standing.started_at or (draft.now if draft.steps else None)


def _find_phase(draft: Draft) -> Phase:
    if draft.frontier.people and not draft.frontier.working:
        return Phase.WAITING_APPROVAL
    if draft.standing.stage is Stage.ROLLBACK:
        return Phase.ROLLING_BACK
    if draft.is_paused:
        return Phase.PAUSED
    return Phase.RUNNING if draft.steps else Phase.PENDING


def _claim_workflow(draft: Draft) -> list[Patch]:
    """Puts our finalizer on the Workflow before its first task is given out, so that its end can call tasks back."""
    held = draft.observed.finalizers
    gives_out = any(draft.step(place[0]).kind == "agent" for place in draft.frontier.starting)
    if not gives_out or FINALIZER_CLEANUP in held:
        return []
    wanted = [*held, FINALIZER_CLEANUP]
    return [Patch(draft.observed.workflow, {"metadata": {"uid": draft.observed.identity.uid, "finalizers": wanted}})]


def _seconds(span: timedelta) -> float:
    return max(0.0, span.total_seconds())
