"""The order of pools for a kind of work: by score, then the cheaper, the less loaded, the name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vapora.core.learning.profile import LearningProfile, TaskTypeExpertise, create_learning_profile
from vapora.core.learning.scoring import Score, compute_score

UNKNOWN_LOAD = 1.0  # that of a full pool: what cannot be read is not zero
_DIGITS = 9  # beyond which two scores are the same

Profiles = Mapping[str, LearningProfile]
"""Profiles by the names of pools."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Is a pool that may take a task; `load` is the share of its places that is taken, None where it is unknown."""

    name: str
    load: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Ranked:
    """Is a candidate with its score and what that rests on."""

    candidate: Candidate
    score: Score
    expertise: TaskTypeExpertise
    is_known: bool  # there are executions of it, of whatever type

    @property
    def name(self) -> str:
        """Is the pool's name."""
        return self.candidate.name

    @property
    def order(self) -> tuple[float, float, float, str]:
        """Is what it is sorted by, the best first; a cost that nobody knows comes after those that are known."""
        cost = self.expertise.cost_cents if self.expertise.executions else math.inf
        return (-round(self.score.total, _DIGITS), cost, _read_load(self.candidate), self.name)


def rank_agents(candidates: Sequence[Candidate], task_type: str, profiles: Profiles) -> list[Ranked]:
    """Ranks by the plain share of successes at the task type, whenever they were; the best comes first."""
    return _rank(candidates, task_type, profiles, lambda expertise: expertise.success_rate)


def rank_agents_with_recency(candidates: Sequence[Candidate], task_type: str, profiles: Profiles) -> list[Ranked]:
    """Ranks by expertise, in which what was done lately counts most; the best comes first."""
    return _rank(candidates, task_type, profiles, lambda expertise: expertise.expertise)


def select_best(candidates: Sequence[Candidate], task_type: str, profiles: Profiles) -> Ranked | None:
    """Returns the best by recency; None where there is no candidate."""
    return next(iter(rank_agents_with_recency(candidates, task_type, profiles)), None)


def _rank(
    candidates: Sequence[Candidate],
    task_type: str,
    profiles: Profiles,
    judge: Callable[[TaskTypeExpertise], float],
) -> list[Ranked]:
    unknown = TaskTypeExpertise(task_type)
    ranked = []
    for candidate in candidates:
        profile = profiles.get(candidate.name) or create_learning_profile(candidate.name)
        known = profile.expertise.get(task_type, unknown)
        score = compute_score(profile.success_rate, _read_load(candidate), judge(known), known.executions)
        ranked.append(Ranked(candidate, score, known, is_known=bool(profile.executions or known.executions)))
    return sorted(ranked, key=lambda rank: rank.order)


def _read_load(candidate: Candidate) -> float:
    return UNKNOWN_LOAD if candidate.load is None else candidate.load
