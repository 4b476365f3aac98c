"""What the knowledge graph knows of a failure, told with it: looked up only then, and never waited for long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vapora.controller.recording import Recorder
from vapora.core.learning.execution import FAILURE, Execution
from vapora.core.workflow.status import Items, StepStatus, WorkflowStatus


async def explain_failures(
    recorder: Recorder | None, status: WorkflowStatus, executions: Sequence[Execution]
) -> WorkflowStatus:
    """Returns the status with what is known of each failure among these tries; of an item only of one for good."""
    failed = _find_told(status, [row for row in executions if row.outcome == FAILURE and row.error_signature])
    if recorder is None or not failed:
        return status
    known = await recorder.find_known_causes(failed)
    return replace(status, steps={**status.steps, **_explain(status, failed, known)})


def _explain(status: WorkflowStatus, failed: Sequence[Execution], known: Mapping[str, str]) -> dict[str, StepStatus]:
    found: dict[str, StepStatus] = {}
    items: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for row in failed:
        cause, step = known.get(row.id, ""), status.steps[row.step]
        if row.item is None:
            found[row.step] = replace(step, unit=replace(step.unit, known_cause=cause))
        elif cause:
            items[row.step][row.item] = cause
    for name, causes in items.items():
        step = status.steps[name]
        if step.items is not None:
            found[name] = replace(step, items=_explain_items(step.items, causes))
    return found


def _find_told(status: WorkflowStatus, failed: Sequence[Execution]) -> list[Execution]:
    """Returns the failures of which the status tells one by one: of items the first hundred."""
    steps = {row.step: status.steps[row.step] for row in failed if row.step in status.steps}
    items = {name: {row.index for row in step.items.failures} for name, step in steps.items() if step.items is not None}
    return [
        row
        for row in failed
        if row.item in items.get(row.step, ())
        or (row.item is None and row.step in steps and steps[row.step].unit.tries == row.try_)
    ]


def _explain_items(items: Items, causes: Mapping[int, str]) -> Items:
    failures = (replace(row, known_cause=causes.get(row.index, row.known_cause)) for row in items.failures)
    return replace(items, failures=tuple(failures))
