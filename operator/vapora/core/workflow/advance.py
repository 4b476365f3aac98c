"""What becomes of a unit as its try goes on, succeeds or fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from vapora.core.calls import Perform
from vapora.core.conditions import cut
from vapora.core.naming import FINALIZER_CLEANUP, NO_ITEM
from vapora.core.plan import Action, CancelTask, Create, Delete, EventType, Key, Look, Problem, Publish
from vapora.core.views import WorkflowView, child
from vapora.core.workflow.acting import OUTCOME_UNKNOWN, act, call_id, effect_key
from vapora.core.workflow.children import build_request, list_children, look_at_undoing, request_rollback
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.executions import record
from vapora.core.workflow.failure import Failure, FailureClass
from vapora.core.workflow.fetching import fetch_result
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.launch import launch, prepare_task
from vapora.core.workflow.outputs import compute_outputs, measure
from vapora.core.workflow.queueing import explain_wait, fall_back, falls_back
from vapora.core.workflow.resolve import build_variables
from vapora.core.workflow.retry import Again, decide_retry
from vapora.core.workflow.standing import Absent, Broken, Done, Standing, Stopped, TakenBack, Underway, Unseen
from vapora.core.workflow.status import PAUSE_BEFORE, Phase, State, Unit
from vapora.core.workflow.tries import find_child, is_next_made, look_at_child, look_at_task

CANCELLING = "Cancelling"


def advance(draft: Draft, place: Place) -> None:
    """Looks at one unit and moves it on as far as it goes without a new start."""
    unit = draft.unit(place)
    if unit is None or unit.state.is_final or unit.state in {State.WAITING, State.READY}:
        return None
    draft.looked_at += 1
    if unit.state is State.RETRYING:
        return _advance_retrying(draft, place, unit)
    if unit.reason == PAUSE_BEFORE:
        return None  # it has not started
    step = draft.step(place[0])
    standing: Standing
    match step.kind:
        case "agent":
            return _advance_task(draft, place, unit)
        case "run" if step.is_simulated and unit.child is None:
            standing = Done(None, draft.now)
        case "run":
            standing = look_at_child(draft.observed, unit, draft.now, needs_result=bool(step.outputs))
            standing = fetch_result(draft, place, unit, standing) if isinstance(standing, Done) else standing
        case "workflow" if step.undoes:
            standing = _look_at_undoing(draft, place, unit)
            unit = draft.unit(place) or unit
        case "workflow":
            standing = look_at_child(draft.observed, unit, draft.now, needs_result=False)
        case _:
            return _advance_procedure(draft, place, unit)
    return _apply(draft, place, unit, standing)


def _look_at_undoing(draft: Draft, place: Place, unit: Unit) -> Standing:
    """Has each child that the tries of a step made rolled back, the last one first."""
    identity = draft.observed.identity
    by = f"{identity.uid}-{unit.tries}"
    for name in reversed(list_children(draft.undone(place) or {})):
        key = Key("Workflow", identity.namespace, name)
        if not isinstance(view := find_child(draft.observed, key), WorkflowView):
            return Broken(Failure("ChildLost", f"Workflow {name} is gone and cannot be rolled back"))
        standing = look_at_undoing(view, by)
        if isinstance(standing, Done):
            continue
        if unit.child != key:
            draft.put_unit(place, replace(unit, child=key))
        if (request := request_rollback(view, by)) is not None:
            draft.actions.append(request)
        return standing
    return Done(None, draft.now)


def _advance_procedure(draft: Draft, place: Place, unit: Unit) -> None:
    if unit.reason == CANCELLING:
        return None  # it waits for its last answer
    standing = act(draft, place, unit)
    moved = draft.unit(place) or unit
    if isinstance(standing, Underway):
        if moved.state is not State.RUNNING:
            draft.put_unit(place, replace(moved, state=State.RUNNING))
        return None
    return None if standing is None else _apply(draft, place, moved, standing)


def _apply(draft: Draft, place: Place, unit: Unit, standing: Standing) -> None:
    if unit.reason == CANCELLING and not isinstance(standing, Done):
        return  # however it ends now, it ends Cancelled
    match standing:
        case Broken() if falls_back(draft, place, unit, standing):
            fall_back(draft, place, unit, standing.child)
            advance(draft, place)
        case Absent():
            refused = launch(draft, place, unit, again=True)
            if isinstance(refused, Failure):
                fail(draft, place, unit, Broken(refused))
        case Unseen():
            if unit.child is not None:
                draft.actions.append(Look(unit.child))
        case Underway():
            _go_on(draft, place, unit, standing)
        case Done():
            _succeed(draft, place, unit, standing)
        case Broken():
            fail(draft, place, unit, standing)
        case TakenBack():  # it costs neither budget
            again = replace(unit, state=State.RETRYING, until=None, next_attempt_at=draft.now, reason="Withdrawn")
            draft.put_unit(place, again)
        case Stopped(at, agent):
            fail(draft, place, unit, Broken(Failure("TaskCancelled", "the agent gave the task up"), at, agent=agent))


def _go_on(draft: Draft, place: Place, unit: Unit, standing: Underway) -> None:
    is_running, why, reason = explain_wait(draft, place, unit, standing)
    state = State.RUNNING if is_running else State.STARTING
    if (state, why, reason) != (unit.state, unit.message, unit.reason):
        draft.put_unit(place, replace(unit, state=state, message=why, reason=reason))


def _advance_retrying(draft: Draft, place: Place, unit: Unit) -> None:
    """Queues a unit whose delay is over; a task that timed out may still be answered meanwhile."""
    if unit.is_open and draft.step(place[0]).kind == "agent":
        standing = look_at_task(draft.observed, replace(unit, until=None), effect_key(draft, place, unit), draft.now)
        if isinstance(standing, Done):
            return _succeed(draft, place, unit, standing)
        if isinstance(standing, Stopped | Broken | TakenBack):  # answered: the next try is a new effect
            paid = unit if isinstance(standing, TakenBack) else draft.pay(place, unit, standing.agent)
            draft.put_unit(place, replace(paid, is_open=False, pool="", choice=None, grant=None))
    if unit.next_attempt_at is None or place in draft.frontier.retrying:
        return None
    if _has_begun_again(draft, place, unit) or draft.now >= unit.next_attempt_at:
        draft.frontier.retrying.append(place)
    return None


def _has_begun_again(draft: Draft, place: Place, unit: Unit) -> bool:
    """Returns whether a process before this one, or a plan that came to nothing, saw a try fail and began the next."""
    is_full_look = draft.observed.changed is None
    return is_full_look and is_next_made(draft.observed, draft.graph.names[place[0]], place[1], unit.tries)


def _advance_task(draft: Draft, place: Place, unit: Unit) -> None:
    task_id = effect_key(draft, place, unit)
    standing = look_at_task(draft.observed, unit, task_id, draft.now)
    if unit.state is State.STARTING and isinstance(standing, Underway):
        return _publish(draft, place, unit, task_id)
    if isinstance(standing, Broken) and standing.failure.reason == "TimedOut":
        draft.actions.append(CancelTask(_pool_key(draft, unit), task_id))
    return _apply(draft, place, unit, standing)


def _publish(draft: Draft, place: Place, unit: Unit, task_id: str) -> None:
    """Gives the task out once its assignment is durable, so that a restart repeats the same effect or none."""
    observed = draft.observed
    problem = observed.problems.get(task_id)
    if failure := _find_refusal(draft, place, unit, problem):
        return fail(draft, place, unit, Broken(failure, is_open=failure.reason == OUTCOME_UNKNOWN))
    if trouble := problem.message if problem else observed.surroundings.broker_problem:
        return _wait_to_publish(draft, place, unit, "BrokerUnavailable", trouble)
    if unclaimed := observed.problems.get(str(observed.workflow)):
        reason = "AdmissionRefused" if unclaimed.is_permanent else "ApiUnavailable"
        return _wait_to_publish(draft, place, unit, reason, unclaimed.message)
    if FINALIZER_CLEANUP not in observed.finalizers or not _is_durable(draft, place, unit):
        draft.durable_first = True
        return None
    task = prepare_task(draft, place, unit, task_id)
    if isinstance(task, Failure):
        return fail(draft, place, unit, Broken(task))
    draft.actions.append(Publish(_pool_key(draft, unit), task_id, task.envelope))
    return draft.put_unit(place, task.unit)


def _find_refusal(draft: Draft, place: Place, unit: Unit, problem: Problem | None) -> Failure | None:
    """Returns why a task cannot be given out at all."""
    if problem is not None and problem.is_permanent:
        return Failure("TaskRefused", problem.message)
    if draft.step(place[0]).spec.at_most_once and not unit.is_ours:
        words = "the operator was stopped while it gave the task out; whether an agent has it is not known"
        return Failure(OUTCOME_UNKNOWN, words)
    return None


def _wait_to_publish(draft: Draft, place: Place, unit: Unit, reason: str, message: str) -> None:
    draft.wake_at(draft.now + timedelta(seconds=5))
    draft.put_unit(place, replace(unit, reason=reason, message=message))


def _is_durable(draft: Draft, place: Place, unit: Unit) -> bool:
    step, item = place
    known = draft.observed.written.step(draft.graph.names[step]).units.get(item)
    return known is not None and (known.effect, known.pool, known.tries) == (unit.effect, unit.pool, unit.tries)


def _succeed(draft: Draft, place: Place, unit: Unit, done: Done) -> None:
    step, item = place
    outputs: Mapping[str, object] | None = None
    if item == NO_ITEM:
        look, used = build_variables(draft, place), draft.frontier.output_bytes
        found = compute_outputs(draft.step(step), done.result, used, look)
        if isinstance(found, Failure):
            told = f"{found.message} ({done.lack})" if done.lack else found.message
            return fail(draft, place, unit, Broken(replace(found, message=told), done.at, agent=done.agent))
        outputs = found
        draft.frontier.output_bytes += measure(outputs) if outputs else 0
    finished = _when_ended(draft, unit, done.at)
    unit = draft.pay(place, unit, done.agent)
    is_simulated = draft.step(step).is_simulated
    ended = replace(
        unit,
        state=State.SUCCEEDED,
        finished_at=finished,
        until=None,
        pending_until=None,
        next_attempt_at=None,
        is_open=False,
        reason="Simulated" if is_simulated else "",
        message="",
    )
    if not is_simulated:  # nothing ran from which anything could be learnt
        record(draft, place, ended, "success", done.agent, produced=outputs or ())
    if item == NO_ITEM:
        return draft.settle(step, ended, outputs=outputs)
    return draft.end_item(place, ended)


def _when_ended(draft: Draft, unit: Unit, at: datetime | None) -> datetime:
    """Returns when a try ended; kubelets tell whole seconds, perhaps before its start, and clocks may be ahead."""
    return min(max(at, unit.started_at or at), draft.now) if at is not None else draft.now


def fail(draft: Draft, place: Place, unit: Unit, broken: Broken) -> None:
    """Ends a try that failed: stops what is left of it, and tries again or gives the unit up."""
    (step, item), unit = place, draft.pay(place, unit, broken.agent)
    failure, at = broken.failure, _when_ended(draft, unit, broken.at)
    if broken.is_open and draft.step(step).spec.at_most_once and failure.reason != OUTCOME_UNKNOWN:
        failure = Failure(OUTCOME_UNKNOWN, f"{failure.reason}: {failure.message}; it is not repeated (atMostOnce)")
    if broken.child is not None:
        draft.actions.append(Delete(broken.child.meta.key, broken.child.meta.uid))
    spoilt = failure.failure_class is FailureClass.INFRASTRUCTURE
    ended = replace(
        unit,
        finished_at=at,
        until=None,
        pending_until=None,
        reason=failure.reason,
        message=cut(failure.message),
        exit_code=failure.exit_code,
        infrastructure_failures=unit.infrastructure_failures + spoilt,
        next_attempt_at=None,
        is_open=broken.is_open,
    )
    record(draft, place, ended, "failure", broken.agent)
    decision = decide_retry(
        draft.step(step).retry,
        failure,
        attempt=ended.attempt,
        infrastructure_failures=ended.infrastructure_failures,
        seed=f"{draft.observed.identity.uid}/{draft.graph.names[step]}/{item}",
    )
    if isinstance(decision, Again) and draft.is_ending and not _has_begun_again(draft, place, ended):
        return _end_cancelled(draft, place, replace(ended, state=State.RETRYING), "")
    if isinstance(decision, Again):
        due = at + timedelta(seconds=decision.delay)
        draft.put_unit(place, replace(ended, state=State.RETRYING, next_attempt_at=due))
        draft.tell(EventType.NORMAL, "Retrying", f"{describe(draft, place)} failed: {failure.message}")
        return advance(draft, place)
    ended = replace(ended, state=State.FAILED)
    if item != NO_ITEM:
        return draft.end_item(place, ended)
    return fail_step(draft, step, ended)


def fail_step(draft: Draft, step: int, unit: Unit) -> None:
    """Ends a step that failed for good, and with it the workflow, unless the step says otherwise."""
    name = draft.graph.names[step]
    draft.settle(step, unit)
    draft.tell(EventType.WARNING, "StepFailed", cut(f"step {name}: {unit.reason}: {unit.message}"))
    if draft.step(step).on_failure != "continue":
        draft.decide(Phase.FAILED, unit.reason, f"step {name} failed: {unit.message or unit.reason}")


def describe(draft: Draft, place: Place) -> str:
    """Names a unit for people."""
    step, item = place
    name = f"step {draft.graph.names[step]}"
    return name if item == NO_ITEM else f"{name}, item {item}"


def cancel(draft: Draft, place: Place, *, grace: timedelta) -> None:
    """Stops a unit; it ends Cancelled once its child or agent has stopped, or the grace is over."""
    unit = draft.unit(place)
    if unit is None or unit.state.is_final:
        return None
    if not unit.state.is_working:
        return _end_cancelled(draft, place, unit, "")
    if unit.reason != CANCELLING:
        _withdraw(draft, place, unit)
        _ask_to_stop(draft, place, unit)
        unit = replace(unit, reason=CANCELLING, until=None, pending_until=draft.now + grace)
        draft.put_unit(place, unit)
    elif grace == timedelta(0):
        unit = replace(unit, pending_until=draft.now)
    return _finish_cancel(draft, place, unit)


def _withdraw(draft: Draft, place: Place, unit: Unit) -> None:
    """Takes back what this very plan wants done for a unit: nothing is started only to be stopped."""
    effect, child_name = effect_key(draft, place, unit), unit.child.name if unit.child is not None else ""

    def is_of_unit(action: Action) -> bool:
        match action:
            case Perform():
                return action.id.rpartition("/")[0] == effect
            case Publish():
                return action.message_id == effect
            case Create(manifest):
                return bool(child_name) and child(manifest, "metadata").get("name") == child_name
            case _:
                return False

    draft.actions = [action for action in draft.actions if not is_of_unit(action)]


def _ask_to_stop(draft: Draft, place: Place, unit: Unit) -> None:
    kind = draft.step(place[0]).kind
    if kind == "agent":
        draft.actions.append(CancelTask(_pool_key(draft, unit), effect_key(draft, place, unit)))
    elif unit.child is not None and (view := draft.observed.children.get(unit.child)) is not None:
        if kind == "workflow":
            verb = "terminate" if draft.is_terminating else "cancel"
            draft.actions.append(build_request(unit.child, view.meta.uid, verb, draft.observed.identity.uid))
        elif not view.meta.is_deleting:
            draft.actions.append(Delete(unit.child, view.meta.uid))


def _finish_cancel(draft: Draft, place: Place, unit: Unit) -> None:
    is_over = unit.pending_until is not None and draft.now >= unit.pending_until
    kind = draft.step(place[0]).kind
    if kind == "agent":
        answer = draft.observed.results.get(effect_key(draft, place, unit))
        if answer is not None or unit.state is State.STARTING:
            return _end_cancelled(draft, place, unit, "")
        return _end_cancelled(draft, place, unit, "CancelUnconfirmed") if is_over else None
    if unit.child is None:  # a call that is under way has its effect; no other follows
        is_acting = call_id(draft, place, unit) in draft.observed.underway
        return None if is_acting and not is_over else _end_cancelled(draft, place, unit, "")
    view = draft.observed.children.get(unit.child)
    standing = look_at_child(draft.observed, replace(unit, pending_until=None), draft.now, needs_result=False)
    has_stopped = view is None or not isinstance(standing, Underway)
    return _end_cancelled(draft, place, unit, "") if has_stopped or is_over else None


def _end_cancelled(draft: Draft, place: Place, unit: Unit, reason: str) -> None:
    step, item = place
    is_task = bool(unit.pool) and unit.state.is_working
    answer = draft.observed.results.get(effect_key(draft, place, unit)) if is_task else None
    unit = draft.pay(place, unit, answer)
    ended = replace(
        unit,
        state=State.CANCELLED,
        # A child that was made and not written down goes; its name is never used again.
        tries=unit.tries + is_next_made(draft.observed, draft.graph.names[step], item, unit.tries),
        finished_at=draft.now,
        until=None,
        pending_until=None,
        next_attempt_at=None,
        reason=reason or "Cancelled",
        message="",
        is_open=unit.is_open or _may_have_acted(draft, place, unit),
    )
    if unit.state.is_working:
        record(draft, place, ended, "cancelled", answer)
    if item == NO_ITEM:
        draft.settle(step, ended)
    else:
        draft.end_item(place, ended)


def _may_have_acted(draft: Draft, place: Place, unit: Unit) -> bool:
    """Returns whether an effect that nobody answered for may have happened, so that another try repeats it."""
    if not unit.effect or not unit.state.is_working:
        return False
    if draft.step(place[0]).kind == "agent":
        return unit.state is State.RUNNING and effect_key(draft, place, unit) not in draft.observed.results
    answer = draft.observed.answers.get(call_id(draft, place, unit))
    return answer is None or not (answer.is_failure and answer.is_definite)


def _pool_key(draft: Draft, unit: Unit) -> Key:
    return Key("AgentPool", draft.observed.identity.namespace, unit.pool)
