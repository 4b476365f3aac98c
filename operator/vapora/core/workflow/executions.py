"""What is recorded of each try: one execution, under an id that is the same however often it is handed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice

from vapora.core.learning.execution import FAILURE, MAX_TEXT, Execution, execution_id
from vapora.core.learning.signature import compute_signature
from vapora.core.naming import NO_ITEM, UNDO
from vapora.core.supported import SpecProblem
from vapora.core.views import JobView, PodView, rows, text
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.failure import find_job_failure, find_pod_failure
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.graph import Graph
from vapora.core.workflow.release import child_execution_id, read_labels
from vapora.core.workflow.results import AgentResult, Answered
from vapora.core.workflow.status import Identity, Stage, State, Unit, WorkflowStatus
from vapora.core.workflow.tracing import build_trace_id

_MOST_NAMES = 50  # that an execution names of one kind


def execution_of_child(
    identity: Identity, view: PodView | JobView, written: WorkflowStatus, now: datetime
) -> Execution:
    """Builds the execution of a try from its child, where the process that saw it first is gone."""
    step, item, try_ = read_labels(view)
    items = written.step(step).items
    unit = written.step(step).unit if items is None else items.active.get(item, Unit())
    outcome, reason = _judge(view, unit, try_)
    ended = (view.end.finished_at if view.end else None) if isinstance(view, PodView) else view.finished_at
    execution = Execution(
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
    return _explain(execution, *_find_words(view, unit, try_))


def _explain(execution: Execution, message: str, exit_code: int | None) -> Execution:
    """Adds what a failure said, and its signature; anything else says nothing."""
    if execution.outcome != FAILURE:
        return execution
    signature = compute_signature(execution.reason, exit_code, message)
    return replace(execution, message=message[:MAX_TEXT], exit_code=exit_code, error_signature=signature)


def _find_words(view: PodView | JobView, unit: Unit, try_: int) -> tuple[str, int | None]:
    """Returns message and exit code of a failure: what is written goes before what the child says."""
    if try_ == unit.tries and unit.state in {State.FAILED, State.RETRYING}:
        return unit.message, unit.exit_code
    failure = find_pod_failure(view) if isinstance(view, PodView) else find_job_failure(view, None)
    return (failure.message, failure.exit_code) if failure is not None else ("", None)


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
    found = []
    for name, row in written.steps.items():
        unit = row.unit
        if row.items is None and unit.tries > 0 and unit.finished_at is not None and _is_traceless(unit):
            kind = kinds.get(name.removesuffix(UNDO), "")
            execution = _build_of_row(identity, name, unit, unit.finished_at, kind)
            found.append(_explain(execution, unit.message, unit.exit_code))
    return found


def _build_of_row(identity: Identity, name: str, unit: Unit, ended: datetime, kind: str) -> Execution:
    return Execution(
        id=execution_id(identity.uid, name, None, unit.tries),
        namespace=identity.namespace,
        workflow=identity.name,
        step=name,
        item=None,
        try_=unit.tries,
        pool="",
        role="",
        task_type=kind,
        outcome=_judge_row(unit),
        reason=unit.reason,
        started=unit.started_at or ended,
        finished=ended,
    )


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

    Of an item that has ended the status keeps no row: its pool is the one that the agent says, its task type stays
    empty. The graph keeps what it knows.
    """
    unit, answer = answered.unit, answered.answer
    pool = unit.pool or answer.pool
    outcome, reason = _judge_answer(answered)
    item = None if answered.item == NO_ITEM else answered.item
    try_ = unit.tries if unit.effect == answered.effect else answered.effect
    execution = Execution(
        id=execution_id(identity.uid, answered.step, item, try_),
        namespace=identity.namespace,
        workflow=identity.name,
        step=answered.step,
        item=item,
        try_=try_,
        pool=f"{identity.namespace}/{pool}" if pool else "",
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
        trace_id=build_trace_id(identity.uid),
        runner_up=_name_runner_up(identity, unit),
    )
    is_written = unit.reason == reason and unit.state in {State.FAILED, State.RETRYING}
    return _explain(execution, unit.message if is_written else answer.words, None)


def _judge_answer(answered: Answered) -> tuple[str, str]:
    """Returns outcome and reason of an effect: an answer that its step could not use made another try needed."""
    unit, outcome = answered.unit, answered.answer.outcome
    is_latest = answered.effect == unit.effect
    if is_latest and unit.state is State.CANCELLED:
        return "cancelled", unit.reason
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


def record(
    draft: Draft, place: Place, unit: Unit, outcome: str, agent: AgentResult | None, produced: Iterable[str] = ()
) -> None:
    """Adds the execution of a try that ended; `outcome` is success, failure or cancelled, `produced` names outputs."""
    identity, step = draft.observed.identity, draft.step(place[0])
    body = step.spec.agent
    answer = agent or AgentResult(outcome)
    execution = Execution(
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
        trace_id=build_trace_id(identity.uid) if body else "",
        depends_on=_list_needs(draft.graph, place[0]) if draft.standing.stage is Stage.STEPS else (),
        runner_up=_name_runner_up(identity, unit),
        produced=tuple(islice(produced, _MOST_NAMES)),
        deployed=_list_deployed(unit),
    )
    draft.executions.append(_explain(execution, unit.message, unit.exit_code))


def relate(execution: Execution, definition: Definition | SpecProblem, written: WorkflowStatus) -> Execution:
    """Adds to an execution, where the process that saw it first is gone, what its step depends on, gave and changed."""
    if isinstance(definition, SpecProblem) or execution.step not in definition.graph.index:
        return execution
    related = replace(execution, depends_on=_list_needs(definition.graph, definition.graph.index[execution.step]))
    row = written.step(execution.step)
    if row.items is not None or row.unit.tries != execution.try_:
        return related
    produced = tuple(islice(row.outputs or (), _MOST_NAMES)) if execution.is_success else ()
    return replace(related, produced=produced, deployed=_list_deployed(row.unit))


def _name_runner_up(identity: Identity, unit: Unit) -> str:
    """Returns the pool that a task's own was chosen over, as `namespace/name`; empty where there was none."""
    name = unit.choice.runner_up if unit.choice is not None else None
    return f"{identity.namespace}/{name}" if name else ""


def _list_needs(graph: Graph, place: int) -> tuple[str, ...]:
    return tuple(graph.names[need.step] for need in graph.needs[place][:_MOST_NAMES])


def _list_deployed(unit: Unit) -> tuple[str, ...]:
    """Returns what a try applied, as it is known to the unit: `kind/namespace/name`."""
    names = ("kind", "namespace", "name")
    entries = rows(unit.memory, "inventory")[:_MOST_NAMES]
    return tuple("/".join(filter(None, (text(entry, name) for name in names))) for entry in entries)
