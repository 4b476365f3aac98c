"""Whether a pool gets better or worse at a kind of work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from vapora.core.learning.execution import CANCELLED, DailyAggregate, Execution

WINDOW_DAYS = 14
_MIN_DAYS = 3
_SLOPE = 0.01  # success rate a day

Direction = Literal["Improving", "Stable", "Declining"]
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
