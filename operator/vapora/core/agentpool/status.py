"""What the operator says about an AgentPool."""

from __future__ import annotations

from datetime import datetime

from vapora.api.agentpool import AgentPoolSpec
from vapora.api.reasons import Reason
from vapora.core.agentpool.depth import Depth, Known
from vapora.core.agentpool.manifests import name_selector
from vapora.core.agentpool.observed import Observed
from vapora.core.agentpool.readings import NATS, Reading
from vapora.core.agentpool.scaling import HOLD, Decision, name_change
from vapora.core.agentpool.sizing import find_autoscaling, find_queue_scaling, list_readings, owns_size
from vapora.core.agentpool.spend import build_spend, describe_budget
from vapora.core.causes import find_cause
from vapora.core.conditions import Condition, merge_conditions, timestamp
from vapora.core.learning.profile import update_profile_with_learning
from vapora.core.plan import EnsureQueue, Manifest
from vapora.core.refusals import find_refusal
from vapora.core.supported import SpecProblem
from vapora.core.views import child, rows

_KEPT = (
    "desiredReplicas", "lastDecision", "lowSince", "lastScaledAt", "queued", "inFlight", "busy", "firstReplicas",
    "successRate", "expertise", "spend",
)  # fmt: skip
QUIET = frozenset({Reason.AgentsNotReady, Reason.Progressing, Reason.Initializing, Reason.ApiUnavailable})


def build_conditions(
    observed: Observed, spec: AgentPoolSpec, decision: Decision, now: datetime
) -> tuple[Condition, ...]:
    """Builds what there is to say about a pool whose spec is sound."""
    refusal = find_refusal(observed.problems)
    return (
        *_describe_agents(observed, spec, decision, refusal),
        _describe_scaling(observed, spec, decision, refusal),
        _describe_metrics(observed, list_readings(observed, spec)),
        *_describe_ignored(observed, spec, decision),
        *describe_budget(observed, spec, now),
        *([Condition("Paused", "True", Reason.Paused, "its agents get no new task")] if spec.paused else []),
    )


def build_refused_conditions(problem: SpecProblem) -> tuple[Condition, ...]:
    """Builds what there is to say about a pool whose spec cannot be carried out."""
    return (
        Condition("Ready", "False", problem.reason, problem.message),
        Condition("Stalled", "True", problem.reason, problem.message),
    )


def build_status(
    observed: Observed, conditions: tuple[Condition, ...], decision: Decision | None, now: datetime
) -> Manifest:
    """Builds the whole status; without a decision the size and its history stay as they are."""
    former = observed.status
    workload = observed.workload
    status = {name: former[name] for name in _KEPT if name in former}
    if decision is not None:
        status |= _record_decision(observed, decision, now)
    if observed.depth is not None:
        status |= _count_tasks(observed)
    if isinstance(observed.spec, AgentPoolSpec):
        status |= _record_first(observed, observed.spec) | _describe_forecast(observed)
        status["spend"] = build_spend(observed, observed.spec, now) or None
    status |= {
        "observedGeneration": observed.meta.generation,
        "replicas": workload.existing if workload else 0,
        "readyReplicas": workload.ready if workload else 0,
        "selector": name_selector(observed.meta),
        "conditions": merge_conditions(
            rows(former, "conditions"), conditions, generation=observed.meta.generation, now=now
        ),
    }
    if observed.learned is not None:
        status = update_profile_with_learning(status, observed.learned)
    return {name: value for name, value in status.items() if value is not None}


def is_urgent(former: Manifest, status: Manifest) -> bool:
    """Is true where more than numbers changed."""
    return _summarize(former) != _summarize(status)


def _summarize(status: Manifest) -> object:
    turned = [(row.get("type"), row.get("status"), row.get("reason")) for row in rows(status, "conditions")]
    return turned, status.get("observedGeneration"), status.get("desiredReplicas"), status.get("lowSince")


def _describe_agents(
    observed: Observed, spec: AgentPoolSpec, decision: Decision, refusal: Condition | None
) -> tuple[Condition, ...]:
    workload, wanted = observed.workload, decision.replicas
    scaling = find_queue_scaling(spec)
    needed = min(wanted, scaling.min) if scaling else wanted
    ready = workload.ready if workload else 0
    cause = find_cause(workload, observed.pods) if ready < wanted else None
    count = f"{ready} of {wanted} agents are ready"
    message = f"{count}; {cause.message}" if cause else count
    reason = cause.reason if cause else Reason.AgentsNotReady
    if workload is None and refusal:
        is_ready = Condition("Ready", "False", refusal.reason, refusal.message)
    elif workload is None or ready < needed:
        is_ready = Condition("Ready", "False", reason, message)
    else:
        is_ready = Condition("Ready", "True", Reason.AsExpected, message)
    if refusal:
        return (is_ready, refusal)
    is_settled = workload is not None and workload.is_settled and workload.replicas == workload.ready == wanted
    return (is_ready,) if is_settled else (is_ready, Condition("Reconciling", "True", Reason.Progressing, message))


def _describe_scaling(
    observed: Observed, spec: AgentPoolSpec, decision: Decision, refusal: Condition | None
) -> Condition:
    scaling = find_queue_scaling(spec)
    if observed.foreign:
        message = f"HPA {observed.foreign} sets the size of its agents: remove that, or set scaling.mode none"
        reason = Reason.ForeignAutoscaler
    elif refusal and refusal.reason == Reason.NameConflict and ".spec.replicas" in refusal.message:
        reason, message = Reason.ForeignAutoscaler, refusal.message
    elif scaling is None:
        owner = "spec.replicas" if find_autoscaling(spec) is None else "an HPA"
        reason, message = Reason.ScalingByOther, f"{owner} sets the size"
    elif not owns_size(observed, spec):
        reason, message = Reason.ScalingByOther, "its own HPA is going and still has the size"
    elif spec.paused:
        reason, message = Reason.Paused, "a paused pool keeps its size"
    elif decision.action == HOLD and all(reading.depth for reading in list_readings(observed, spec)):
        reason, message = Reason.MetricsUnavailable, "a queue that cannot be read moves nothing"
    else:
        message = f"the queue sets the size between {scaling.min} and {scaling.max}"
        return Condition("ScalingActive", "True", Reason.ScalingByQueue, message)
    return Condition("ScalingActive", "False", reason, message)


def _describe_metrics(observed: Observed, readings: tuple[Reading, ...]) -> Condition:
    """Names every trigger that gave no number, and why."""
    refused = next((problem for problem in observed.problems if isinstance(problem.action, EnsureQueue)), None)
    if refused:
        return Condition("MetricsAvailable", "False", Reason.BrokerUnavailable, f"{NATS}: {refused.message}")
    if any(reading.depth is None for reading in readings):
        return _keep(observed, "MetricsAvailable")
    unknown = {reading.trigger: found.reason for reading in readings if (found := reading.unknown)}
    if not unknown:
        return Condition("MetricsAvailable", "True", Reason.MetricsRead, "the queue's depth was read")
    reason = Reason.MetricsUnavailable
    if NATS in unknown and observed.broker_problem:
        unknown[NATS], reason = observed.broker_problem, Reason.BrokerUnavailable
    message = "; ".join(f"{trigger}: {why}" for trigger, why in unknown.items())
    return Condition("MetricsAvailable", "False", reason, message)


def _describe_ignored(observed: Observed, spec: AgentPoolSpec, decision: Decision) -> tuple[Condition, ...]:
    """Says that `kubectl scale` changed nothing: with a mode of its own, spec.replicas is the first size only."""
    first = _record_first(observed, spec).get("firstReplicas")
    is_theirs = spec.scaling is None or spec.scaling.mode == "none"
    if is_theirs or spec.replicas is None or first == spec.replicas:
        return ()
    message = (
        f"spec.replicas {spec.replicas} changes nothing, the size stays {decision.replicas}: "
        "set scaling.min and max, or mode none"
    )
    return (Condition("ScaleIgnored", "True", Reason.ScalingByQueue, message),)


def _record_first(observed: Observed, spec: AgentPoolSpec) -> dict[str, object]:
    """Remembers the spec.replicas that the pool began with; one that is set later is no first size."""
    if spec.scaling is None or spec.scaling.mode == "none":
        return {"firstReplicas": spec.replicas}
    known = observed.status.get("firstReplicas")
    is_new = "desiredReplicas" not in observed.status
    return {"firstReplicas": spec.replicas if is_new else known}


def _describe_forecast(observed: Observed) -> dict[str, object]:
    forecast = observed.forecast
    if forecast is None:
        return {}
    said: dict[str, object] = {
        "tasks": forecast.foreseen.tasks,
        "withinSeconds": round(forecast.foreseen.within),
        "used": forecast.is_trusted,
    }
    return {"forecast": said if forecast.error is None else {**said, "error": forecast.error}}


def _keep(observed: Observed, kind: str) -> Condition:
    """What was said before the operator restarted holds until the queue is read again."""
    for row in rows(observed.status, "conditions"):
        if row.get("type") == kind:
            return Condition(kind, str(row.get("status")), str(row.get("reason")), str(row.get("message", "")))
    return Condition(kind, "Unknown", Reason.Initializing, "the queue was not read yet")


def _count_tasks(observed: Observed) -> dict[str, object]:
    depth = observed.depth
    if depth is None:
        return {}
    ready = observed.workload.ready if observed.workload else 0
    in_flight = _value(depth.in_flight)
    return {
        "queued": _value(depth.queued),
        "inFlight": in_flight,
        "busy": None if in_flight is None else min(in_flight, ready),
    }


def _value(depth: Depth) -> int | None:
    return depth.value if isinstance(depth, Known) else None


def _record_decision(observed: Observed, decision: Decision, now: datetime) -> dict[str, object]:
    low_since = decision.low_since
    recorded: dict[str, object] = {
        "desiredReplicas": decision.replicas,
        "lowSince": None if low_since is None else _precise(low_since),
    }
    former = observed.status.get("desiredReplicas")
    before = former if isinstance(former, int) else decision.replicas
    is_change = before != decision.replicas
    if is_change:
        recorded["lastScaledAt"] = _precise(now)
    if is_change or (decision.queue is not None and not child(observed.status, "lastDecision")):
        recorded["lastDecision"] = {
            "at": timestamp(now),
            "action": name_change(before, decision.replicas),
            "from": before,
            "to": decision.replicas,
            "reason": decision.reason,
            **({"queue": decision.queue} if decision.queue is not None else {}),
            **({"trigger": decision.trigger} if decision.trigger else {}),
        }
    return recorded


def _precise(moment: datetime) -> str:
    """Steps are spaced by parts of seconds, so these times keep them."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
