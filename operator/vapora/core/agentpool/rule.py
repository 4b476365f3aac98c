"""The scaling rule for one trigger: from the depth of a queue to the number of agents that it wants."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vapora.core.agentpool.depth import Depth, Known, Unknown
from vapora.core.agentpool.readings import Foreseen, Reading

PREDICTION = "prediction"


@dataclass(frozen=True, slots=True)
class Rule:
    """Says how a pool's size follows its queue; times are in seconds.

    With `per_replica` the size aims at that many tasks for an agent, else it goes by thresholds and steps. `warm` is
    how many agents are kept beside those at work; `if_unknown` the size wanted while a depth is unknown, None to hold.
    """

    minimum: int
    maximum: int
    up_above: int = 10
    down_below: int = 2
    up_step: int = 2
    down_step: int = 1
    per_replica: int | None = None
    max_concurrent: int = 1
    interval: float = 0.0
    stabilization: float = 0.0
    warm: int = 0
    if_unknown: int | None = None

    def clamp(self, size: int) -> int:
        """Brings a size inside the limits."""
        return min(max(size, self.minimum), self.maximum)


@dataclass(frozen=True, slots=True)
class Want:
    """Is the size that one trigger wants, with its arithmetic.

    `is_low` says that as far as it knows the pool may be smaller; `queue` is the number it rests on.
    """

    size: int
    reason: str
    trigger: str
    is_low: bool
    queue: int | None = None
    is_unknown: bool = False


def want_size(rule: Rule, reading: Reading, current: int) -> Want:
    """Says what a trigger wants, inside the limits."""
    depth, unknown = reading.depth, reading.unknown
    if depth is None or isinstance(depth.queued, Unknown):
        return _want_blindly(rule, reading, unknown.reason if unknown else "", current)
    queued, in_flight = depth.queued.value, depth.in_flight
    if rule.per_replica is None:
        size, reason = _step(rule, reading.noun, queued, current)
    elif isinstance(in_flight, Unknown):
        size, reason = current, f"tasks in flight unknown ({in_flight.reason}): stays at {current}"
    else:
        size, reason = _aim(rule, rule.per_replica, reading.noun, queued, in_flight.value)
    size, reason = _spare_busy(rule, size, reason, in_flight, current)
    is_low = queued < rule.down_below if rule.per_replica is None else size < current
    return Want(size, reason, reading.trigger, is_low, queued)


def want_foreseen(rule: Rule, foreseen: Foreseen, current: int) -> Want:
    """Says how many agents the tasks need that running workflows are about to give out."""
    asked = math.ceil(foreseen.tasks / rule.max_concurrent)
    size, reason = _cut(
        rule, asked, f"{foreseen.tasks} tasks foreseen within {foreseen.within:.0f} s / {rule.max_concurrent} = {asked}"
    )
    return Want(size, reason, PREDICTION, size < current, foreseen.tasks)


def _want_blindly(rule: Rule, reading: Reading, why: str, current: int) -> Want:
    """A depth that was only not read yet holds in any case."""
    unknown = f"{reading.noun} unknown ({why})"
    if rule.if_unknown is None or reading.depth is None:
        return Want(current, f"{unknown}: stays at {current}", reading.trigger, is_low=False, is_unknown=True)
    size, reason = _cut(rule, rule.if_unknown, f"{unknown}: onUnknown asks for {rule.if_unknown}")
    return Want(size, reason, reading.trigger, is_low=size < current, is_unknown=True)


def _step(rule: Rule, noun: str, queued: int, current: int) -> tuple[int, str]:
    if queued > rule.up_above:
        asked = current + rule.up_step
        return _cut(rule, asked, f"{noun} {queued} > {rule.up_above}: {current} + {rule.up_step} = {asked}")
    if queued < rule.down_below:
        asked = current - rule.down_step
        return _cut(rule, asked, f"{noun} {queued} < {rule.down_below}: {current} - {rule.down_step} = {asked}")
    return current, f"{noun} {queued} is between {rule.down_below} and {rule.up_above}"


def _aim(rule: Rule, per_replica: int, noun: str, queued: int, in_flight: int) -> tuple[int, str]:
    asked = math.ceil((queued + in_flight) / per_replica)
    named = "" if noun == "queue" else f"{noun}: "
    return _cut(rule, asked, f"{named}({queued} queued + {in_flight} in flight) / {per_replica} = {asked}")


def _cut(rule: Rule, asked: int, reason: str) -> tuple[int, str]:
    inside = rule.clamp(asked)
    if inside == asked:
        return asked, reason
    limit = f"at least min {rule.minimum}" if inside > asked else f"at most max {rule.maximum}"
    return inside, f"{reason}, {limit}"


def _spare_busy(rule: Rule, wanted: int, reason: str, in_flight: Depth, current: int) -> tuple[int, str]:
    """Takes nobody from their work; agents to be kept warm beside those at work may also make the pool grow."""
    if isinstance(in_flight, Unknown):
        if wanted >= current:
            return wanted, reason
        return current, f"{reason}, but tasks in flight are unknown ({in_flight.reason})"
    busy = count_busy(in_flight, rule.max_concurrent)
    if wanted < current and min(busy, current) > wanted:
        wanted = min(busy, current)
        reason = f"{reason}, but {in_flight.value} tasks in flight keep {busy} agents busy"
    warm = busy + rule.warm
    if rule.warm and rule.clamp(warm) > wanted:
        return _cut(rule, warm, f"{reason}, but {busy} busy + {rule.warm} warm = {warm}")
    return wanted, reason


def count_busy(in_flight: Known, max_concurrent: int) -> int:
    """Returns the fewest agents that can hold so many tasks: ceil(in flight / maxConcurrent)."""
    return math.ceil(in_flight.value / max_concurrent)
