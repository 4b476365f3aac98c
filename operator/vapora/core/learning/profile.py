"""What is known of a pool: how good it is at each kind of work, from what it did last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import fmean

from vapora.core.learning.execution import CANCELLED, Execution
from vapora.core.learning.scoring import (
    UNKNOWN_SHARE,
    Recency,
    compute_confidence,
    compute_success_rate,
    weigh_recency,
)
from vapora.core.learning.trend import Trend, compute_trend, count_days
from vapora.core.views import number, rows, text

LIMIT = 100  # executions that count, of a task type and of all
SHOWN_TYPES = 10
_DAY_SECONDS = 86_400.0
_STABLE = Trend(None, "Stable")
_DIGITS = 4  # in a status


@dataclass(frozen=True, slots=True)
class LearningRules:
    """Says how the operator learns: executions that count, how they fade, and the share of tasks that explore."""

    limit: int = LIMIT
    recency: Recency = field(default_factory=Recency)
    epsilon: float = 0.05


@dataclass(frozen=True, slots=True)
class Past:
    """Is what learning keeps of an execution."""

    id: str
    finished: datetime
    is_success: bool
    seconds: float
    cost_cents: int
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class TaskTypeExpertise:
    """Is how good a pool is at a kind of work.

    `executions` are those that count, `success_rate` is their plain share of successes, `expertise` the one weighted by
    recency, `evidence` the sum of those weights; `seconds` and `cost_cents` are means, 0 without executions, `tokens`
    the mean of those that tell it, `dearest_cents` what the dearest has cost, None where that is not known.
    """

    task_type: str
    executions: int = 0
    success_rate: float = UNKNOWN_SHARE
    expertise: float = UNKNOWN_SHARE
    evidence: float = 0.0
    seconds: float = 0.0
    cost_cents: float = 0.0
    tokens: float = 0.0
    dearest_cents: int | None = None
    trend: Trend = _STABLE

    @property
    def confidence(self) -> float:
        """Is how far it can be trusted, 0 to 1."""
        return compute_confidence(self.executions)


@dataclass(frozen=True, slots=True)
class LearningProfile:
    """Is what is known of a pool, `namespace/name`; a task type that is not in `expertise` was not looked up.

    `success_rate` is the plain share over its last `executions` of all types; `dearest_cents` is what the dearest of
    those has cost, None where that is not known.
    """

    pool: str
    executions: int = 0
    success_rate: float = UNKNOWN_SHARE
    dearest_cents: int | None = None
    expertise: Mapping[str, TaskTypeExpertise] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Learned:
    """Is what an assignment knows of the past: profiles by the names of pools, and how often it explores."""

    profiles: Mapping[str, LearningProfile]
    epsilon: float


def create_learning_profile(pool: str) -> LearningProfile:
    """Returns the profile of a pool of which nothing is known."""
    return LearningProfile(pool)


def add_task_type_expertise(profile: LearningProfile, expertise: TaskTypeExpertise) -> LearningProfile:
    """Returns the profile with what is known of one task type, instead of what was known of it before."""
    return replace(profile, expertise={**profile.expertise, expertise.task_type: expertise})


def keep_past(execution: Execution) -> Past | None:
    """Returns what counts of an execution; None of one that was cancelled, which says nothing of its pool."""
    if execution.outcome == CANCELLED:
        return None
    seconds = execution.latency.total_seconds()
    return Past(execution.id, execution.finished, execution.is_success, seconds, execution.cost_cents, execution.tokens)


def find_dearest(tries: Sequence[Past | Execution]) -> int | None:
    """Returns what the dearest try has cost; None where all failed for nothing, which tells nothing of costs."""
    most = max((row.cost_cents for row in tries), default=0)
    return most if most or any(row.is_success for row in tries) else None


def build_expertise(
    task_type: str, past: Sequence[Past], now: datetime, recency: Recency, trend: Trend = _STABLE
) -> TaskTypeExpertise:
    """Builds what a pool's latest executions of a task type say."""
    if not past:
        return TaskTypeExpertise(task_type)
    total = good = 0.0
    for row in past:
        weight = weigh_recency((now - row.finished).total_seconds() / _DAY_SECONDS, recency)
        total += weight
        good += weight * row.is_success
    return TaskTypeExpertise(
        task_type=task_type,
        executions=len(past),
        success_rate=sum(row.is_success for row in past) / len(past),
        expertise=good / total if total else UNKNOWN_SHARE,
        evidence=total,
        seconds=sum(row.seconds for row in past) / len(past),
        cost_cents=sum(row.cost_cents for row in past) / len(past),
        tokens=fmean(told) if (told := [row.tokens for row in past if row.tokens]) else 0.0,
        dearest_cents=find_dearest(past),
        trend=trend,
    )


def build_profile(
    pool: str, executions: Iterable[Execution], now: datetime, recency: Recency | None = None
) -> LearningProfile:
    """Builds a whole profile from a pool's latest executions of all types."""
    by_type: dict[str, list[Execution]] = {}
    known = [execution for execution in executions if execution.outcome != CANCELLED]
    for execution in known:
        by_type.setdefault(execution.task_type, []).append(execution)
    profile = set_success_rate(create_learning_profile(pool), [execution.is_success for execution in known])
    profile = replace(profile, dearest_cents=find_dearest(known))
    for task_type, found in by_type.items():
        past = [kept for row in found if (kept := keep_past(row)) is not None]
        trend = compute_trend(count_days(found, now))
        expertise = build_expertise(task_type, past, now, recency or Recency(), trend)
        profile = add_task_type_expertise(profile, expertise)
    return profile


def set_success_rate(profile: LearningProfile, outcomes: Sequence[bool]) -> LearningProfile:
    """Returns the profile with the share of successes among the pool's latest executions of all types."""
    return replace(profile, executions=len(outcomes), success_rate=compute_success_rate(outcomes))


def update_profile_with_learning(status: Mapping[str, object], profile: LearningProfile) -> dict[str, object]:
    """Returns the status of an AgentPool with what was learned: the task types with the most executions."""
    known = [expertise for expertise in profile.expertise.values() if expertise.executions]
    if not known:
        return dict(status)
    known.sort(key=lambda expertise: (-expertise.executions, -expertise.evidence, expertise.task_type))
    rows = [describe_expertise(expertise) for expertise in known[:SHOWN_TYPES]]
    return {**status, "successRate": round(profile.success_rate, _DIGITS), "expertise": rows}


def read_profile(pool: str, status: Mapping[str, object]) -> LearningProfile:
    """Reads from the status of an AgentPool what it shows; the number of executions of all types is that shown."""
    profile = create_learning_profile(pool)
    for row in rows(status, "expertise"):
        profile = add_task_type_expertise(
            profile,
            TaskTypeExpertise(
                task_type=text(row, "taskType"),
                executions=number(row, "executions"),
                success_rate=_read_share(row, "recentSuccessRate"),
                expertise=_read_share(row, "expertise"),
            ),
        )
    executions = sum(known.executions for known in profile.expertise.values())
    return replace(profile, executions=executions, success_rate=_read_share(status, "successRate"))


def _read_share(row: Mapping[str, object], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else UNKNOWN_SHARE


def describe_expertise(expertise: TaskTypeExpertise) -> dict[str, object]:
    """Returns a row of `status.expertise`."""
    return {
        "taskType": expertise.task_type,
        "executions": expertise.executions,
        "recentSuccessRate": round(expertise.success_rate, _DIGITS),
        "expertise": round(expertise.expertise, _DIGITS),
        "confidence": round(expertise.confidence, _DIGITS),
        "trend": expertise.trend.direction,
    }
