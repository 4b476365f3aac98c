"""Events out of conditions: what turned since the last status, told once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vapora.core.conditions import Condition
from vapora.core.plan import Event, EventType

_BAD_WHEN_TRUE = frozenset({"Stalled", "Degraded"})
_TOLD = frozenset({"Ready", "Stalled", "Degraded", "MetricsAvailable"})


def tell_transitions(
    before: Iterable[Mapping[str, object]], after: Sequence[Condition], *, quiet: frozenset[str]
) -> tuple[Event, ...]:
    """Returns an event for each condition that turned for the worse or back; reasons in `quiet` are no news."""
    former = {str(row.get("type")): row for row in before}
    told = []
    for condition in after:
        old = former.get(condition.type, {})
        same = old.get("status") == condition.status and old.get("reason") == condition.reason
        if same or condition.type not in _TOLD or condition.reason in quiet or condition.status == "Unknown":
            continue
        is_bad = (condition.status == "True") is (condition.type in _BAD_WHEN_TRUE)
        if not is_bad and old.get("status") != _turned(condition.status) and condition.type != "Ready":
            continue  # what was never bad needs no all-clear
        told.append(Event(EventType.WARNING if is_bad else EventType.NORMAL, condition.reason, condition.message))
    return tuple(told)


def _turned(status: str) -> str:
    return "False" if status == "True" else "True"
