"""What is recorded of each try: one execution, under an id that is the same however often it is handed over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vapora.core.learning.execution import Execution, execution_id
from vapora.core.naming import NO_ITEM, UNDO
from vapora.core.views import JobView, PodView
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.failure import find_job_failure, find_pod_failure
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.release import child_execution_id, read_labels
from vapora.core.workflow.results import AgentResult, Answered
from vapora.core.workflow.status import Identity, State, Unit, WorkflowStatus


def execution_of_child(
    identity: Identity, view: PodView | JobView, written: WorkflowStatus, now: datetime
) -> Execution:
    """Builds the execution of a try from its child, where the process that saw it first is gone."""
    step, item, try_ = read_labels(view)
    items = written.step(step).items
    unit = written.step(step).unit if items is None else items.active.get(item, Unit())
    outcome, reason = _judge(view, unit, try_)
    ended = (view.end.finished_at if view.end else None) if isinstance(view, PodView) else view.finished_at
    return Execution(
        id=child_execution_id(identity, view),
        namespace=identity.namespace,
        workflow=identity.name,
        step=step,
        item=None if item == NO_ITEM else item,
        try_=try_,
        pool="",
        role="",
        task_type="run",
        outcome=outcome,
        reason=reason,
        started=view.meta.created_at or now,
        finished=ended or now,
    )


def _judge(view: PodView | JobView, unit: Unit, try_: int) -> tuple[str, str]:
    """Returns outcome and reason of a try: what is written of it goes before what its child says.

    A child that succeeded and was followed by another try gave no result that its step could use.
    """
    if try_ == unit.tries and unit.state is State.SUCCEEDED:
        return "success", ""
    if try_ == unit.tries and unit.state in {State.FAILED, State.RETRYING, State.CANCELLED}:
        return "cancelled" if unit.state is State.CANCELLED else "failure", unit.reason
    failure = find_pod_failure(view) if isinstance(view, PodView) else find_job_failure(view, None)
    if failure is not None:
        return "failure", failure.reason
    if not view_succeeded(view):
        return ("failure", "ChildLost") if try_ < unit.tries else ("cancelled", "")
    return ("failure", "OutputInvalid") if try_ < unit.tries else ("success", "")


def executions_of_rows(identity: Identity, written: WorkflowStatus, kinds: Mapping[str, str]) -> list[Execution]:
    """Builds the executions of last tries that left nothing behind but the rows of their steps; `kinds` names bodies.

    A process that was stopped once it had written such a row may have told the graph nothing of it. Of an item that
    ended no row is kept.
    """
    return [
        Execution(
            id=execution_id(identity.uid, name, None, row.unit.tries),
            namespace=identity.namespace,
            workflow=identity.name,
            step=name,
            item=None,
            try_=row.unit.tries,
            pool="",
            role="",
            task_type=kinds.get(name.removesuffix(UNDO), ""),
            outcome=_judge_row(row.unit),
            reason=row.unit.reason,
            started=row.unit.started_at or row.unit.finished_at,
            finished=row.unit.finished_at,
        )
        for name, row in written.steps.items()
        if row.items is None and row.unit.tries > 0 and row.unit.finished_at is not None and _is_traceless(row.unit)
    ]


def _is_traceless(unit: Unit) -> bool:
    """Returns whether neither a child nor an answer will tell of a try: it was a call, or its child never was."""
    if unit.child is None or unit.child.kind == "Workflow":
        return not unit.pool and unit.reason != "Simulated"
    return unit.reason in {"AdmissionRefused", "ChildLost"}


def _judge_row(unit: Unit) -> str:
    if unit.state is State.CANCELLED:
        return "cancelled"
    return "failure" if unit.reason else "success"


def execution_of_answer(identity: Identity, answered: Answered, now: datetime) -> Execution:
    """Builds the execution of an agent's task from its answer, where the process that saw it first is gone.

    Of an item that has ended the status keeps no row, so pool and task type stay empty: the graph keeps what it knows.
    """
    unit, answer = answered.unit, answered.answer
    outcome, reason = _judge_answer(answered)
    item = None if answered.item == NO_ITEM else answered.item
    try_ = unit.tries if unit.effect == answered.effect else answered.effect
    return Execution(
        id=execution_id(identity.uid, answered.step, item, try_),
        namespace=identity.namespace,
        workflow=identity.name,
        step=answered.step,
        item=item,
        try_=try_,
        pool=f"{identity.namespace}/{unit.pool}" if unit.pool else "",
        role="",
        task_type=unit.task_type,
        outcome=outcome,
        reason=reason,
        started=answer.started_at or now,
        finished=answer.finished_at or now,
        quality=answer.quality,
        tokens=answer.tokens,
        model=answer.model,
        provider=answer.provider,
        cost_cents=answer.cost_cents,
    )


def _judge_answer(answered: Answered) -> tuple[str, str]:
    """Returns outcome and reason of an effect: an answer that its step could not use made another try needed."""
    unit, outcome = answered.unit, answered.answer.outcome
    is_latest = answered.effect == unit.effect
    if is_latest and unit.state in {State.FAILED, State.RETRYING}:
        return "failure", unit.reason
    if outcome == "cancelled" and answered.effect < unit.effect:
        return "failure", "TaskCancelled"
    if outcome != "success":
        return outcome, "TaskFailed"
    return ("failure", "OutputInvalid") if answered.effect < unit.effect else ("success", "")


def view_succeeded(view: PodView | JobView) -> bool:
    """Returns whether the child ended well."""
    return view.is_complete if isinstance(view, JobView) else view.phase == "Succeeded"


def record(draft: Draft, place: Place, unit: Unit, outcome: str, agent: AgentResult | None) -> None:
    """Adds the execution of a try that ended; `outcome` is success, failure or cancelled."""
    identity, step = draft.observed.identity, draft.step(place[0])
    body = step.spec.agent
    answer = agent or AgentResult(outcome)
    draft.executions.append(
        Execution(
            id=execution_id(identity.uid, step.name, None if place[1] == NO_ITEM else place[1], unit.tries),
            namespace=identity.namespace,
            workflow=identity.name,
            step=step.name,
            item=None if place[1] == NO_ITEM else place[1],
            try_=unit.tries,
            pool=f"{identity.namespace}/{unit.pool}" if unit.pool else "",
            role=(body.role or "") if body else "",
            task_type=unit.task_type or step.spec.body_kind,
            outcome=outcome,
            reason=unit.reason,
            started=unit.started_at or draft.now,
            finished=unit.finished_at or draft.now,
            quality=answer.quality,
            tokens=answer.tokens,
            model=answer.model,
            provider=answer.provider,
            cost_cents=answer.cost_cents,
        )
    )
