"""The money of a run: what its tasks have cost, and what is reserved for those under way.

All of it stands in the status: a process that starts anew reads there what one before it reserved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vapora.core.views import child, number, rows, text
from vapora.core.workflow.status import State, StepStatus, Unit

_WORKING = frozenset({str(state) for state in State if state.is_working})


@dataclass(slots=True)
class Purse:
    """Is the money of a run while it is planned: `reserved` is by pool, `paid` what pools were paid in this plan."""

    reserved: Counter[str]
    cost: int
    paid: Counter[str] = field(default_factory=Counter)

    def move(self, before: Unit | None, after: Unit | None) -> None:
        """Takes note of a unit that turned from `before` into `after`."""
        for unit, sign in ((before, -1), (after, 1)):
            if unit is not None and (cents := find_reserved(unit)):
                self.reserved[unit.pool] += sign * cents

    def pay(self, pool: str, cents: int) -> None:
        """Takes note of what a task cost."""
        self.cost += cents
        self.paid[pool] += cents


def open_purse(steps: Mapping[str, StepStatus]) -> Purse:
    """Counts the money of a run as its rows say."""
    return Purse(count_reserved(steps.values()), count_cost(steps.values()))


def count_cost(steps: Iterable[StepStatus]) -> int:
    """Returns what the tasks of steps have cost, in cents; a step's own row holds that of its ended items."""
    return sum(step.unit.cost_cents + _count_active(step) for step in steps)


def count_reserved(steps: Iterable[StepStatus]) -> Counter[str]:
    """Returns what is reserved for tasks under way, by pool."""
    found: Counter[str] = Counter()
    for step in steps:
        for unit in step.units.values():
            if cents := find_reserved(unit):
                found[unit.pool] += cents
    return found


def find_reserved(unit: Unit) -> int:
    """Returns what is reserved for a unit: until its task is answered, or it is given up."""
    if unit.grant is None or not (unit.state.is_working or (unit.state is State.RETRYING and unit.is_open)):
        return 0
    return unit.grant.reserved


def read_reserved(status: Mapping[str, object]) -> Counter[str]:
    """Reads the same from a status as it is written."""
    found: Counter[str] = Counter()
    for row in _list_units(status):
        assignment, state = child(row, "assignment"), text(row, "state") or str(State.RUNNING)
        is_open = row.get("effectOpen") is True and state == State.RETRYING
        if (cents := number(assignment, "reservedCents")) and (state in _WORKING or is_open):
            found[text(assignment, "pool")] += cents
    return found


def _list_units(status: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    for steps in (child(status, "steps"), child(status, "rollback", "steps")):
        for row in steps.values():
            if not isinstance(row, Mapping):
                continue
            if "items" in row:
                yield from rows(child(row, "items"), "active")
            else:
                yield row


def _count_active(step: StepStatus) -> int:
    return sum(unit.cost_cents for unit in step.items.active.values()) if step.items is not None else 0
