"""The decision about one Taskserv: when it may start, what it is made of, and how it does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.conditions import Condition
from vapora.core.owned import LEFTOVER_POLL, KeptView, describe_leftovers, plan_apply, plan_removal
from vapora.core.plan import Action, Apply, Delete, Manifest, Plan
from vapora.core.refusals import find_refusal
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.dependencies import describe_cycle, find_missing
from vapora.core.taskserv.health import FAILED, PENDING, Health, has_deployed, judge_health
from vapora.core.taskserv.manifests import build_manifests, name_workload_kind
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.status import (
    QUIET,
    build_conditions,
    build_refused_conditions,
    build_refused_status,
    build_status,
    is_urgent,
)
from vapora.core.transitions import tell_transitions
from vapora.core.views import PlainView, child, rows

AGAIN_AFTER_REFUSAL = 30.0  # seconds; nothing tells us when a quota or a policy changes


def plan_taskserv(observed: Observed, now: datetime) -> Plan:
    """Decides what to do about a service; what it is made of goes with it, by owner references."""
    if observed.meta.is_deleting:
        return Plan()
    if isinstance(observed.spec, SpecProblem):
        return _plan_refused(observed, observed.spec, now)
    if observed.cycle:
        path = describe_cycle(observed.cycle)
        return _plan_refused(observed, SpecProblem(Reason.DependencyCycle, f"needs itself: {path}"), now)
    if observed.leftovers:
        return _plan_waiting(observed, observed.spec, now)
    return _plan_sound(observed, observed.spec, now)


def _plan_waiting(observed: Observed, spec: TaskservSpec, now: datetime) -> Plan:
    health = Health(PENDING, Reason.NameConflict, describe_leftovers(observed.leftovers))
    conditions = build_conditions(health, None, has_needs=False)
    status = build_status(observed, spec, health, conditions, now)
    return Plan(status=status, requeue_after=LEFTOVER_POLL)


def _plan_sound(observed: Observed, spec: TaskservSpec, now: datetime) -> Plan:
    actions = () if _is_gated(observed) else _plan_children(observed, spec)
    refusal = find_refusal(observed.problems)
    kind = name_workload_kind(spec)
    is_changing = refusal is None and any(isinstance(a, Apply) and a.manifest["kind"] == kind for a in actions)
    health = judge_health(observed, spec, is_changing=is_changing, now=now)
    if refusal and not observed.has_workload:
        health = _hold(health, refusal)
    conditions = build_conditions(health, refusal, has_needs=bool(observed.needs))
    status = build_status(observed, spec, health, conditions, now)
    is_refused = any(problem.is_permanent for problem in observed.problems)
    return Plan(
        actions=actions,
        status=status,
        events=tell_transitions(rows(observed.status, "conditions"), conditions, quiet=QUIET),
        requeue_after=AGAIN_AFTER_REFUSAL if is_refused else health.due,
        urgent=is_urgent(observed.status, status),
    )


def _is_gated(observed: Observed) -> bool:
    return not has_deployed(observed) and bool(find_missing(observed.needs))


def _plan_children(observed: Observed, spec: TaskservSpec) -> tuple[Action, ...]:
    manifests = build_manifests(observed.meta, spec)
    made = [action for manifest in manifests for action in _plan_child(manifest, observed.find_child(manifest))]
    return (*made, *plan_removal(observed.children, manifests))


def _plan_child(manifest: Manifest, existing: KeptView | None) -> tuple[Action, ...]:
    """Applies a child; a Service that has an address and may have none, or the other way round, makes room first."""
    if isinstance(existing, PlainView):
        is_headless = child(manifest, "spec").get("clusterIP") == "None"
        if existing.is_headless != is_headless and not existing.meta.is_deleting:
            return (Delete(existing.meta.key, existing.meta.uid),)
    return plan_apply(manifest, existing)


def _hold(health: Health, refusal: Condition) -> Health:
    """Nothing runs yet, and the API server says why."""
    phase = FAILED if refusal.type == "Stalled" else PENDING
    return replace(health, phase=phase, reason=refusal.reason, message=refusal.message, due=None)


def _plan_refused(observed: Observed, problem: SpecProblem, now: datetime) -> Plan:
    conditions = build_refused_conditions(problem)
    status = build_refused_status(observed, problem, now)
    events = tell_transitions(rows(observed.status, "conditions"), conditions, quiet=QUIET)
    return Plan(status=status, events=events)
