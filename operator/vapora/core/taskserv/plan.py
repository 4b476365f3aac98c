"""The decision about one Taskserv: when it may start, which revision runs, what it is made of, and how it does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.conditions import Condition
from vapora.core.owned import LEFTOVER_POLL, describe_leftovers
from vapora.core.plan import Action, Apply, Create, Plan
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.capacity import judge_capacity
from vapora.core.taskserv.children import plan_children
from vapora.core.taskserv.course import Course, decide_course
from vapora.core.taskserv.dependencies import describe_cycle, find_missing
from vapora.core.taskserv.health import FAILED, PENDING, Health, has_deployed, judge_health
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.refusals import describe_config, describe_exposure, find_refusals
from vapora.core.taskserv.status import (
    QUIET,
    build_conditions,
    build_refused_conditions,
    build_refused_status,
    build_status,
    describe_revisions,
    is_urgent,
)
from vapora.core.taskserv.upgrade.target import describe_pin
from vapora.core.transitions import tell_transitions
from vapora.core.views import rows

AGAIN_AFTER_REFUSAL = 30.0  # seconds; nothing tells us when a quota or a policy changes
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "Job"})


def plan_taskserv(observed: Observed, now: datetime) -> Plan:
    """Decides what to do about a service; what it is made of goes with it, by owner references."""
    if observed.meta.is_deleting:
        return Plan()
    if isinstance(observed.spec, SpecProblem):
        return _plan_refused(observed, observed.spec, now)
    if observed.cycle:
        path = describe_cycle(observed.cycle)
        return _plan_refused(observed, SpecProblem(Reason.DependencyCycle, f"needs itself: {path}"), now)
    if observed.conflicts and not has_deployed(observed):
        message = f"must not be there together with {', '.join(observed.conflicts)}"
        return _plan_refused(observed, SpecProblem(Reason.ConflictsWith, message), now)
    if observed.leftovers:
        return _plan_waiting(observed, now)
    return _plan_sound(observed, observed.spec, now)


def _plan_waiting(observed: Observed, now: datetime) -> Plan:
    """Changes nothing but what is said: the status is also what is remembered of the revisions."""
    health = Health(PENDING, Reason.NameConflict, describe_leftovers(observed.leftovers))
    said = build_conditions(health, (), (), has_needs=False)
    return Plan(
        status={**observed.status, **build_status(observed, health, said, now, {})}, requeue_after=LEFTOVER_POLL
    )


def _plan_sound(observed: Observed, spec: TaskservSpec, now: datetime) -> Plan:
    course = decide_course(observed, spec, now)
    actions = () if _is_gated(observed) else plan_children(observed, spec, course)
    refusals = find_refusals(observed.problems, observed)
    is_changing = not refusals and any(_is_workload(action) for action in actions)
    layout, is_pinned = course.layout, course.target.pin is not None
    health = judge_health(observed, spec, layout, is_changing=is_changing, is_pinned=is_pinned, now=now)
    if refusals and not observed.has_workload:
        health = _hold(health, refusals[0])
    course = course.settle(spec, now, is_good=health.is_good)
    conditions = build_conditions(health, refusals, _describe(observed, spec, course), has_needs=bool(observed.needs))
    more = describe_revisions(observed, spec, health, course.history, course.target, course.layout, now)
    status = build_status(observed, health, conditions, now, more)
    turned = tell_transitions(rows(observed.status, "conditions"), conditions, quiet=QUIET)
    return Plan(
        actions=actions,
        status=status,
        events=(*course.target.events, *turned),
        requeue_after=_find_next_look(observed, course, health, now),
        urgent=is_urgent(observed.status, status),
    )


def _is_gated(observed: Observed) -> bool:
    return not has_deployed(observed) and bool(find_missing(observed.needs))


def _is_workload(action: Action) -> bool:
    return isinstance(action, Apply | Create) and action.manifest["kind"] in _WORKLOADS


def _describe(observed: Observed, spec: TaskservSpec, course: Course) -> tuple[Condition, ...]:
    target = course.target
    said = [
        Condition("Stalled", "True", Reason.InvalidSpec, target.problem) if target.problem else None,
        judge_capacity(spec.minimum_resources, observed.nodes),
        describe_exposure(observed, spec),
        describe_config(observed.config),
    ]
    pinned = describe_pin(target.pin) if target.pin else ()
    return (*pinned, *(condition for condition in said if condition))


def _find_next_look(observed: Observed, course: Course, health: Health, now: datetime) -> float | None:
    if any(problem.is_permanent for problem in observed.problems):
        return AGAIN_AFTER_REFUSAL
    moments = [moment for moment in (health.due, course.due) if moment and moment > now]
    return (min(moments) - now).total_seconds() if moments else None


def _hold(health: Health, refusal: Condition) -> Health:
    """Nothing runs yet, and the API server says why."""
    phase = FAILED if refusal.type == "Stalled" else PENDING
    return replace(health, phase=phase, reason=refusal.reason, message=refusal.message, due=None)


def _plan_refused(observed: Observed, problem: SpecProblem, now: datetime) -> Plan:
    conditions = build_refused_conditions(problem)
    status = build_refused_status(observed, problem, now)
    events = tell_transitions(rows(observed.status, "conditions"), conditions, quiet=QUIET)
    return Plan(status=status, events=events)
