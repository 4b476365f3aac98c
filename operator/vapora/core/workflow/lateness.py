"""Answers to tasks that had been given up: what they cost counts, and nobody asks for their effects again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from vapora.core.learning.execution import Execution
from vapora.core.naming import NO_ITEM
from vapora.core.workflow.executions import execution_of_answer, relate
from vapora.core.workflow.observed import Observed
from vapora.core.workflow.results import Answered, is_late, split_task_id
from vapora.core.workflow.status import Items, State, StepStatus, Unit


def take_late_answers(observed: Observed, now: datetime) -> tuple[Observed, tuple[Execution, ...]]:
    """Closes the effects that were answered after they had been given up; returns the tries with what they cost.

    A try that repeated such an effect would wait in vain: its answer has been given.
    """
    steps, found = dict(observed.status.steps), list[Execution]()
    for task_id, answer in observed.results.items():
        name, item, effect = split_task_id(task_id) or ("", 0, 0)
        row = steps.get(name)
        if row is None or not is_late(row, item, effect):
            continue
        place, unit = (NO_ITEM, row.unit) if row.items is None else (item, _find_end(row.items, item))
        steps[name] = _close(row, item, answer.cost_cents)
        execution = execution_of_answer(observed.identity, Answered(task_id, name, place, effect, unit, answer), now)
        found.append(relate(execution, observed.definition, observed.status))
    if not found:
        return observed, ()
    return replace(observed, status=replace(observed.status, steps=steps)), tuple(found)


def _find_end(items: Items, item: int) -> Unit:
    """Returns what is still known of an item that ended with an open effect."""
    left = items.open[item]
    state = State.CANCELLED if item in items.cancelled else State.FAILED
    reason = next((told.reason for told in items.failures if told.index == item), "")
    return replace(left, state=state, reason=reason, tries=left.effect)


def _close(row: StepStatus, item: int, cents: int) -> StepStatus:
    unit = replace(row.unit, cost_cents=row.unit.cost_cents + cents)
    if row.items is None:
        return replace(row, unit=replace(unit, is_open=False))
    left = {other: unit for other, unit in row.items.open.items() if other != item}
    return replace(row, unit=unit, items=replace(row.items, open=left))
