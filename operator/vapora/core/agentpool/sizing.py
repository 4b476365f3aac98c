"""The size of a pool: who sets it, and what the rule makes of what its triggers say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from vapora.api.agentpool import AgentPoolSpec, Scaling
from vapora.api.durations import parse_duration
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known
from vapora.core.agentpool.observed import Observed
from vapora.core.agentpool.readings import NATS, WORKFLOW, Reading
from vapora.core.agentpool.rule import Rule
from vapora.core.agentpool.scaling import NO_CHANGE, Decision, Size, decide_size
from vapora.core.agentpool.triggers import has_own_queue
from vapora.core.jitter import draw
from vapora.core.naming import SIZE_MANAGER
from vapora.core.plan import Apply
from vapora.core.views import parse_time

_SPREAD = 0.1  # of the interval: pools that step together do not stay together


def find_queue_scaling(spec: AgentPoolSpec) -> Scaling | None:
    """Returns how the queue sets the size; None where `spec.replicas` or an HPA does."""
    return spec.scaling if spec.scaling and spec.scaling.mode == "queue" else None


def find_autoscaling(spec: AgentPoolSpec) -> Scaling | None:
    """Returns what the pool's own HPA is to do; None without one."""
    return spec.scaling if spec.scaling and spec.scaling.mode == "hpa" else None


def owns_size(observed: Observed, spec: AgentPoolSpec) -> bool:
    """Says whether the operator sets the size: neither an HPA of the pool's own, until it is gone, nor another's."""
    return find_autoscaling(spec) is None and observed.autoscaler is None and not observed.foreign


def list_readings(observed: Observed, spec: AgentPoolSpec) -> tuple[Reading, ...]:
    """Returns what each trigger says, the pool's own queue first."""
    return tuple(_list_readings(observed, spec))


def _list_readings(observed: Observed, spec: AgentPoolSpec) -> Iterator[Reading]:
    if has_own_queue(spec, has_broker=observed.nats_url is not None):
        yield Reading(NATS, observed.depth)
    if find_queue_scaling(spec):
        yield Reading(WORKFLOW, QueueDepth(Known(observed.waiting), Known(0)))
        yield from observed.readings


def build_rule(scaling: Scaling, max_concurrent: int, *, seed: str) -> Rule:
    """Reads the rule out of the spec; the interval is up to a tenth longer, by the seed."""
    if_unknown = {
        "hold": None,
        "min": scaling.min,
        "max": scaling.max,
        "replicas": scaling.on_unknown_replicas,
    }
    return Rule(
        minimum=scaling.min,
        maximum=scaling.max,
        up_above=scaling.scale_up_above,
        down_below=scaling.scale_down_below,
        up_step=scaling.up_step,
        down_step=scaling.down_step,
        per_replica=scaling.target_per_replica if scaling.rule == "target" else None,
        max_concurrent=max_concurrent,
        interval=parse_duration(scaling.interval) * (1 + _SPREAD * draw(seed)),
        stabilization=parse_duration(scaling.scale_down_stabilization),
        warm=scaling.warm,
        if_unknown=if_unknown[scaling.on_unknown],
    )


def decide(observed: Observed, spec: AgentPoolSpec, now: datetime) -> Decision:
    """Decides on the size of the pool; a size that could not be applied is not counted as had."""
    size = _read_size(observed)
    if not owns_size(observed, spec):
        return _follow(observed, spec, size)
    scaling = find_queue_scaling(spec)
    if scaling is None:
        wanted = spec.replicas if spec.replicas is not None else 1 if size is None else size.current
        return Decision(wanted, NO_CHANGE, "spec.replicas sets the size")
    if size is None:
        first = scaling.min if spec.replicas is None else spec.replicas
        return Decision(min(max(first, scaling.min), scaling.max), NO_CHANGE, "the first size", due=0.0)
    if spec.paused:
        return Decision(size.current, NO_CHANGE, "the pool is paused")
    if any(_is_sizing(problem.action) for problem in observed.problems):
        return Decision(size.current, NO_CHANGE, "the size could not be applied", size.low_since)
    forecast = observed.forecast if observed.forecast and observed.forecast.is_trusted else None
    return decide_size(
        build_rule(scaling, spec.max_concurrent, seed=observed.meta.uid),
        list_readings(observed, spec),
        size,
        now,
        foreseen=forecast.foreseen if forecast else None,
    )


def _follow(observed: Observed, spec: AgentPoolSpec, size: Size | None) -> Decision:
    """Takes the size that another one sets for the wanted one, so that taking it back begins there."""
    who = f"HPA {observed.foreign}" if observed.foreign else "the pool's own HPA"
    if observed.workload is not None:
        current = observed.workload.replicas
    else:
        current = size.current if size else spec.replicas or 1
    return Decision(current, NO_CHANGE, f"{who} sets the size")


def _is_sizing(action: object) -> bool:
    return isinstance(action, Apply) and action.manager == SIZE_MANAGER


def _read_size(observed: Observed) -> Size | None:
    """The status is the memory of what was wanted; a Deployment without one tells it too."""
    status = observed.status
    current = status.get("desiredReplicas")
    if not isinstance(current, int):
        if observed.workload is None:
            return None
        current = observed.workload.replicas
    return Size(current, parse_time(status.get("lowSince")), parse_time(status.get("lastScaledAt")))
