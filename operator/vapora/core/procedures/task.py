"""The body `task`: a type of the registry, planned and observed, and compensated where that is possible."""

from __future__ import annotations

from collections.abc import Callable

from vapora.api.stepbodies import TaskBody
from vapora.core.procedures.answers import fail, read_body
from vapora.core.tasks.registry import Registry, TaskProblem, TaskType, read_task
from vapora.core.workflow.procedure import Failed, Next, Procedure, Situation


def build_task(registry: Registry) -> Procedure:
    """Returns the procedure that runs a task of the registry."""

    def run_task(situation: Situation) -> Next:
        task = _read(registry, situation)
        if isinstance(task, Failed):
            return task
        decide = task.plan if situation.answer is None else task.observe
        return _guard(lambda: decide(situation)) or fail("PluginFailed", f"{type(task).__name__} decided nothing")

    return run_task


def build_undo_task(registry: Registry) -> Procedure:
    """Returns the procedure that undoes a task of the registry."""

    def undo_task(situation: Situation) -> Next:
        task = _read(registry, situation)
        if isinstance(task, Failed):
            return task
        impossible = f"a task of type {situation.body.get('type')} cannot be undone"
        return _guard(lambda: task.compensate(situation)) or fail("NotUndone", impossible)

    return undo_task


def _read(registry: Registry, situation: Situation) -> TaskType | Failed:
    body = read_body(TaskBody, situation.body, "task")
    if isinstance(body, Failed):
        return body
    try:
        return read_task(registry, body.type, body.params)
    except TaskProblem as problem:
        return fail(problem.reason, str(problem))


def _guard(decide: Callable[[], Next | None]) -> Next | None:
    try:
        return decide()
    except Exception as bug:  # noqa: BLE001  # a plug-in's bug is the failure of its step, not of the operator
        return fail("PluginFailed", f"{type(bug).__name__}: {bug}")
