"""What agents say in their logs of the tasks of one workflow: every line of the SDK's names its task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from vapora.core.views import child, text
from vapora.core.workflow.results import split_task_id

_SPENT = frozenset({"at", "level", "logger", "message", "task", "traceparent", "traceback"})


@dataclass(frozen=True, slots=True)
class TaskLines:
    """Chooses the lines of one workflow's tasks, or of one step's; `fanned` are the steps that have items."""

    uid: str
    step: str
    fanned: frozenset[str]

    def read(self, pod: str, line: str) -> list[tuple[str, str]]:
        """Returns what a line says, each behind the step and the agent; nothing where it is of no task of ours."""
        try:
            said: object = json.loads(line)
        except ValueError:
            return []
        if not isinstance(said, dict):
            return []
        task = text(said, "task")
        step, item, _ = split_task_id(task) or ("", 0, 0)
        if not step or not task.startswith(f"{self.uid}/") or (self.step and step != self.step):
            return []
        title = f"{step}[{item}] {pod}" if step in self.fanned else f"{step} {pod}"
        return [(title, row) for row in [_tell(said), *text(said, "traceback").splitlines()]]


def find_task_lines(workflow: Mapping[str, object], step: str) -> TaskLines:
    """Returns what chooses the lines of a workflow's tasks."""
    steps = child(workflow, "status", "steps")
    fanned = frozenset(name for name in steps if child(steps, name, "items"))
    return TaskLines(text(child(workflow, "metadata"), "uid"), step, fanned)


def _tell(said: Mapping[str, object]) -> str:
    more = [f"{name}={value}" for name, value in said.items() if name not in _SPENT]
    return "  ".join([text(said, "message"), *more])
