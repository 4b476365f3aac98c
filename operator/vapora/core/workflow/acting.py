"""Running a procedure: its calls are asked for one at a time, each once what it rests on is durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from vapora.core.calls import Account, Answer, Call, Perform, Reading, is_reading
from vapora.core.conditions import cut
from vapora.core.naming import NO_ITEM
from vapora.core.procedures.approval import build_approval
from vapora.core.workflow.approvals import find_unverifiable
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.outputs import find_excess
from vapora.core.workflow.procedure import Ask, Failed, Finished, Next, Procedure, Rest, Situation
from vapora.core.workflow.resolve import build_variables, resolve_body
from vapora.core.workflow.standing import Broken, Done, Standing, Underway
from vapora.core.workflow.status import Identity, State, Unit, WorkflowStatus
from vapora.core.workflow.tracing import build_traceparent
from vapora.core.workflow.tries import describe_timeout

OUTCOME_UNKNOWN = "OutcomeUnknown"


def act(draft: Draft, place: Place, unit: Unit) -> Standing | None:
    """Moves a procedure on as far as it goes now; None where it rests or waits for its status to be written."""
    if unit.until is not None and draft.now >= unit.until:
        return Broken(Failure("TimedOut", _explain_timeout(unit, unit.until)), unit.until, is_open=True)
    call = call_id(draft, place, unit)
    if call in draft.observed.underway:
        return Underway(is_running=True, why=unit.message)
    answer = draft.observed.answers.get(call)
    if answer is None and (unit.asked is not None or _rests(draft, place, unit)):
        return _perform(draft, place, unit, unit.asked) if unit.asked is not None else None
    try:
        situation = _describe(draft, place, unit, answer)
    except ValueError as problem:
        return Broken(Failure(getattr(problem, "reason", "InvalidInput"), str(problem)))
    return _follow(draft, place, unit, _find(draft, place)(situation), was_answered=answer is not None)


def _explain_timeout(unit: Unit, until: datetime) -> str:
    """Says that a try took too long, and what it was waiting for."""
    return describe_timeout(unit, until) + (f": {unit.message}" if unit.message else "")


def call_id(draft: Draft, place: Place, unit: Unit) -> str:
    """Returns the id of a unit's present call."""
    return f"{effect_key(draft, place, unit)}/{unit.calls}"


def effect_key(draft: Draft, place: Place, unit: Unit) -> str:
    """Returns the idempotency key of a unit's present effect."""
    return draft.observed.identity.effect_of(draft.graph.names[place[0]], place[1], unit) or ""


def find_asked(status: WorkflowStatus, identity: Identity) -> frozenset[str]:
    """Returns the ids of the calls whose answers are still of use."""
    return frozenset(
        f"{key}/{unit.calls}"
        for name, item, unit in status.units()
        if unit.calls and not unit.state.is_final and (key := identity.effect_of(name, item, unit))
    )


def _rests(draft: Draft, place: Place, unit: Unit) -> bool:
    """Returns whether it is not yet time to go on; the word of a person may come before that."""
    is_early = unit.next_attempt_at is not None and draft.now < unit.next_attempt_at
    return is_early and draft.step(place[0]).kind != "approval"


def _find(draft: Draft, place: Place) -> Procedure:
    step, known = draft.step(place[0]), draft.observed.surroundings
    if step.kind == "approval":
        return build_approval(find_unverifiable(draft.observed.author, draft.observed.policy_problem))
    return (known.undoings if step.undoes else known.procedures)[step.kind]


def _describe(draft: Draft, place: Place, unit: Unit, answer: Answer | None) -> Situation:
    identity, step = draft.observed.identity, draft.step(place[0])
    body = resolve_body(draft, place)
    return Situation(
        namespace=identity.namespace,
        workflow=identity.name,
        uid=identity.uid,
        step=step.name,
        key=effect_key(draft, place, unit),
        account=Account(identity.namespace, draft.whole.spec.service_account_name),
        body=body if isinstance(body, Mapping) else {},
        started_at=unit.started_at or draft.now,
        now=draft.now,
        memory=unit.memory,
        answer=answer,
        undoes=draft.undone(place),
        decisions=draft.decisions.get(step.name, ()),
        variables=build_variables(draft, place),
        traceparent=build_traceparent(identity.uid, step.name, None if place[1] == NO_ITEM else place[1], unit.tries),
    )


def _follow(draft: Draft, place: Place, unit: Unit, what: Next, *, was_answered: bool) -> Standing | None:
    if not isinstance(what, Failed) and (excess := find_excess(unit.memory, what.memory, draft.frontier.memory_bytes)):
        return Broken(excess)
    match what:
        case Ask():
            return _ask(draft, place, unit, what, was_answered=was_answered)
        case Rest():
            _rest(draft, place, unit, what, was_answered=was_answered)
            return None
        case Finished(result, memory):
            draft.put_unit(place, replace(unit, memory=memory, next_attempt_at=None))
            return Done(result, draft.now)
        case Failed(failure, memory, is_definite):
            draft.put_unit(place, replace(unit, memory=memory, next_attempt_at=None))
            return Broken(failure, draft.now, is_open=not is_definite)


def _rest(draft: Draft, place: Place, unit: Unit, rest: Rest, *, was_answered: bool) -> None:
    waits_for_people = draft.step(place[0]).kind == "approval"
    resting = replace(
        unit,
        state=State.WAITING_APPROVAL if waits_for_people else State.RUNNING,
        reason=rest.reason,
        message=cut(rest.why),
        memory=rest.memory,
        next_attempt_at=rest.until,
        calls=unit.calls + was_answered,
        asked=None,
    )
    if resting != unit:
        draft.put_unit(place, resting)


def _ask(draft: Draft, place: Place, unit: Unit, ask: Ask, *, was_answered: bool) -> Standing | None:
    """Asks for a call; one that changes something only after the unit, with what it keeps, stands in the status."""
    if was_answered or unit.memory != ask.memory or unit.next_attempt_at is not None:
        unit = replace(unit, calls=unit.calls + 1, memory=ask.memory, next_attempt_at=None, is_ours=True)
    elif draft.step(place[0]).spec.at_most_once and not unit.is_ours and not is_reading(ask.call):
        words = "the operator was stopped while it acted; whether that had its effect is not known"
        return Broken(Failure(OUTCOME_UNKNOWN, words), is_open=True)
    unit = replace(unit, state=State.STARTING, asked=ask.call)  # so that it is looked at again once it is written
    draft.put_unit(place, unit)
    return _perform(draft, place, unit, ask.call)


def _perform(draft: Draft, place: Place, unit: Unit, call: Call) -> Standing | None:
    """Has a call made: one that changes something once the unit, with what it keeps in mind, stands in the status.

    One through a Provider too: from the status it is known which steps hold its places.
    """
    if not isinstance(call, Reading) and not _is_durable(draft, place, unit):
        draft.durable_first = True
        return None
    account = Account(draft.observed.identity.namespace, draft.whole.spec.service_account_name)
    draft.actions.append(Perform(call_id(draft, place, unit), call, account))
    return Underway(is_running=True)


def _is_durable(draft: Draft, place: Place, unit: Unit) -> bool:
    written = draft.observed.written.step(draft.graph.names[place[0]])
    known = written.units.get(place[1])
    facts = (unit.effect, unit.tries, unit.calls, unit.memory)
    return known is not None and (known.effect, known.tries, known.calls, known.memory) == facts
