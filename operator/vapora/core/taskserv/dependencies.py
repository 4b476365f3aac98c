"""What a service needs of others: what it waits for, what it has lost, what it excludes, circles that never start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vapora.api.taskserv import Dependency
from vapora.core.plan import Key
from vapora.core.taskserv.versions import find_mismatch

HEALTHY = "Healthy"
NOT_THERE = "not there"
_SERVING = frozenset({HEALTHY, "Deploying", "RollingBack"})


@dataclass(frozen=True, slots=True)
class Provider:
    """Is the service that is needed, as its status says; `is_exposed` beyond its namespace.

    A plain Service is Healthy when it has an endpoint that is ready; it has no version.
    """

    phase: str
    is_ready: bool
    is_exposed: bool
    version: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """Is one dependency and who serves it; None where nobody of that name is there."""

    dependency: Dependency
    provider: Provider | None
    is_foreign: bool  # the service stands in another namespace


def find_missing(needs: Iterable[Need]) -> tuple[tuple[str, str], ...]:
    """Returns the required services that a first deploy waits for, each with what it is waited for."""
    return tuple(
        (_name(need), missing) for need in needs if need.dependency.required and (missing := _find_missing(need))
    )


def find_lost(needs: Iterable[Need]) -> tuple[tuple[str, str], ...]:
    """Returns the required services that do not serve any more, each with its phase.

    One that rolls out a new revision is not lost: it says Degraded itself where that fails.
    """
    return tuple((_name(need), lost) for need in needs if need.dependency.required and (lost := _find_lost(need)))


def find_cycle(start: Key, find_needed: Callable[[Key], Iterable[Key]]) -> tuple[Key, ...]:
    """Returns the shortest way from a service over what it requires back to itself; empty where there is none."""
    ways: list[tuple[Key, ...]] = [(start,)]
    seen = set()
    for way in ways:
        for needed in find_needed(way[-1]):
            if needed == start:
                return (*way, start)
            if needed not in seen:
                seen.add(needed)
                ways.append((*way, needed))
    return ()


def describe_cycle(cycle: tuple[Key, ...]) -> str:
    """Writes a circle as its path, with namespaces where there are several."""
    is_one = len({key.namespace for key in cycle}) == 1
    return " -> ".join(key.name if is_one else f"{key.namespace}/{key.name}" for key in cycle)


def _find_missing(need: Need) -> str:
    provider = need.provider
    if provider is None:
        return NOT_THERE
    if need.is_foreign and not provider.is_exposed:
        return "private to its namespace: its exposure must be internal"
    is_met = provider.is_ready if need.dependency.condition == "Ready" else provider.phase == HEALTHY
    return _find_mismatch(need, provider) if is_met else provider.phase or "Pending"


def _find_lost(need: Need) -> str:
    provider = need.provider
    if provider is None:
        return NOT_THERE
    return _find_mismatch(need, provider) if provider.phase in _SERVING else provider.phase or "Pending"


def _find_mismatch(need: Need, provider: Provider) -> str:
    condition = need.dependency.version
    return find_mismatch(condition, provider.version) if condition else ""


def _name(need: Need) -> str:
    dependency = need.dependency
    return f"{dependency.namespace}/{dependency.name}" if need.is_foreign else dependency.name
