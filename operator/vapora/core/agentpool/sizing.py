"""The size of a pool: who sets it, and what the rule makes of the present queue."""

from __future__ import annotations

from datetime import datetime

from vapora.api.agentpool import AgentPoolSpec, Scaling
from vapora.api.durations import parse_duration
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Unknown
from vapora.core.agentpool.observed import Observed
from vapora.core.agentpool.scaling import NO_CHANGE, Decision, Rule, Size, decide_size
from vapora.core.plan import Apply
from vapora.core.views import parse_time

_NOT_READ = Unknown("not read yet")


def find_queue_scaling(spec: AgentPoolSpec) -> Scaling | None:
    """Returns how the queue sets the size; None where `spec.replicas` does."""
    return spec.scaling if spec.scaling and spec.scaling.mode == "queue" else None


def build_rule(scaling: Scaling, max_concurrent: int) -> Rule:
    """Reads the rule out of the spec."""
    return Rule(
        minimum=scaling.min,
        maximum=scaling.max,
        up_above=scaling.scale_up_above,
        down_below=scaling.scale_down_below,
        up_step=scaling.up_step,
        down_step=scaling.down_step,
        per_replica=scaling.target_per_replica if scaling.rule == "target" else None,
        max_concurrent=max_concurrent,
        interval=parse_duration(scaling.interval),
        stabilization=parse_duration(scaling.scale_down_stabilization),
    )


def decide(observed: Observed, spec: AgentPoolSpec, now: datetime) -> Decision:
    """Decides on the size of the pool; a size that could not be applied is not counted as had."""
    size = _read_size(observed)
    scaling = find_queue_scaling(spec)
    if scaling is None:
        wanted = spec.replicas if spec.replicas is not None else 1 if size is None else size.current
        return Decision(wanted, NO_CHANGE, "spec.replicas sets the size")
    if size is None:
        first = scaling.min if spec.replicas is None else spec.replicas
        return Decision(min(max(first, scaling.min), scaling.max), NO_CHANGE, "the first size", due=0.0)
    if spec.paused:
        return Decision(size.current, NO_CHANGE, "the pool is paused")
    if any(isinstance(problem.action, Apply) for problem in observed.problems):
        return Decision(size.current, NO_CHANGE, "the size could not be applied", size.low_since)
    depth = observed.depth or QueueDepth(_NOT_READ, _NOT_READ)
    decision = decide_size(build_rule(scaling, spec.max_concurrent), depth, size, now)
    if observed.depth is None:  # a restart of the operator says nothing about the queue
        return Decision(decision.replicas, decision.action, decision.reason, size.low_since)
    return decision


def _read_size(observed: Observed) -> Size | None:
    """The status is the memory of what was wanted; a Deployment without one tells it too."""
    status = observed.status
    current = status.get("desiredReplicas")
    if not isinstance(current, int):
        if observed.workload is None:
            return None
        current = observed.workload.replicas
    return Size(current, parse_time(status.get("lowSince")), parse_time(status.get("lastScaledAt")))
