"""Which pool gets a task: of those that can do it and may, the one that has proven best at it, and why that one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from vapora.api.agentpool import Budget, ModelProvider
from vapora.core.learning.profile import Learned
from vapora.core.learning.ranking import Candidate, Ranked, rank_agents_with_recency
from vapora.core.learning.scoring import Score, compute_load

_DIGITS = 4  # of a score in a status

Basis = Literal["only", "score", "exploration", "load", "unread"]


@dataclass(frozen=True, slots=True)
class PoolView:
    """Is a pool as an assignment sees it.

    `in_flight` counts waiting and running tasks, None where it is unknown. `budget_problem` says why its budget lets it
    take no task now.
    """

    namespace: str
    name: str
    role: str
    capabilities: frozenset[str]
    replicas: int
    max_concurrent: int
    in_flight: int | None
    is_ready: bool = True
    is_paused: bool = False
    budget_problem: str = ""
    budget: Budget | None = None
    providers: tuple[ModelProvider, ...] = ()

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
class Asking:
    """Is who asks: `key` identifies the try, and with it whether it explores.

    A critical task never explores. `authors` names, by pool, the step whose work the task must not judge itself.
    """

    key: str = ""
    is_critical: bool = False
    authors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Is the choice of a pool by name, explained; `score` is None where load decided.

    `basis` says what decided, and is not kept: that there was but one pool, the score, the wish to explore, or the
    load, for want of history or because it could not be read. `lacks` has the pools, by name, whose history at the task
    type was not looked up and might change the choice.
    """

    pool: str
    reason: str
    score: Score | None = None
    runner_up: str | None = None
    runner_up_score: float | None = None
    lacks: tuple[str, ...] = ()
    basis: Basis = field(default="load", compare=False)


@dataclass(frozen=True, slots=True)
class NoPool:
    """Says why no pool can take the task, and what would change that."""

    reason: str
    pool: None = None


_ANYBODY = Asking()


def assign(
    request: Request,
    pools: Sequence[PoolView],
    assigned: Mapping[str, int] | None = None,
    *,
    learned: Learned | None = None,
    asking: Asking = _ANYBODY,
) -> Assignment | NoPool:
    """Picks the pool with the highest score among those that can and may do the task; without history the least loaded.

    `assigned` counts, by pool name, tasks given since the pools were read. A full pool is passed over while another has
    a free place. Now and then, by `learned.epsilon`, the pool is tried of which least is known.
    """
    able = [pool for pool in pools if can_do(request, pool)]
    if not able:
        return NoPool(f"no pool {_describe(request)}; {_list_pools(pools)}")
    hindrances = {pool.name: _find_hindrance(pool, asking) for pool in able}
    allowed = [pool for pool in able if not hindrances[pool.name]]
    if not allowed:
        return NoPool("; ".join(sorted(f"pool {name} {why}" for name, why in hindrances.items())))
    candidates = [Candidate(pool.name, _read_load(pool, (assigned or {}).get(pool.name, 0))) for pool in allowed]
    free = [candidate for candidate in candidates if not _is_full(candidate)]
    if learned is not None and len(free or candidates) > 1 and request.pool is None:
        return _choose_learned(request, free or candidates, learned, asking)
    return _choose_least_loaded(request, free or candidates, is_full=not free)


def can_do(request: Request, pool: PoolView) -> bool:
    """Says whether a pool is one that the task may go to, were it free."""
    if request.pool is not None and pool.name != request.pool:
        return False
    if request.role is not None and pool.role != request.role:
        return False
    return request.capabilities <= pool.capabilities


def explores(key: str, epsilon: float) -> bool:
    """Says whether a try explores: of very many keys the share `epsilon` does, and each always or never."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") < epsilon * 2**64


def _choose_learned(request: Request, candidates: Sequence[Candidate], learned: Learned, asking: Asking) -> Assignment:
    profiles, task_type = learned.profiles, request.task_type
    names = [candidate.name for candidate in candidates]
    lacks = tuple(name for name in names if name not in profiles or task_type not in profiles[name].expertise)
    ranked = rank_agents_with_recency(candidates, task_type, profiles)
    if lacks or not any(rank.is_known for rank in ranked):
        found = _choose_least_loaded(request, candidates, is_full=all(map(_is_full, candidates)))
        why = "the history cannot be read" if lacks else f"nothing is known yet of {task_type}"
        return replace(found, reason=f"{found.reason}; {why}", lacks=lacks, basis="unread" if lacks else "load")
    best, runner_up = ranked[0], ranked[1]
    if not asking.is_critical and explores(asking.key, learned.epsilon):
        unknown = min(ranked, key=lambda rank: (rank.expertise.evidence, rank.order))
        if unknown is not best:
            best, runner_up = unknown, best
    is_trial = best is not ranked[0]
    return Assignment(
        pool=best.name,
        reason=_explain_score(task_type, best, runner_up, is_trial=is_trial),
        score=_round(best.score),
        runner_up=runner_up.name,
        runner_up_score=round(runner_up.score.total, _DIGITS),
        basis="exploration" if is_trial else "score",
    )


def _choose_least_loaded(request: Request, candidates: Sequence[Candidate], *, is_full: bool) -> Assignment:
    ranked = sorted(candidates, key=_order_by_load)
    best, runner_up = ranked[0], ranked[1] if len(ranked) > 1 else None
    reason = _explain_load(request, best, runner_up, is_full=is_full)
    if runner_up is None:
        return Assignment(best.name, reason, basis="only")
    return Assignment(best.name, reason, runner_up=runner_up.name)


def _is_full(candidate: Candidate) -> bool:
    return candidate.load is not None and candidate.load >= 1.0


def _order_by_load(candidate: Candidate) -> tuple[bool, float, str]:
    """A load that cannot be read comes last: it is not zero."""
    return (candidate.load is None, candidate.load or 0.0, candidate.name)


def _read_load(pool: PoolView, given: int) -> float | None:
    if pool.in_flight is None:
        return None
    return compute_load(pool.in_flight + given, pool.max_concurrent, pool.replicas)


def _find_hindrance(pool: PoolView, asking: Asking) -> str:
    """Says why a pool that could do a task may not."""
    if pool.is_paused:
        return "is paused"
    if not pool.is_ready:
        return "is not ready"
    if pool.name in asking.authors:
        return f"did step {asking.authors[pool.name]}, of which this one is independent"
    return pool.budget_problem


def _round(score: Score) -> Score:
    return Score(
        total=round(score.total, _DIGITS),
        base=round(score.base, _DIGITS),
        expertise=round(score.expertise, _DIGITS),
        confidence=round(score.confidence, _DIGITS),
        executions=score.executions,
    )


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


def _explain_score(task_type: str, best: Ranked, other: Ranked, *, is_trial: bool) -> str:
    score = best.score
    known = f"{score.executions} execution{'' if score.executions == 1 else 's'}"
    if is_trial:
        return (
            f"{best.name} is tried although {other.name} scores more at {task_type}, {other.score.total:.2f} against "
            f"{score.total:.2f}: least is known of it, from {known}"
        )
    parts = f"base {score.base:.2f}, expertise {score.expertise:.2f}, confidence {score.confidence:.2f} from {known}"
    load = "" if best.candidate.load is not None else "; its load is unknown and counts as full"
    return (
        f"{best.name} scores most at {task_type}, {score.total:.2f}: {parts}{load}; "
        f"next {other.name} with {other.score.total:.2f}"
    )


def _explain_load(request: Request, best: Candidate, runner_up: Candidate | None, *, is_full: bool) -> str:
    load = "its load is unknown" if best.load is None else f"load {best.load:.2f}"
    if request.pool is not None:
        return f"{best.name} is the pool the step names; {load}"
    if runner_up is None:
        return f"{best.name} is the only pool that {_describe(request)} and is free; {load}"
    if is_full:
        return f"{best.name} has the shortest way to a free place, as all are full; {load}"
    other = "unknown" if runner_up.load is None else f"{runner_up.load:.2f}"
    if best.load == runner_up.load:
        return f"{best.name} comes first by name among the least loaded; {load}, as {runner_up.name}"
    return f"{best.name} is the least loaded; {load}, next {runner_up.name} with {other}"
