"""A spec that is edited while its run goes on: steps not yet started follow it, started ones stay as they began."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vapora.core.plan import Manifest
from vapora.core.supported import SpecProblem
from vapora.core.views import rows, text
from vapora.core.workflow.definition import Definition, read_definition
from vapora.core.workflow.status import State, StepStatus, WorkflowStatus

_NAMED = 5  # steps that one message names


Check = Callable[[Definition], SpecProblem | None]


@dataclass(frozen=True, slots=True)
class Edited:
    """Is what a run does after an edit, and what of the edit it does not follow; an empty sentence means nothing."""

    definition: Definition
    reason: str = ""
    message: str = ""


def follow_edit(former: Definition, raw: Manifest, status: WorkflowStatus, check: Check) -> Edited:
    """Returns the edited definition with the started steps as they were; an edit that cannot be run changes nothing."""
    started = {name for name, step in status.steps.items() if _has_begun(step)}
    before = {text(row, "name"): row for row in rows(former.raw, "steps")}
    wanted = {text(row, "name"): row for row in rows(raw, "steps")}
    pinned = [name for name in before if name in started and before[name] != wanted.get(name)]
    kept = [before[name] if name in pinned else row for name, row in wanted.items()]
    kept += [before[name] for name in pinned if name not in wanted]
    definition = read_definition({**raw, "steps": kept})
    if not isinstance(definition, SpecProblem):
        definition = check(definition) or definition
    if isinstance(definition, SpecProblem):
        words = f"the edited spec is not followed: {definition.message}"
        return Edited(former, definition.reason, words)
    if not pinned:
        return Edited(definition)
    named = ", ".join(pinned[:_NAMED]) + (f" and {len(pinned) - _NAMED} more" if len(pinned) > _NAMED else "")
    return Edited(definition, "StepPinned", f"steps that have started keep what they began with: {named}")


def drop_removed(definition: Definition, status: WorkflowStatus) -> Mapping[str, StepStatus]:
    """Returns the rows without those of steps that had not started and are not there any more."""
    return {name: step for name, step in status.steps.items() if name in definition.graph.index or _has_begun(step)}


def _has_begun(step: StepStatus) -> bool:
    return step.unit.tries > 0 or step.items is not None or (step.state.is_final and step.state is not State.SKIPPED)
