"""Whether a run is undone when its steps have ended, what of it, and what became of that."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vapora.core.naming import APPROVE_ROLLBACK, UNDO
from vapora.core.workflow.definition import Definition, StepDefinition
from vapora.core.workflow.draft import DEADLINE_EXCEEDED, ROLLBACK_REQUESTED, Draft
from vapora.core.workflow.renewal import drop_items, renew_step
from vapora.core.workflow.stages import UNDOING, find_undoing, find_undone_items
from vapora.core.workflow.status import WAITING, Phase, Rollback, State, StepStatus, WorkflowStatus

INCOMPLETE = "RollbackIncomplete"
_HARMLESS = frozenset({"wait", "approval"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names the steps that are undone, and those that succeeded and that nothing undoes."""

    undone: tuple[str, ...]
    left: tuple[str, ...]
    asks: bool  # a person is asked first, because some of it cannot be undone


def find_wanted(draft: Draft, outcome: tuple[Phase, str, str]) -> Wanted | None:
    """Returns what is undone after this outcome; None where nothing is, or nothing needs to be."""
    definition, steps = draft.whole, draft.steps
    if not _asks_for_it(definition, steps, outcome):
        return None
    keeps = definition.spec.rollback.preserve_successful
    undone, left, asks = [], [], False
    for step in definition.steps:
        status = steps.get(step.name)
        if status is None or not _has_effect(status, keeps=keeps):
            continue
        is_undoable = find_undoing(step) is not None and not step.spec.irreversible
        if is_undoable:
            undone.append(step.name)
        elif status.state is State.SUCCEEDED and not _is_harmless(step):
            left.append(step.name)
            asks = asks or step.spec.irreversible
    return Wanted(tuple(undone), tuple(left), asks) if undone else None


def _asks_for_it(definition: Definition, steps: dict[str, StepStatus], outcome: tuple[Phase, str, str]) -> bool:
    phase, reason, _ = outcome
    if reason == ROLLBACK_REQUESTED:
        return True
    if phase is not Phase.FAILED or not definition.spec.rollback.enabled:
        return False
    if reason == DEADLINE_EXCEEDED:
        is_wanted = definition.spec.on_failure == "rollback"
    else:
        failed = (step for step in definition.steps if _state(steps, step) is State.FAILED)
        is_wanted = any(step.on_failure == "rollback" for step in failed)
    if is_wanted and not definition.spec.rollback.on_partial_failure:
        return not any(_state(steps, step) is State.SUCCEEDED for step in definition.steps)
    return is_wanted


def _state(steps: dict[str, StepStatus], step: StepDefinition) -> State:
    status = steps.get(step.name)
    return status.state if status else State.WAITING


def _has_effect(status: StepStatus, *, keeps: bool) -> bool:
    """Returns whether a step succeeded, or failed and left something half done."""
    if status.state in UNDOING:
        return status.state is not State.COMPENSATED  # what is undone is not undone again
    if status.state is State.SUCCEEDED:
        return not keeps
    return bool(status.unit.memory) or bool(find_undone_items(status, keeps=keeps))


def _is_harmless(step: StepDefinition) -> bool:
    """Returns whether a step leaves nothing behind, or says so."""
    return step.kind in _HARMLESS or (step.spec.compensate is not None and bool(step.spec.compensate.none))


def begin_rollback(draft: Draft, wanted: Wanted, outcome: tuple[Phase, str, str]) -> WorkflowStatus:
    """Gives each undone step a row for its undoing, which keeps the tries of an earlier one."""
    for name in wanted.undone:
        row, undoing = draft.steps[name], draft.steps.get(f"{name}{UNDO}", WAITING)
        goes_on = row.state in UNDOING  # an earlier rollback did not get it done
        draft.steps[f"{name}{UNDO}"] = renew_step(undoing, keeps=True) if goes_on else _renew(undoing)
        draft.steps[name] = replace(row, unit=replace(row.unit, state=State.COMPENSATING))
    asked = draft.steps.pop(APPROVE_ROLLBACK, WAITING)
    if wanted.asks:
        draft.steps[APPROVE_ROLLBACK] = _renew(asked)
    rollback = Rollback(draft.now, outcome[1], not_undone=wanted.left)
    return replace(draft.standing, rollback=rollback, paused_at=None)


def _renew(before: StepStatus) -> StepStatus:
    return StepStatus(unit=replace(before.unit.renew(), memory={}), items=drop_items(before.items))


def conclude_rollback(draft: Draft, outcome: tuple[Phase, str, str]) -> tuple[Phase, str, str]:
    """Returns the outcome after everything was undone that could be."""
    if draft.is_terminating:
        for name, row in draft.steps.items():
            if row.state is State.COMPENSATING:
                draft.steps[name] = replace(row, unit=replace(row.unit, state=State.COMPENSATION_FAILED))
        return outcome
    failed = [name for name in draft.graph.names if draft.steps[name].state is not State.SUCCEEDED]
    left = draft.standing.rollback.not_undone if draft.standing.rollback else ()
    if failed:
        names = [name.removesuffix(UNDO) for name in failed if name != APPROVE_ROLLBACK]
        why = draft.steps[failed[0]].unit
        words = f"{outcome[2]}; not undone: {', '.join((*names, *left))}; {why.reason}: {why.message}"
        return Phase.FAILED, INCOMPLETE, words
    nothing = f"; nothing undoes {', '.join(left)}" if left else ""
    return Phase.ROLLED_BACK, outcome[1], f"rolled back: {outcome[2]}{nothing}"
