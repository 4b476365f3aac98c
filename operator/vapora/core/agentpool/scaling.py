"""The scaling rule: from the depth of a pool's queue to the number of agents it wants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Depth, Known, Unknown

SCALE_UP = "scale_up"
SCALE_DOWN = "scale_down"
NO_CHANGE = "no_change"
HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Rule:
    """Says how a pool's size follows its queue; times are in seconds.

    With `per_replica` the size aims at that many tasks for an agent, else it goes by thresholds and steps.
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

    def clamp(self, size: int) -> int:
        """Brings a size inside the limits."""
        return min(max(size, self.minimum), self.maximum)


@dataclass(frozen=True, slots=True)
class Size:
    """Is where a pool stands: the size wanted now, since when its queue is low, when the size last changed."""

    current: int
    low_since: datetime | None = None
    scaled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Is the size to have and why; `due` are the seconds after which the same queue may lead to another size."""

    replicas: int
    action: str
    reason: str
    low_since: datetime | None = None
    due: float | None = None


def decide_size(rule: Rule, queue: QueueDepth, size: Size, now: datetime) -> Decision:
    """Decides on the size of a pool.

    The limits hold always. Inside them an unknown depth changes nothing, growing is at once, and shrinking needs a
    queue that was low for the whole stabilisation and never takes an agent from its work.
    """
    low_since = _find_low_since(rule, queue, size, now)
    inside = rule.clamp(size.current)
    if inside != size.current:
        limit = f"below min {rule.minimum}" if inside > size.current else f"above max {rule.maximum}"
        return Decision(inside, name_change(size.current, inside), f"size {size.current} is {limit}", low_since)
    if isinstance(queue.queued, Unknown):
        return Decision(size.current, HOLD, f"queue unknown ({queue.queued.reason}): stays at {size.current}")
    wanted, reason = _want(rule, queue.queued.value, queue.in_flight, size.current)
    if wanted == size.current:
        return Decision(size.current, NO_CHANGE, reason, low_since)
    wait = _find_wait(rule, wanted, size, low_since, now)
    if wait > 0:
        return Decision(size.current, NO_CHANGE, f"{reason}, not yet", low_since, due=wait)
    return Decision(wanted, name_change(size.current, wanted), reason, low_since, due=rule.interval)


def _find_low_since(rule: Rule, queue: QueueDepth, size: Size, now: datetime) -> datetime | None:
    """Unknown ends a low time: nobody can say that the queue was low all along."""
    if isinstance(queue.queued, Unknown):
        return None
    if rule.per_replica is None:
        is_low = queue.queued.value < rule.down_below
    else:
        is_low = _want(rule, queue.queued.value, queue.in_flight, size.current)[0] < size.current
    return (size.low_since or now) if is_low else None


def _find_wait(rule: Rule, wanted: int, size: Size, low_since: datetime | None, now: datetime) -> float:
    waits = [_find_rest(size.scaled_at, rule.interval, now)]
    if wanted < size.current:
        waits.append(_find_rest(low_since, rule.stabilization, now))
    return max(waits)


def _find_rest(since: datetime | None, seconds: float, now: datetime) -> float:
    """A time in the future, after the clock was set back, waits no longer than the whole."""
    if since is None:
        return 0.0
    return min((since + timedelta(seconds=seconds) - now).total_seconds(), seconds)


def _want(rule: Rule, queued: int, in_flight: Depth, current: int) -> tuple[int, str]:
    if rule.per_replica is not None:
        return _aim(rule, rule.per_replica, queued, in_flight, current)
    if queued > rule.up_above:
        asked = current + rule.up_step
        reason = f"queue {queued} > {rule.up_above}: {current} + {rule.up_step} = {asked}"
        return _cut(rule, asked, reason)
    if queued < rule.down_below:
        asked = current - rule.down_step
        reason = f"queue {queued} < {rule.down_below}: {current} - {rule.down_step} = {asked}"
        return _spare_busy(rule, *_cut(rule, asked, reason), in_flight, current)
    return current, f"queue {queued} is between {rule.down_below} and {rule.up_above}"


def _aim(rule: Rule, per_replica: int, queued: int, in_flight: Depth, current: int) -> tuple[int, str]:
    if isinstance(in_flight, Unknown):
        return current, f"tasks in flight unknown ({in_flight.reason}): stays at {current}"
    asked = math.ceil((queued + in_flight.value) / per_replica)
    reason = f"({queued} queued + {in_flight.value} in flight) / {per_replica} = {asked}"
    return _spare_busy(rule, *_cut(rule, asked, reason), in_flight, current)


def _cut(rule: Rule, asked: int, reason: str) -> tuple[int, str]:
    inside = rule.clamp(asked)
    if inside == asked:
        return asked, reason
    limit = f"at least min {rule.minimum}" if inside > asked else f"at most max {rule.maximum}"
    return inside, f"{reason}, {limit}"


def _spare_busy(rule: Rule, wanted: int, reason: str, in_flight: Depth, current: int) -> tuple[int, str]:
    if wanted >= current:
        return wanted, reason
    if isinstance(in_flight, Unknown):
        return current, f"{reason}, but tasks in flight are unknown ({in_flight.reason})"
    busy = count_busy(in_flight, rule.max_concurrent)
    spared = min(max(wanted, busy), current)
    if spared == wanted:
        return wanted, reason
    return spared, f"{reason}, but {in_flight.value} tasks in flight keep {busy} agents busy"


def count_busy(in_flight: Known, max_concurrent: int) -> int:
    """Returns the fewest agents that can hold so many tasks: ceil(in flight / maxConcurrent)."""
    return math.ceil(in_flight.value / max_concurrent)


def name_change(before: int, after: int) -> str:
    """Names the step from one size to another."""
    return NO_CHANGE if after == before else SCALE_UP if after > before else SCALE_DOWN
