"""Which pool gets a task: one that can do it and may, with the most room, and why that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vapora.core.learning.scoring import Score, compute_load


@dataclass(frozen=True, slots=True)
class PoolView:
    """Is a pool as an assignment sees it; `in_flight` counts waiting and running tasks, None where it is unknown."""

    namespace: str
    name: str
    role: str
    capabilities: frozenset[str]
    replicas: int
    max_concurrent: int
    in_flight: int | None
    is_ready: bool = True
    is_paused: bool = False

    @property
    def identity(self) -> str:
        """Is `namespace/name`, under which the pool learns."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Request:
    """Is what a task asks for: one pool by name, any of a role, or any with all of some capabilities."""

    task_type: str
    role: str | None = None
    pool: str | None = None
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Assignment:
    """Is the choice of a pool by name, explained; `score` is None where load decided."""

    pool: str
    reason: str
    score: Score | None = None
    runner_up: str | None = None


@dataclass(frozen=True, slots=True)
class NoPool:
    """Says why no pool can take the task, and what would change that."""

    reason: str
    pool: None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    pool: PoolView
    load: float | None

    @property
    def is_full(self) -> bool:
        return self.load is not None and self.load >= 1.0

    @property
    def order(self) -> tuple[bool, float, str]:
        """A load that cannot be read comes last: it is not zero."""
        return (self.load is None, self.load or 0.0, self.pool.name)


def assign(
    request: Request, pools: Sequence[PoolView], assigned: Mapping[str, int] | None = None
) -> Assignment | NoPool:
    """Picks the least loaded pool that can and may do the task; ties go by name.

    `assigned` counts, by pool name, tasks given since the pools were read.
    """
    able = [pool for pool in pools if can_do(request, pool)]
    if not able:
        return NoPool(f"no pool {_describe(request)}; {_list_pools(pools)}")
    allowed = [pool for pool in able if pool.is_ready and not pool.is_paused]
    if not allowed:
        return NoPool("; ".join(sorted(f"pool {pool.name} is {_say_hindrance(pool)}" for pool in able)))
    candidates = [_Candidate(pool, _read_load(pool, (assigned or {}).get(pool.name, 0))) for pool in allowed]
    free = [candidate for candidate in candidates if not candidate.is_full]
    ranked = sorted(free or candidates, key=lambda candidate: candidate.order)
    best, runner_up = ranked[0], ranked[1] if len(ranked) > 1 else None
    return Assignment(
        pool=best.pool.name,
        reason=_explain(request, best, runner_up, is_full=not free),
        runner_up=runner_up.pool.name if runner_up else None,
    )


def can_do(request: Request, pool: PoolView) -> bool:
    """Says whether a pool is one that the task may go to, were it free."""
    if request.pool is not None and pool.name != request.pool:
        return False
    if request.role is not None and pool.role != request.role:
        return False
    return request.capabilities <= pool.capabilities


def _read_load(pool: PoolView, given: int) -> float | None:
    if pool.in_flight is None:
        return None
    return compute_load(pool.in_flight + given, pool.max_concurrent, pool.replicas)


def _describe(request: Request) -> str:
    if request.pool is not None:
        return f"is named {request.pool}"
    wanted = [f"has the role {request.role}"] if request.role is not None else []
    if request.capabilities:
        wanted.append(f"has the capabilities {', '.join(sorted(request.capabilities))}")
    return " and ".join(wanted) or "is there"


def _list_pools(pools: Sequence[PoolView]) -> str:
    names = sorted(f"{pool.name} ({pool.role})" for pool in pools)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"there are {shown}" if names else "there is none in the namespace"


def _say_hindrance(pool: PoolView) -> str:
    return "paused" if pool.is_paused else "not ready"


def _explain(request: Request, best: _Candidate, runner_up: _Candidate | None, *, is_full: bool) -> str:
    load = "its load is unknown" if best.load is None else f"load {best.load:.2f}"
    if request.pool is not None:
        return f"{best.pool.name} is the pool the step names; {load}"
    if runner_up is None:
        return f"{best.pool.name} is the only pool that {_describe(request)} and is free; {load}"
    if is_full:
        return f"{best.pool.name} has the shortest way to a free place, as all are full; {load}"
    other = "unknown" if runner_up.load is None else f"{runner_up.load:.2f}"
    if best.load == runner_up.load:
        return f"{best.pool.name} comes first by name among the least loaded; {load}, as {runner_up.pool.name}"
    return f"{best.pool.name} is the least loaded; {load}, next {runner_up.pool.name} with {other}"
