"""The decision about one AgentPool: its queue, its Deployment, its size, what to say, and how it goes."""

from __future__ import annotations

from datetime import datetime, timedelta

from vapora.api.agentpool import AgentPoolSpec
from vapora.api.reasons import Reason
from vapora.core.agentpool.autoscaler import build_autoscaler
from vapora.core.agentpool.draining import Shrink, plan_shrink
from vapora.core.agentpool.manifests import build_deployment
from vapora.core.agentpool.observed import Observed, QueueState
from vapora.core.agentpool.scaling import Decision
from vapora.core.agentpool.sizing import decide, find_autoscaling, owns_size
from vapora.core.agentpool.status import QUIET, build_conditions, build_refused_conditions, build_status, is_urgent
from vapora.core.conditions import Condition
from vapora.core.naming import FINALIZER_CLEANUP
from vapora.core.owned import LEFTOVER_POLL, describe_leftovers, plan_apply, plan_removal, plan_size
from vapora.core.plan import Action, EnsureQueue, Event, EventType, Manifest, Patch, Plan, RemoveQueue
from vapora.core.supported import SpecProblem
from vapora.core.transitions import tell_transitions
from vapora.core.views import rows, text

MAX_DELIVER = 5  # the infrastructure budget of a task: deliveries lost with their agents, the first one counted
BROKER_GRACE = timedelta(minutes=10)  # how long a pool that is deleted waits for a broker that is gone
AGAIN_AFTER_REFUSAL = 30.0  # seconds; nothing tells us when a quota or a policy changes
AT_ONCE = 0.0


def plan_pool(observed: Observed, now: datetime) -> Plan:
    """Decides what to do about a pool."""
    if observed.meta.is_deleting:
        return _plan_deletion(observed, now)
    if isinstance(observed.spec, SpecProblem):
        return _plan_refused(observed, observed.spec, now)
    if observed.leftovers:
        return _plan_waiting(observed, now)
    if _needs_finalizer(observed):
        return Plan(actions=(_patch_finalizers(observed, is_kept=True),), requeue_after=AT_ONCE)
    return _plan_running(observed, observed.spec, now)


def _plan_running(observed: Observed, spec: AgentPoolSpec, now: datetime) -> Plan:
    decision = decide(observed, spec, now)
    # Whoever else owns the size lets agents go in a way of their own.
    shrink = plan_shrink(observed, decision.replicas, now) if owns_size(observed, spec) else None
    conditions = build_conditions(observed, spec, decision, now)
    status = build_status(observed, conditions, decision, now)
    actions = _plan_children(observed, spec, shrink)
    if observed.queue is QueueState.UNTOUCHED and observed.broker_problem is None:
        actions = (*actions, EnsureQueue(observed.meta.key, MAX_DELIVER))
    return Plan(
        actions=actions,
        status=status,
        events=(
            *_tell_size(observed, spec, decision),
            *_tell_owner(observed, conditions),
            *_tell(observed, conditions),
        ),
        requeue_after=_find_next_look(observed, decision, shrink),
        urgent=is_urgent(observed.status, status),
    )


def _plan_children(observed: Observed, spec: AgentPoolSpec, shrink: Shrink | None) -> tuple[Action, ...]:
    """Decides about the Deployment, its size, which has one owner at a time, and the HPA that may be that owner."""
    deployment = build_deployment(observed.meta, spec, observed.nats_url)
    scaling = None if observed.foreign else find_autoscaling(spec)
    # An HPA is made when there is something for it to size; until then the size is nobody's.
    autoscalers = [build_autoscaler(observed.meta, scaling)] if scaling and observed.workload else []
    return (
        *plan_removal([observed.autoscaler] if observed.autoscaler else [], autoscalers),
        *plan_apply(deployment, observed.workload),
        *plan_size(observed.workload, shrink.replicas if shrink else None, force=observed.foreign is not None),
        *(action for manifest in autoscalers for action in plan_apply(manifest, observed.autoscaler)),
        *(shrink.actions if shrink else ()),
    )


def _find_next_look(observed: Observed, decision: Decision, shrink: Shrink | None) -> float | None:
    if any(problem.is_permanent for problem in observed.problems):
        return AGAIN_AFTER_REFUSAL
    if observed.workload is None:
        return AT_ONCE
    times = (decision.due, shrink.due if shrink else None)
    return min((due for due in times if due is not None), default=None)


def _plan_refused(observed: Observed, problem: SpecProblem, now: datetime) -> Plan:
    conditions = build_refused_conditions(problem)
    return Plan(status=build_status(observed, conditions, None, now), events=_tell(observed, conditions))


def _plan_waiting(observed: Observed, now: datetime) -> Plan:
    message = describe_leftovers(observed.leftovers)
    conditions = (
        Condition("Ready", "False", Reason.NameConflict, message),
        Condition("Reconciling", "True", Reason.NameConflict, message),
    )
    return Plan(status=build_status(observed, conditions, None, now), requeue_after=LEFTOVER_POLL)


def _plan_deletion(observed: Observed, now: datetime) -> Plan:
    """The queue goes before the finalizer; the Deployment goes with the pool, by its owner reference."""
    if FINALIZER_CLEANUP not in observed.meta.finalizers:
        return Plan()
    waited = now - (observed.deleted_at or now)
    if observed.queue is QueueState.REMOVED or (observed.broker_problem and waited >= BROKER_GRACE):
        return Plan(actions=(_patch_finalizers(observed, is_kept=False),))
    if observed.broker_problem:
        message = f"its queue cannot be removed yet: {observed.broker_problem}"
        conditions = (
            Condition("Ready", "False", Reason.BrokerUnavailable, message),
            Condition("Reconciling", "True", Reason.BrokerUnavailable, message),
        )
        status = build_status(observed, conditions, None, now)
        return Plan(status=status, requeue_after=(BROKER_GRACE - waited).total_seconds())
    return Plan(actions=(RemoveQueue(observed.meta.key),), requeue_after=AT_ONCE)


def _needs_finalizer(observed: Observed) -> bool:
    """A consumer is only made for a pool that cannot go without removing it."""
    is_missing = FINALIZER_CLEANUP not in observed.meta.finalizers
    return is_missing and observed.broker_problem is None and not observed.problems


def _patch_finalizers(observed: Observed, *, is_kept: bool) -> Patch:
    """The version guards the finalizers that others set meanwhile."""
    others = [name for name in observed.meta.finalizers if name != FINALIZER_CLEANUP]
    body: Manifest = {
        "metadata": {
            "uid": observed.meta.uid,
            "resourceVersion": observed.resource_version,
            "finalizers": [*others, FINALIZER_CLEANUP] if is_kept else others,
        }
    }
    return Patch(observed.meta.key, body)


def _tell(observed: Observed, conditions: tuple[Condition, ...]) -> tuple[Event, ...]:
    return tell_transitions(rows(observed.status, "conditions"), conditions, quiet=QUIET)


def _tell_owner(observed: Observed, conditions: tuple[Condition, ...]) -> tuple[Event, ...]:
    """Tells when somebody else's autoscaler takes the size, and when it has let go; other owners are of the spec."""
    former = next((row for row in rows(observed.status, "conditions") if row.get("type") == "ScalingActive"), {})
    said = next(condition for condition in conditions if condition.type == "ScalingActive")
    was_foreign, is_foreign = (reason == Reason.ForeignAutoscaler for reason in (text(former, "reason"), said.reason))
    if was_foreign == is_foreign:
        return ()
    return (Event(EventType.WARNING if is_foreign else EventType.NORMAL, said.reason, said.message),)


def _tell_size(observed: Observed, spec: AgentPoolSpec, decision: Decision) -> tuple[Event, ...]:
    """Tells of each change that the operator makes; an HPA tells of its own."""
    before = observed.status.get("desiredReplicas")
    if not isinstance(before, int) or before == decision.replicas or not owns_size(observed, spec):
        return ()
    reason = "ScaledUp" if decision.replicas > before else "ScaledDown"
    return (Event(EventType.NORMAL, reason, f"{before} -> {decision.replicas} agents: {decision.reason}"),)
