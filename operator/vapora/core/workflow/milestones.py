"""What is news between two written statuses of a run: for metrics and traces, so that nothing is told twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from vapora.core.learning.execution import FAILURE, Execution
from vapora.core.naming import NO_ITEM, UNDO
from vapora.core.supported import SpecProblem
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.failure import CLASSES, FailureClass
from vapora.core.workflow.status import WAITING, Phase, State, StepStatus, WorkflowStatus

_OUTCOMES: Mapping[State, str] = {
    State.SUCCEEDED: "success",
    State.SKIPPED: "skipped",
    State.FAILED: "failure",
    State.CANCELLED: "cancelled",
}
_REFUSALS: Mapping[str, str] = {"ApprovalRejected": "reject", "ApprovalTimedOut": "timeout"}


@dataclass(frozen=True, slots=True)
class RunEnd:
    """Is the end of a run; `started` is when it was made, or last started again."""

    phase: Phase
    started: datetime
    finished: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class StepEnd:
    """Is the end of a step; `started` is that of its last try, None where nothing was tried."""

    name: str
    kind: str
    outcome: str
    started: datetime | None
    finished: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class TryEnd:
    """Is the end of one try of a step of that kind."""

    kind: str
    execution: Execution
    is_retried: bool

    @property
    def failure_class(self) -> str:
        """Says whose fault it was; empty where it did not fail."""
        if self.execution.outcome != FAILURE:
            return ""
        return CLASSES.get(self.execution.reason, FailureClass.APPLICATION).value

    @property
    def is_task(self) -> bool:
        """Is true for an agent's task."""
        return bool(self.execution.pool)


@dataclass(frozen=True, slots=True)
class Milestones:
    """Is the news: what ended, the seconds that steps waited to start, and what people decided."""

    run: RunEnd | None = None
    steps: tuple[StepEnd, ...] = ()
    tries: tuple[TryEnd, ...] = ()
    waits: tuple[float, ...] = ()
    rollback: str = ""
    decisions: tuple[str, ...] = ()


def find_milestones(
    definition: Definition | SpecProblem,
    created_at: datetime,
    before: WorkflowStatus,
    after: WorkflowStatus,
    executions: Sequence[Execution],
) -> Milestones:
    """Compares what was written with what is; `executions` are the tries that ended between the two."""
    if isinstance(definition, SpecProblem):
        return Milestones(_find_run_end(created_at, before, after))
    began = after.restarted_at or created_at
    known = before.steps
    changed = [
        (name, known.get(name, WAITING), step) for name, step in after.steps.items() if step is not known.get(name)
    ]
    return Milestones(
        run=_find_run_end(created_at, before, after),
        steps=tuple(_find_step_ends(definition, changed)),
        tries=tuple(_describe_try(definition, execution, after) for execution in executions),
        waits=tuple(_find_waits(definition, changed, began, after)),
        rollback=_judge_rollback(before, after),
        decisions=tuple(
            "approve" if word.is_approval else "reject" for word in after.approvals[len(before.approvals) :]
        ),
    )


def judge_approval(step: StepEnd) -> str:
    """Says how an approval step ended: approve, reject, timeout, or cancelled."""
    return "approve" if step.outcome == "success" else _REFUSALS.get(step.reason, "cancelled")


def _find_run_end(created_at: datetime, before: WorkflowStatus, after: WorkflowStatus) -> RunEnd | None:
    if not after.phase.is_final or before.phase.is_final or after.finished_at is None:
        return None
    return RunEnd(after.phase, after.restarted_at or created_at, after.finished_at, after.reason)


def _find_step_ends(definition: Definition, changed: Sequence[tuple[str, StepStatus, StepStatus]]) -> Iterator[StepEnd]:
    for name, known, step in changed:
        outcome = _OUTCOMES.get(step.state)
        unit = step.unit
        if (
            outcome
            and unit.finished_at is not None
            and (known.state, known.unit.finished_at)
            != (
                step.state,
                unit.finished_at,
            )
        ):
            yield StepEnd(name, _find_kind(definition, name), outcome, unit.started_at, unit.finished_at, unit.reason)


def _find_waits(
    definition: Definition,
    changed: Sequence[tuple[str, StepStatus, StepStatus]],
    began: datetime,
    after: WorkflowStatus,
) -> Iterator[float]:
    """Yields how long the steps that began had waited since the last of what they depend on had ended."""
    graph = definition.graph
    for name, known, step in changed:
        started, place = step.unit.started_at, graph.index.get(name)
        if started is None or known.unit.started_at is not None or known.unit.tries or place is None:
            continue
        ends = (after.steps.get(graph.names[need.step], WAITING).unit.finished_at for need in graph.needs[place])
        ready = max((end for end in ends if end is not None), default=began)
        yield max((started - ready).total_seconds(), 0.0)


def _describe_try(definition: Definition, execution: Execution, after: WorkflowStatus) -> TryEnd:
    row = after.step(execution.step)
    unit = row.units.get(NO_ITEM if execution.item is None else execution.item)
    is_retried = unit is not None and (unit.tries > execution.try_ or unit.state is State.RETRYING)
    return TryEnd(_find_kind(definition, execution.step), execution, is_retried and execution.outcome == FAILURE)


def _judge_rollback(before: WorkflowStatus, after: WorkflowStatus) -> str:
    ended, known = after.rollback, before.rollback
    if ended is None or ended.finished_at is None or (known is not None and known.finished_at is not None):
        return ""
    return "success" if Phase.ROLLED_BACK in {after.phase, after.ending} else "failure"


def _find_kind(definition: Definition, name: str) -> str:
    """Returns the type of a step; what undoes one is of type undo."""
    if (place := definition.graph.index.get(name)) is not None:
        return definition.steps[place].kind
    if name.endswith(UNDO):
        return "undo"
    return next((step.kind for step in definition.completion if step.name == name), "")
