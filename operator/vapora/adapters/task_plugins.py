"""Task types of other packages: entry points of the group `vapora.tasks`, loaded once at start."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, entry_points

from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.tasks.registry import Registry, TaskType

GROUP = "vapora.tasks"
_log = logging.getLogger(__name__)


def load_task_types() -> tuple[Registry, tuple[str, ...]]:
    """Returns the registry, and a sentence for each plug-in that cannot be used; those are logged, never fatal.

    The operator's own types cannot be replaced; of two plug-ins of one name the first in alphabetical order is taken.
    """
    registry: dict[str, type[TaskType]] = dict(BUILT_IN)
    problems = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        loaded = _load(point)
        if isinstance(loaded, type) and registry.setdefault(point.name, loaded) is not loaded:
            loaded = "there is another of this name"
        if isinstance(loaded, str):
            problems.append(f"task type {point.name} ({_name_source(point)}) is not used: {loaded}")
            _log.error(
                "a task type is not used",
                extra={"task_type": point.name, "source": _name_source(point), "problem": loaded},
            )
    return registry, tuple(problems)


def _load(point: EntryPoint) -> type[TaskType] | str:
    """Returns the type, or what is wrong with it."""
    try:
        loaded = point.load()
    except Exception as problem:  # noqa: BLE001  # importing a stranger's module may raise anything
        return f"{type(problem).__name__}: {problem}"
    if not isinstance(loaded, type) or not issubclass(loaded, TaskType):
        return f"{point.value} is no subclass of vapora.core.tasks.registry.TaskType"
    missing = sorted(getattr(loaded, "__abstractmethods__", ()))
    return f"{point.value} lacks {' and '.join(missing)}" if missing else loaded


def _name_source(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
