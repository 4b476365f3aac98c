"""Days of executions: what is kept of many when they are let go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta

from vapora.core.learning.execution import CANCELLED, DailyAggregate, Execution

_Key = tuple[date, str, str, str]


def sum_days(executions: Iterable[Execution]) -> list[DailyAggregate]:
    """Returns the days of executions, by the UTC day of their end."""
    return merge_days(map(_build_day, executions))


def merge_days(days: Iterable[DailyAggregate]) -> list[DailyAggregate]:
    """Adds up those of the same day, namespace, pool and task type; returns them in that order."""
    found: dict[_Key, DailyAggregate] = {}
    for day in days:
        key = (day.day, day.namespace, day.pool, day.task_type)
        found[key] = _add(found[key], day) if key in found else day
    return [day for _, day in sorted(found.items())]


def _build_day(execution: Execution) -> DailyAggregate:
    is_cancelled, quality = execution.outcome == CANCELLED, execution.quality
    return DailyAggregate(
        day=execution.finished.astimezone(UTC).date(),
        namespace=execution.namespace,
        pool=execution.pool,
        task_type=execution.task_type,
        executions=int(not is_cancelled),
        successes=int(execution.is_success),
        cancelled=int(is_cancelled),
        quality_sum=quality or 0.0,
        quality_count=int(quality is not None),
        latency=execution.latency,
        tokens=execution.tokens,
        cost_cents=execution.cost_cents,
    )


def _add(one: DailyAggregate, other: DailyAggregate) -> DailyAggregate:
    return replace(
        one,
        executions=one.executions + other.executions,
        successes=one.successes + other.successes,
        cancelled=one.cancelled + other.cancelled,
        quality_sum=one.quality_sum + other.quality_sum,
        quality_count=one.quality_count + other.quality_count,
        latency=one.latency + other.latency,
        tokens=one.tokens + other.tokens,
        cost_cents=one.cost_cents + other.cost_cents,
    )


@dataclass(frozen=True, slots=True)
class Sum:
    """Is what a namespace, a pool or a task type did and cost; `executions` counts what succeeded or failed."""

    name: str
    executions: int
    successes: int
    tokens: int
    cost_cents: int
    latency: timedelta


def sum_by(field: str, days: Iterable[DailyAggregate]) -> list[Sum]:
    """Adds days up by namespace, pool or task_type; the most expensive comes first."""
    found: dict[str, Sum] = {}
    for day in days:
        name = str(getattr(day, field))
        before = found.get(name) or Sum(name, 0, 0, 0, 0, timedelta(0))
        found[name] = Sum(
            name=name,
            executions=before.executions + day.executions,
            successes=before.successes + day.successes,
            tokens=before.tokens + day.tokens,
            cost_cents=before.cost_cents + day.cost_cents,
            latency=before.latency + day.latency,
        )
    return sorted(found.values(), key=lambda row: (-row.cost_cents, -row.executions, row.name))
