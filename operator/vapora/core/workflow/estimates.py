"""How long the steps of a run take, by history: which of them hold up its end, and when that will be."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vapora.core.learning.execution import Execution
from vapora.core.workflow.definition import Definition, StepDefinition
from vapora.core.workflow.graph import Graph, sort_steps
from vapora.core.workflow.status import Phase, State, StepStatus, WorkflowStatus

_EQUAL = 1.0  # what every step counts without history
_WEIGHT = 0.2  # of the newest in the mean
_PASSED = frozenset({State.SUCCEEDED, State.SKIPPED})
_GOING = frozenset({Phase.PENDING, Phase.RUNNING})


@dataclass(frozen=True, slots=True)
class Durations:
    """Holds how long successful executions took on the mean, in seconds: of a step by its name, of a task type."""

    steps: dict[tuple[str, str], float] = field(default_factory=dict)  # by step and task type
    task_types: dict[str, float] = field(default_factory=dict)

    def note(self, execution: Execution) -> None:
        """Takes one more execution into the means; newer ones count more."""
        if not execution.is_success:
            return
        seconds = execution.latency.total_seconds()
        place = (execution.step, execution.task_type)
        self.steps[place] = _mix(self.steps.get(place), seconds)
        if execution.pool:  # what is no task has a type that says little: run, http
            self.task_types[execution.task_type] = _mix(self.task_types.get(execution.task_type), seconds)

    def find(self, step: StepDefinition) -> float | None:
        """Returns what a step is expected to take: as one of that name did, else as tasks of its type."""
        agent = step.spec.agent
        if agent is None:
            return self.steps.get((step.name, step.kind))
        known = [agent.task_type] if agent.task_type else [kind for name, kind in self.steps if name == step.name]
        for task_type in known:
            if (seconds := self.steps.get((step.name, task_type))) is not None:
                return seconds
        return self.task_types.get(agent.task_type or "")


def _mix(known: float | None, seconds: float) -> float:
    return seconds if known is None else known + _WEIGHT * (seconds - known)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Is what is expected of a run, by the places of its steps, in seconds.

    `seconds` are None where a step's duration is not known; `rest` is the longest way from a step's start to the end.
    """

    seconds: tuple[float | None, ...]
    rest: tuple[float, ...]


def estimate_steps(definition: Definition, durations: Durations) -> Estimates:
    """Estimates every step; one without history counts as the mean of the others, without any all count equal."""
    seconds = [durations.find(step) for step in definition.steps]
    rest = [0.0] * len(seconds)
    graph, filled = definition.graph, _fill(seconds)
    for place in reversed(sort_steps(graph)):
        rest[place] = filled[place] + max((rest[later] for later in graph.dependents[place]), default=0.0)
    return Estimates(tuple(seconds), tuple(rest))


def _fill(seconds: Sequence[float | None]) -> list[float]:
    known = [value for value in seconds if value is not None]
    mean = sum(known) / len(known) if known else _EQUAL
    return [mean if value is None else value for value in seconds]


def put_critical_first(ready: Sequence[int], estimates: Estimates | None) -> list[int]:
    """Sorts steps so that those come first after which the most is left to do; others keep the order of the list."""
    if estimates is None:
        return list(ready)
    return sorted(ready, key=lambda place: (-estimates.rest[place], place))


def estimate_finish(
    definition: Definition, status: WorkflowStatus, estimates: Estimates, now: datetime
) -> datetime | None:
    """Returns when a run will end if all goes well; None where no history tells, or it waits for a person.

    The steps are laid out over `maxParallel` places as the planner would start them.
    """
    if status.phase not in _GOING or all(value is None for value in estimates.seconds):
        return None
    rows = [status.step(name) for name in definition.graph.names]
    if any(row.state is State.WAITING_APPROVAL for row in rows):
        return None
    left = [_find_left(row, takes, now) for row, takes in zip(rows, _fill(estimates.seconds), strict=True)]
    begun = [place for place, row in enumerate(rows) if _has_begun(row)]
    seconds = _lay_out(definition.graph, left, begun, estimates, definition.spec.max_parallel)
    return now + timedelta(seconds=seconds)


def _find_left(row: StepStatus, takes: float, now: datetime) -> float:
    """Returns the seconds that a step still takes; one that takes longer than expected ends at any moment."""
    if row.state.is_final:
        return 0.0
    if row.items is not None:
        return takes * (1 - row.items.ended / row.items.total) if row.items.total else 0.0
    if row.unit.started_at is None or not row.state.is_working:
        return takes
    return max(takes - (now - row.unit.started_at).total_seconds(), 0.0)


def _has_begun(row: StepStatus) -> bool:
    return row.items is not None or row.state in {State.STARTING, State.RUNNING, State.RETRYING} or row.state.is_final


def _lay_out(graph: Graph, left: Sequence[float], begun: Sequence[int], estimates: Estimates, places: int) -> float:
    """Returns when the last step ends, in seconds from now."""
    waits = [len(needs) for needs in graph.needs]
    ready = [(-estimates.rest[place], place) for place, count in enumerate(waits) if count == 0]
    started = set(begun)
    running = [(left[place], place) for place in begun]
    ready = [entry for entry in ready if entry[1] not in started]
    heapq.heapify(running)
    heapq.heapify(ready)
    time, busy = 0.0, sum(left[place] > 0 for place in begun)
    while running or ready:
        while ready and busy < places:
            _, place = heapq.heappop(ready)
            heapq.heappush(running, (time + left[place], place))
            started.add(place)
            busy += left[place] > 0
        if not running:
            break
        time, place = heapq.heappop(running)
        busy -= left[place] > 0
        for later in graph.dependents[place]:
            waits[later] -= 1
            if waits[later] == 0 and later not in started:
                heapq.heappush(ready, (-estimates.rest[later], later))
    return time
