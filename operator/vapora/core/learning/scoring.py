"""How good a pool is at a kind of work: what it did lately counts most, and little history gives little confidence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from vapora.core.learning.execution import CANCELLED, Execution

UNKNOWN_SHARE = 0.5  # of a pool without history
FULL_CONFIDENCE = 20  # executions
_WEIGHT_BASE, _WEIGHT_EXPERTISE, _WEIGHT_CONFIDENCE = 0.3, 0.5, 0.2
_DAY_SECONDS = 86_400.0

Observation = tuple[float, bool]
"""An age in days, and whether it was a success."""


@dataclass(frozen=True, slots=True)
class Recency:
    """Says how fast the past fades: by half-life, by e (adr014), or not at all."""

    mode: Literal["halfLife", "adr014", "allTime"] = "halfLife"
    half_life_days: float = 7.0
    recent_window_days: float = 7.0
    recent_multiplier: float = 3.0


@dataclass(frozen=True, slots=True)
class Score:
    """Is a pool's score with its three parts and the number of executions behind it."""

    total: float
    base: float
    expertise: float
    confidence: float
    executions: int


def weigh_recency(days: float, recency: Recency) -> float:
    """Returns the weight of an execution of that age; one of the future is of today."""
    if recency.mode == "allTime":
        return 1.0
    if days <= 0.0:
        return recency.recent_multiplier
    age = -days / recency.half_life_days
    faded = math.exp2(age) if recency.mode == "halfLife" else math.exp(age)
    return faded * recency.recent_multiplier if days <= recency.recent_window_days else faded


def compute_expertise(observations: Iterable[Observation], recency: Recency) -> float:
    """Returns the weighted share of successes, 0.5 without history."""
    total = good = 0.0
    for days, is_success in observations:
        weight = weigh_recency(days, recency)
        total += weight
        good += weight * is_success
    return good / total if total else UNKNOWN_SHARE


def compute_success_rate(outcomes: Sequence[bool]) -> float:
    """Returns the plain share of successes, 0.5 without history."""
    return sum(outcomes) / len(outcomes) if outcomes else UNKNOWN_SHARE


def compute_confidence(executions: int) -> float:
    """Returns how far that many executions can be trusted, 0 to 1."""
    return min(1.0, executions / FULL_CONFIDENCE)


def compute_load(in_flight: int, max_concurrent: int, replicas: int) -> float:
    """Returns the share of a pool's places that is taken; a pool without places is more than full."""
    places = max_concurrent * replicas
    return in_flight / places if places > 0 else 1.0 + in_flight


def compute_score(success_rate: float, load: float, expertise: float, executions: int) -> Score:
    """Returns 0.3 * successRate / (1 + load) + 0.5 * expertise + 0.2 * confidence."""
    base, confidence = success_rate / (1.0 + load), compute_confidence(executions)
    total = _WEIGHT_BASE * base + _WEIGHT_EXPERTISE * expertise + _WEIGHT_CONFIDENCE * confidence
    return Score(total, base, expertise, confidence, executions)


def observe_executions(executions: Iterable[Execution], now: datetime) -> list[Observation]:
    """Returns what executions say of their pool; one that was cancelled says nothing."""
    return [
        ((now - execution.finished).total_seconds() / _DAY_SECONDS, execution.is_success)
        for execution in executions
        if execution.outcome != CANCELLED
    ]
