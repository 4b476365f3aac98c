"""Types of other packages: entry points of the groups `vapora.tasks` and `vapora.providers`, loaded once at start."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from vapora.core.provider.builtin import BUILT_IN as PROVIDER_TYPES
from vapora.core.provider.types import ProviderType, ProviderTypes
from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.tasks.provisioning.infrastructure.tasks import build_tasks
from vapora.core.tasks.registry import Registry, TaskType

TASKS, PROVIDERS = "vapora.tasks", "vapora.providers"
_log = logging.getLogger(__name__)
T = TypeVar("T")


def load_task_types() -> tuple[Registry, tuple[str, ...]]:
    """Returns the registry, and a sentence for each plug-in that cannot be used; those are logged, never fatal.

    The operator's own types cannot be replaced; of two plug-ins of one name the first in alphabetical order is taken.
    """
    registry, problems = _load_all(TASKS, TaskType, BUILT_IN)  # type: ignore[type-abstract]  # only compared with
    providers, _ = load_provider_types()
    return (registry if providers == PROVIDER_TYPES else {**registry, **build_tasks(providers)}), problems


def load_provider_types() -> tuple[ProviderTypes, tuple[str, ...]]:
    """Returns the types of Providers, and a sentence for each plug-in that cannot be used."""
    return _load_all(PROVIDERS, ProviderType, PROVIDER_TYPES)  # type: ignore[type-abstract]  # only compared with


def _load_all(group: str, base: type[T], built_in: Mapping[str, type[T]]) -> tuple[dict[str, type[T]], tuple[str, ...]]:
    registry, problems = dict(built_in), []
    what = f"{group.removeprefix('vapora.').removesuffix('s')} type"
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        loaded = _load(point, base)
        if isinstance(loaded, type) and registry.setdefault(point.name, loaded) is not loaded:
            loaded = "there is another of this name"
        if isinstance(loaded, str):
            problems.append(f"{what} {point.name} ({_name_source(point)}) is not used: {loaded}")
            extra = {"type": point.name, "source": _name_source(point), "problem": loaded}
            _log.error("a %s is not used", what, extra=extra)
    return registry, tuple(problems)


def _load(point: EntryPoint, base: type[T]) -> type[T] | str:
    """Returns the type, or what is wrong with it."""
    try:
        loaded = point.load()
    except Exception as problem:  # noqa: BLE001  # importing a stranger's module may raise anything
        return f"{type(problem).__name__}: {problem}"
    if not isinstance(loaded, type) or not issubclass(loaded, base):
        return f"{point.value} is no subclass of {base.__module__}.{base.__name__}"
    missing = sorted(getattr(loaded, "__abstractmethods__", ()))
    return f"{point.value} lacks {' and '.join(missing)}" if missing else loaded


def _name_source(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
