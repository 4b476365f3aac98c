"""What a run needs of agent pools: the steps that wait for one now, and those that will be at work a while ahead."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from vapora.core.learning.assignment import Request
from vapora.core.supported import SpecProblem
from vapora.core.workflow.definition import Definition, StepDefinition, compute_digest
from vapora.core.workflow.graph import sort_steps
from vapora.core.workflow.status import Phase, State, StepStatus, Unit, WorkflowStatus

AGENT = "agent"
_GOING = frozenset({Phase.PENDING, Phase.RUNNING})
_PASSED = frozenset({State.SUCCEEDED, State.SKIPPED})
_NEVER = math.inf


def needs_pools(definition: Definition | SpecProblem) -> bool:
    """Returns whether steps of a run are tasks for agents."""
    return isinstance(definition, Definition) and any(step.kind == AGENT for step in definition.steps)


def count_waiting(definition: Definition, status: WorkflowStatus) -> Counter[Request]:
    """Counts the tasks that no broker has: those about to be published, and those that found no pool to go to."""
    waiting: Counter[Request] = Counter()
    if status.phase not in _GOING:
        return waiting
    for step in definition.steps:
        if step.kind != AGENT or (row := status.steps.get(step.name)) is None:
            continue
        for unit in row.units.values():
            if unit.pool and unit.state is State.STARTING:
                waiting[Request("", pool=unit.pool)] += 1
        if row.unit.reason == "NoMatchingPool" and not row.state.is_final:
            waiting[read_request(step)] += _count_left(definition, step, row)
    return waiting


def foresee(
    definition: Definition,
    status: WorkflowStatus,
    durations: Sequence[float | None],
    now: datetime,
    within: float,
) -> Counter[Request]:
    """Counts the tasks that will be at work or waiting in so many seconds; `durations` are of the steps, in seconds.

    A step behind one of unknown duration is not foreseen; one of unknown duration stays at work once it has begun.
    """
    foreseen: Counter[Request] = Counter()
    if status.phase not in _GOING:
        return foreseen
    ends: dict[int, float] = {}
    for place in sort_steps(definition.graph):
        step, row = definition.steps[place], status.step(definition.steps[place].name)
        expected = durations[place]
        takes = _NEVER if expected is None else expected
        begins = max((ends[need.step] for need in definition.graph.needs[place]), default=0.0)
        ends[place] = _find_end(row, begins, takes, now)
        if step.kind != AGENT or row.state.is_final:
            continue
        foreseen.update(Request("", pool=unit.pool) for unit in _list_lasting(row, takes, now, within))
        if not _has_begun(row) and begins <= within < begins + takes:
            foreseen[read_request(step)] += _count_left(definition, step, row)
    return foreseen


def list_durations(definition: Definition, status: WorkflowStatus) -> Iterator[tuple[int, float]]:
    """Yields how long each step took that has succeeded, in seconds, by its place."""
    for place, step in enumerate(definition.steps):
        row = status.steps.get(step.name)
        if row is None or row.state is not State.SUCCEEDED:
            continue
        started, finished = row.unit.started_at, row.unit.finished_at
        if started and finished and finished >= started:
            yield place, (finished - started).total_seconds()


def sign_steps(definition: Definition) -> tuple[str, ...]:
    """Identifies steps that do the same and so take alike: runs of one template have the same bodies."""
    return tuple(f"{step.kind}/{compute_digest(step.body)}" for step in definition.steps)


def read_request(step: StepDefinition) -> Request:
    """Reads which pools an agent's step may go to; with a reference in it, that is not known yet and none matches."""
    body = step.spec.agent
    if body is None:
        return Request("", pool="")
    return Request("", role=body.role, pool=body.pool, capabilities=frozenset(body.capabilities))


def _find_end(row: StepStatus, begins: float, takes: float, now: datetime) -> float:
    """Returns in how many seconds a step has ended; never where it failed, or waits for a person."""
    if row.state in _PASSED:
        return 0.0
    if row.state.is_final or row.state is State.WAITING_APPROVAL:
        return _NEVER
    return _find_rest(row, takes, now) if _has_begun(row) else begins + takes


def _find_rest(row: StepStatus, takes: float, now: datetime) -> float:
    """How fast its own items end says more than how long a step took before; one that takes longer ends any moment."""
    if row.unit.started_at is None:
        return takes
    elapsed = (now - row.unit.started_at).total_seconds()
    if row.items is not None and row.items.ended:
        return elapsed * (row.items.total - row.items.ended) / row.items.ended
    return max(takes - elapsed, 0.0)


def _list_lasting(row: StepStatus, takes: float, now: datetime, within: float) -> Iterator[Unit]:
    """Yields the tasks that are given out and will not be done by then; items end evenly, and others follow them."""
    working = [unit for unit in row.units.values() if unit.pool and unit.state.is_working]
    rest = _find_rest(row, takes, now)
    if rest <= within:
        return
    if row.items is not None and rest != _NEVER:
        left = (row.items.total - row.items.ended) * (rest - within) / rest
        working = working[: math.ceil(left)]
    yield from working


def _has_begun(row: StepStatus) -> bool:
    return row.items is not None or row.state in {State.STARTING, State.RUNNING, State.RETRYING}


def _count_left(definition: Definition, step: StepDefinition, row: StepStatus) -> int:
    """Counts the tasks of a step that are not given out, as many as may be at work at once."""
    each = step.spec.for_each
    if each is None:
        return 1
    if row.items is not None:
        left = row.items.total - row.items.ended - len(row.items.active)
    else:
        left = len(each.items) if each.items is not None else 1
    return max(min(left, each.max_parallel or definition.spec.max_parallel, definition.spec.max_parallel), 0)
