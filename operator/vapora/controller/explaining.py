"""What the knowledge graph knows of a failure, told with it: looked up only then, and never waited for long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vapora.controller.recording import Recorder
from vapora.core.learning.execution import FAILURE, Execution
from vapora.core.workflow.status import StepStatus, WorkflowStatus


async def explain_failures(
    recorder: Recorder | None, status: WorkflowStatus, executions: Sequence[Execution]
) -> WorkflowStatus:
    """Returns the status with what is known of each step's failure among these tries; of items nothing is told."""
    failed = [row for row in executions if row.outcome == FAILURE and row.item is None and row.error_signature]
    if recorder is None or not failed:
        return status
    known = await recorder.find_known_causes(failed)
    return replace(status, steps={**status.steps, **_explain(status, failed, known)})


def _explain(status: WorkflowStatus, failed: Sequence[Execution], known: Mapping[str, str]) -> dict[str, StepStatus]:
    found: dict[str, StepStatus] = {}
    for row in failed:
        step = status.steps.get(row.step)
        if step is not None and step.unit.tries == row.try_:
            found[row.step] = replace(step, unit=replace(step.unit, known_cause=known.get(row.id, "")))
    return found
