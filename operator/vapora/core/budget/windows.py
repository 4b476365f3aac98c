"""The windows of a budget, weeks from Monday and calendar months in UTC, and what is to be expected by their end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
_PAST_ANY_MONTH = timedelta(days=32)


@dataclass(frozen=True, slots=True)
class Window:
    """Is a week or a month, as `word` says; `end` is the start of the next one."""

    word: str
    start: datetime
    end: datetime


def find_week(now: datetime) -> Window:
    """Returns the week that a moment lies in."""
    day = _begin_day(now)
    start = day - timedelta(days=day.weekday())
    return Window("week", start, start + _WEEK)


def find_month(now: datetime) -> Window:
    """Returns the month that a moment lies in."""
    start = _begin_day(now).replace(day=1)
    return Window("month", start, (start + _PAST_ANY_MONTH).replace(day=1))


def forecast_spend(spent: int, window: Window, now: datetime) -> int:
    """Returns what will be spent by the window's end if it goes on as it did since its start.

    The first day counts as a whole one: of an hour nothing can be said yet.
    """
    elapsed, rest = max(now - window.start, _DAY), max(window.end - now, timedelta(0))
    return spent + round(spent * (rest / elapsed))


def _begin_day(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
