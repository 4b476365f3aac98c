"""Which depths of a queue lead to the same size, so that a pool is decided on anew only where that may change."""

from __future__ import annotations

import math

from vapora.api.agentpool import AgentPoolSpec
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Unknown
from vapora.core.agentpool.sizing import find_queue_scaling
from vapora.core.supported import SpecProblem

Band = tuple[str | int, ...]


def find_band(spec: AgentPoolSpec | SpecProblem, depth: QueueDepth) -> Band:
    """Returns what the rule makes of a depth: two of one band lead to one decision at any size of the pool."""
    queued, in_flight = depth.queued, depth.in_flight
    if isinstance(queued, Unknown):
        return ("unknown", queued.reason)
    if isinstance(in_flight, Unknown):
        return ("in flight unknown", in_flight.reason, queued.value)
    scaling = None if isinstance(spec, SpecProblem) else find_queue_scaling(spec)
    if scaling is None or isinstance(spec, SpecProblem):
        return ("known",)
    busy = math.ceil(in_flight.value / spec.max_concurrent)
    if scaling.rule == "target" and scaling.target_per_replica is not None:
        return ("target", math.ceil((queued.value + in_flight.value) / scaling.target_per_replica), busy)
    at_work = busy if scaling.warm else 0  # idle agents are kept beside those at work, whatever the queue
    if queued.value > scaling.scale_up_above:
        return ("high", at_work)
    return ("low", busy) if queued.value < scaling.scale_down_below else ("between", at_work)
