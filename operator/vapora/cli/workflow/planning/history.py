"""What former runs of a namespace took and cost, read from the workflows that still exist."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from vapora.api.stepbodies import BODY_KINDS
from vapora.core.views import child, number, parse_time, rows, text
from vapora.core.workflow.definition import StepDefinition
from vapora.core.workflow.estimates import Durations

Object = Mapping[str, object]
Place = tuple[str, str]  # a step's name and its kind; of an agent step its task type


@dataclass(frozen=True, slots=True)
class History:
    """Is what steps took and cost on the mean: as steps of the same name, tasks also as others of their type."""

    durations: Durations = field(default_factory=Durations)
    steps: Mapping[Place, float] = field(default_factory=dict)
    task_types: Mapping[str, float] = field(default_factory=dict)

    def find_cents(self, step: StepDefinition, task_type: str) -> float | None:
        """Returns what a step is expected to cost; None where nothing like it was done. Only tasks cost."""
        if step.kind != "agent":
            return 0.0
        return self.steps.get((step.name, task_type), self.task_types.get(task_type))


def read_history(workflows: Sequence[Object]) -> History:
    """Reads the steps that succeeded in one go; those with items tell nothing of one item."""
    took, cost = defaultdict[Place, list[float]](list), defaultdict[Place, list[float]](list)
    by_type = defaultdict[str, list[tuple[float, float]]](list)
    for workflow in workflows:
        for place, is_task, seconds, cents in _list_done(workflow):
            took[place].append(seconds)
            cost[place].append(cents)
            if is_task:
                by_type[place[1]].append((seconds, cents))
    return History(
        Durations(
            {place: fmean(found) for place, found in took.items()},
            {name: fmean(seconds for seconds, _ in found) for name, found in by_type.items()},
        ),
        {place: fmean(found) for place, found in cost.items()},
        {name: fmean(cents for _, cents in found) for name, found in by_type.items()},
    )


def _list_done(workflow: Object) -> Iterator[tuple[Place, bool, float, float]]:
    kinds = {
        text(step, "name"): next((kind for kind in BODY_KINDS if kind in step), "")
        for step in rows(child(workflow, "spec"), "steps")
    }
    steps = child(workflow, "status", "steps")
    for name in steps:
        row = child(steps, name)
        started, finished = parse_time(row.get("startedAt")), parse_time(row.get("finishedAt"))
        if text(row, "state") != "Succeeded" or "items" in row or started is None or finished is None:
            continue
        task_type = text(child(row, "assignment"), "taskType")
        if kind := task_type or kinds.get(name, ""):
            yield (name, kind), bool(task_type), (finished - started).total_seconds(), float(number(row, "costCents"))
