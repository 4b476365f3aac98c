"""The decision about one WorkflowTemplate: what its schedule starts, what is deleted, what there is to say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from vapora.api.reasons import Reason
from vapora.core.conditions import Condition, merge_conditions, timestamp
from vapora.core.plan import Action, Create, Delete, Event, EventType, Manifest, Plan
from vapora.core.refusals import find_refusal
from vapora.core.supported import SpecProblem
from vapora.core.template.definition import Template
from vapora.core.template.observed import Observed
from vapora.core.template.runs import Run, build_run, merge_recent, name_run, plan_history
from vapora.core.template.schedule import Decision, Missed, find_first, plan_schedule
from vapora.core.transitions import tell_transitions
from vapora.core.views import child, number, parse_time, rows, text

AGAIN_AFTER_REFUSAL = 30.0  # seconds; nothing tells us when a quota or a policy changes
MAX_RECENT = 10
MAX_ACTIVE = 1000
QUIET: frozenset[str] = frozenset({Reason.ApiUnavailable})


def plan_template(observed: Observed, now: datetime) -> Plan:
    """Decides what to do about a template; its runs go with it, by owner references."""
    if observed.meta.is_deleting:
        return Plan()
    template = observed.template
    if isinstance(template, SpecProblem):
        return _publish(observed, Decision(), list(_describe_problem(template)), now)
    decision = _decide(observed, template, now)
    actions = _plan_actions(observed, template, decision)
    plan = _publish(observed, decision, list(_describe(observed, template, decision)), now)
    return replace(plan, actions=actions, requeue_after=_find_rest(observed, template, decision, now))


def _decide(observed: Observed, template: Template, now: datetime) -> Decision:
    """Asks the schedule; a slot whose run was refused stays to be decided."""
    first = find_first(
        template,
        noted=parse_time(observed.status.get("nextScheduledAt")),
        is_new="observedGeneration" not in observed.status,
        is_changed=number(observed.status, "observedGeneration") != observed.meta.generation,
        created_at=observed.meta.created_at or now,
        now=now,
    )
    decision = plan_schedule(template, observed.runs, first, now)
    refused = {_name(problem.action) for problem in observed.problems if isinstance(problem.action, Create)}
    failed = [slot for slot in decision.starts if name_run(observed.meta.key.name, slot) in refused]
    if not failed:
        return decision
    made = tuple(slot for slot in decision.starts if slot not in failed)
    return replace(decision, starts=made, next=failed[0])


def _plan_actions(observed: Observed, template: Template, decision: Decision) -> tuple[Action, ...]:
    if template.schedule is None:
        return ()
    replaced = [Delete(run.key, run.uid) for run in decision.replaced]
    starts = [Create(build_run(observed.meta, observed.author, template.account, slot)) for slot in decision.starts]
    return (*replaced, *starts, *plan_history(observed.runs, template.schedule.keep, decision.decided))


def _find_rest(observed: Observed, template: Template, decision: Decision, now: datetime) -> float | None:
    if any(problem.is_permanent for problem in observed.problems):
        return AGAIN_AFTER_REFUSAL
    if decision.next is None or template.timetable is None:
        return None
    if decision.next <= now and not decision.blockers:
        return 0.0
    due = template.timetable.next(now) if decision.blockers else decision.next
    return (due - now).total_seconds() if due else None


def _describe(observed: Observed, template: Template, decision: Decision) -> Iterator[Condition]:
    refusal = find_refusal(observed.problems)
    if refusal:
        yield refusal
    if template.schedule is not None and template.schedule.suspend:
        yield Condition("Suspended", "True", Reason.Suspended, "the schedule rests: spec.schedule.suspend is true")
    if refusal and refusal.type == "Stalled":
        yield Condition("Ready", "False", refusal.reason, refusal.message)
    elif decision.blockers:
        names = ", ".join(sorted(run.key.name for run in decision.blockers)[:3])
        yield Condition("Ready", "True", Reason.WaitingForCapacity, f"the next run waits until {names} has ended")
    else:
        yield Condition("Ready", "True", Reason.AsExpected, "it can be run")


def _describe_problem(problem: SpecProblem) -> Iterator[Condition]:
    yield Condition("Ready", "False", problem.reason, problem.message)
    yield Condition("Stalled", "True", problem.reason, problem.message)


def _publish(observed: Observed, decision: Decision, conditions: list[Condition], now: datetime) -> Plan:
    former, generation = observed.status, observed.meta.generation
    last = max((timestamp(slot) for slot in decision.starts), default=text(former, "lastScheduledAt"))
    running = {run.key.name for run in observed.runs if not run.is_finished}
    active = sorted(running | {name_run(observed.meta.key.name, slot) for slot in decision.starts})
    recent = merge_recent(rows(former, "recent"), observed.runs, MAX_RECENT)
    status: Manifest = {
        "observedGeneration": generation,
        "conditions": merge_conditions(rows(former, "conditions"), conditions, generation=generation, now=now),
        **({"lastScheduledAt": last} if last else {}),
        **({"nextScheduledAt": timestamp(decision.next)} if decision.next else {}),
        **({"recent": recent} if recent else {}),
        **({"active": active[:MAX_ACTIVE]} if active else {}),
    }
    events = [*tell_transitions(rows(former, "conditions"), conditions, quiet=QUIET), *_tell(observed, decision)]
    return Plan(status=status, events=tuple(events))


def _tell(observed: Observed, decision: Decision) -> Iterator[Event]:
    if decision.missed:
        yield Event(EventType.WARNING, Reason.RunMissed, _explain(decision.missed))
    for slot in decision.starts:
        yield Event(EventType.NORMAL, Reason.RunStarted, f"{name_run(observed.meta.key.name, slot)} was made")
    for run in decision.replaced:
        yield Event(EventType.NORMAL, Reason.RunReplaced, f"{_title(run)} makes room for the next run")


def _explain(missed: Missed) -> str:
    until = f" until before {timestamp(missed.until)}" if missed.until else ""
    return f"no run for the slots from {timestamp(missed.first)}{until}: {missed.cause}"


def _title(run: Run) -> str:
    return f"{run.key.kind} {run.key.name}"


def _name(action: Create) -> str:
    return text(child(action.manifest, "metadata"), "name")
