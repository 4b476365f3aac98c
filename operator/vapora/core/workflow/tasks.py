"""The tasks of the registry that a workflow names: refused before anything starts where one cannot be run."""

from __future__ import annotations

import json

from vapora.core.supported import SpecProblem
from vapora.core.tasks.registry import Registry, TaskProblem, explain_unknown, read_task
from vapora.core.workflow.definition import Definition


def find_task_problem(registry: Registry, definition: Definition) -> SpecProblem | None:
    """Returns the first step whose task is not known or whose params do not fit, with its place."""
    for step in (*definition.steps, *definition.completion):
        task = step.spec.task
        if task is None:
            continue
        where = f"spec.steps[{step.name}].task"
        if task.type not in registry:
            return SpecProblem("InvalidSpec", f"{where}.type: {explain_unknown(task.type, registry)}")
        if "${" in json.dumps(task.params):
            continue  # known only when it starts
        try:
            read_task(registry, task.type, task.params)
        except TaskProblem as problem:
            return SpecProblem("InvalidSpec", f"{where}: {problem}")
    return None
