"""The registry of tasks: what a task type is, and how its name and its params are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pydantic import ValidationError

from vapora.api.base import ApiModel
from vapora.core.supported import describe_validation
from vapora.core.workflow.procedure import Next, Situation

MAX_NEAREST = 3


class TaskType(ApiModel, ABC):
    """Is one task with its params: a subclass is a type, its fields are the params, three functions say what it does.

    All are pure and may be asked again after a crash with the same memory. They return an Ask for one call, a Rest, or
    the end: Finished or Failed.
    """

    @abstractmethod
    def plan(self, situation: Situation) -> Next:
        """Says what to do while nothing has been answered: at the start, after a Rest, after a crash."""

    @abstractmethod
    def observe(self, situation: Situation) -> Next:
        """Says what the answer to the last call means."""

    def compensate(self, situation: Situation) -> Next | None:  # noqa: ARG002  # for those that can be undone
        """Undoes it, with `situation.undoes` as memory of what was done; None where that is not possible."""
        return None


Registry = Mapping[str, type[TaskType]]


class TaskProblem(ValueError):
    """Says why a task cannot be run; `reason` is the step's reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def read_task(registry: Registry, name: str, params: Mapping[str, object]) -> TaskType:
    """Returns the task with its params; raises TaskProblem: `params.message: Field required`."""
    task_type = registry.get(name)
    if task_type is None:
        raise TaskProblem("UnknownTask", explain_unknown(name, registry))
    try:
        return task_type.model_validate(params)
    except ValidationError as error:
        described = describe_validation(error, "params", raw=params, model=task_type)
        raise TaskProblem("InvalidInput", f"task {name}: {described}") from error


def explain_unknown(name: str, known: Iterable[str]) -> str:
    """Says that no task has this name, and which ones are near."""
    names = sorted(known)
    nearest = get_close_matches(name, names, n=MAX_NEAREST) or [other for other in names if _is_sibling(name, other)]
    if nearest:
        return f"no task is called {name!r}; near are {', '.join(nearest[:MAX_NEAREST])}"
    return f"no task is called {name!r}; there are {', '.join(names) or 'none'}"


def _is_sibling(name: str, other: str) -> bool:
    return "." in name and other.startswith(f"{name.split('.', maxsplit=1)[0]}.")
