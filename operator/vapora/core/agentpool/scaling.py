"""The decision on a pool's size: of what its triggers want the most, paced, and inside the limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vapora.core.agentpool.readings import Foreseen, Reading
from vapora.core.agentpool.rule import Rule, Want, want_foreseen, want_size

SCALE_UP = "scale_up"
SCALE_DOWN = "scale_down"
NO_CHANGE = "no_change"
HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Size:
    """Is where a pool stands: the size wanted now, since when its queue is low, when the size last changed."""

    current: int
    low_since: datetime | None = None
    scaled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Is the size to have and why; `due` are the seconds after which the same queue may lead to another size.

    `trigger` is what decided, empty where none did; `queue` the number that it rests on.
    """

    replicas: int
    action: str
    reason: str
    low_since: datetime | None = None
    due: float | None = None
    trigger: str = ""
    queue: int | None = None


def decide_size(
    rule: Rule, readings: Sequence[Reading], size: Size, now: datetime, foreseen: Foreseen | None = None
) -> Decision:
    """Decides on the size of a pool by at least one reading; the trigger that wants most wins.

    The limits hold always. Inside them growing is at once, and shrinking needs queues that were low for the whole
    stabilisation and never takes an agent from its work.
    """
    wants = [want_size(rule, reading, size.current) for reading in readings]
    if foreseen is not None:
        wants.append(want_foreseen(rule, foreseen, size.current))
    low_since = _find_low_since(wants, readings, size, now)
    inside = rule.clamp(size.current)
    if inside != size.current:
        limit = f"below min {rule.minimum}" if inside > size.current else f"above max {rule.maximum}"
        return Decision(inside, name_change(size.current, inside), f"size {size.current} is {limit}", low_since)
    best = max(wants, key=lambda want: (want.size, want.is_unknown))
    decided = Decision(size.current, NO_CHANGE, best.reason, low_since, trigger=best.trigger, queue=best.queue)
    if best.size == size.current:
        return replace(decided, action=HOLD if best.is_unknown else NO_CHANGE)
    wait = _find_wait(rule, best.size, size, low_since, now)
    if wait > 0:
        return replace(decided, reason=f"{best.reason}, not yet", due=wait)
    return replace(decided, replicas=best.size, action=name_change(size.current, best.size), due=rule.interval)


def _find_low_since(wants: Iterable[Want], readings: Iterable[Reading], size: Size, now: datetime) -> datetime | None:
    """One trigger that is not low ends a low time, an unknown one too: nobody can say that it was low all along.

    What was not read yet since the operator started ends nothing.
    """
    if any(reading.depth is None for reading in readings):
        return size.low_since
    return (size.low_since or now) if all(want.is_low for want in wants) else None


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


def name_change(before: int, after: int) -> str:
    """Names the step from one size to another."""
    return NO_CHANGE if after == before else SCALE_UP if after > before else SCALE_DOWN
