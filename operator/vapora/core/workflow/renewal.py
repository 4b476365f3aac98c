"""Rows that start anew: what they ever started stays counted, so that no name and no key of an effect repeats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vapora.core.workflow.ranges import Ranges, join_ranges
from vapora.core.workflow.status import Approval, Items, State, StepStatus


def renew_step(status: StepStatus, *, keeps: bool) -> StepStatus:
    """Returns the row of a step that waits again; with `keeps`, what succeeded may turn out to stand."""
    unit, items = status.unit, status.items
    if keeps and unit.state is State.SUCCEEDED:
        anew = replace(unit.renew(), finished_at=unit.finished_at, input_digest=unit.input_digest)
        return StepStatus(unit=anew, items=items, outputs=status.outputs)
    was_undone = unit.state is State.COMPENSATED
    anew = replace(unit.renew(), memory={}) if was_undone else unit.renew()
    if items is None or was_undone:
        return StepStatus(unit=anew, items=drop_items(items))
    redone = [items.failed, items.cancelled, items.again]
    if not keeps or unit.state in {State.COMPENSATION_FAILED, State.COMPENSATING, State.SUCCEEDED}:
        redone.append(items.succeeded)
    return StepStatus(
        unit=replace(anew, input_digest=unit.input_digest), items=_renew_items(items, unit.tries, join_ranges(*redone))
    )


def retire_words(approvals: Iterable[Approval], *steps: str) -> tuple[Approval, ...]:
    """Returns what people said with the words on these steps, or on all where none is named, as former ones."""
    return tuple(replace(word, is_former=True) if not steps or word.step in steps else word for word in approvals)


def drop_items(items: Items | None) -> Items | None:
    """Returns what is left of items that all start anew: effects whose outcome is not known."""
    return Items(total=0, open=items.open) if items is not None and items.open else None


def _renew_items(items: Items, tries: int, again: Ranges) -> Items:
    """Lets items start again; the others have succeeded."""
    succeeded = items.succeeded if again.isdisjoint(items.succeeded) else Ranges()
    return replace(
        items,
        succeeded=succeeded,
        failed=Ranges(),
        cancelled=Ranges(),
        failures=(),
        again=again,
        former=tries,
        active={},
    )
