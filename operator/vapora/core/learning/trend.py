"""Whether a pool gets better or worse at a kind of work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, get_args

from vapora.core.learning.execution import CANCELLED, DailyAggregate, Execution

WINDOW_DAYS = 14
_MIN_DAYS = 3
_SLOPE = 0.01  # success rate a day

Direction = Literal["Improving", "Stable", "Declining"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
Day = tuple[int, float]
"""The number of a day, counted from any day, and its success rate."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Is the slope of the daily success rate, None where there are too few days to tell."""

    slope_per_day: float | None
    direction: Direction


def compute_trend(days: Sequence[Day]) -> Trend:
    """Fits a line through the days by least squares."""
    if len(days) < _MIN_DAYS:
        return Trend(None, "Stable")
    middle = sum(number for number, _ in days) / len(days)
    mean = sum(rate for _, rate in days) / len(days)
    spread = sum((number - middle) ** 2 for number, _ in days)
    if not spread:
        return Trend(None, "Stable")
    slope = sum((number - middle) * (rate - mean) for number, rate in days) / spread
    return Trend(slope, "Improving" if slope > _SLOPE else "Declining" if slope < -_SLOPE else "Stable")


def build_learning_curve(windows: Iterable[DailyAggregate]) -> dict[str, list[Day]]:
    """Returns by task type the success rate of each day with executions, whatever the namespace; the oldest first."""
    counts: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    for window in windows:
        if window.executions:
            days, day = counts[window.task_type], window.day.toordinal()
            successes, executions = days.get(day, (0, 0))
            days[day] = (successes + window.successes, executions + window.executions)
    return {
        task_type: [(day, successes / executions) for day, (successes, executions) in sorted(days.items())]
        for task_type, days in counts.items()
    }


def count_days(executions: Iterable[Execution], now: datetime) -> list[Day]:
    """Returns the success rate of each UTC day with executions among the last 14, today being the last."""
    today = now.astimezone(UTC).date().toordinal()
    outcomes: dict[int, list[bool]] = defaultdict(list)
    for execution in executions:
        day = min(execution.finished.astimezone(UTC).date().toordinal(), today)
        if execution.outcome != CANCELLED and today - day < WINDOW_DAYS:
            outcomes[day].append(execution.is_success)
    return [(day, sum(found) / len(found)) for day, found in sorted(outcomes.items())]


@dataclass(frozen=True, slots=True)
class PoolTrend:
    """Is how a pool's success at a task type changed over the days on which it had any."""

    pool: str
    direction: Direction
    slope_per_day: float | None
    days: int
    executions: int
    successes: int


def find_trends(aggregates: Iterable[DailyAggregate], today: date) -> list[PoolTrend]:
    """Returns the trend of each pool over the last 14 days, the steepest decline first."""
    by_pool: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    for row in aggregates:
        day = row.day.toordinal()
        if row.pool and row.executions and today.toordinal() - day < WINDOW_DAYS:
            executions, successes = by_pool[row.pool].get(day, (0, 0))
            by_pool[row.pool][day] = (executions + row.executions, successes + row.successes)
    trends = [_find_trend(pool, days) for pool, days in by_pool.items()]
    return sorted(trends, key=lambda trend: (trend.slope_per_day or 0.0, trend.pool))


def _find_trend(pool: str, days: Mapping[int, tuple[int, int]]) -> PoolTrend:
    trend = compute_trend([(day, successes / executions) for day, (executions, successes) in sorted(days.items())])
    executions, successes = (sum(counts) for counts in zip(*days.values(), strict=True))
    return PoolTrend(pool, trend.direction, trend.slope_per_day, len(days), executions, successes)
