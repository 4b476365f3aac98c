"""Weeks begin on Monday, months on the first, both in UTC; a forecast goes on as it began."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from vapora.core.budget.windows import find_month, find_week, forecast_spend


def at(day: str, offset: int = 0) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=timezone(timedelta(hours=offset)))


WINDOWS = {
    "in the middle of a week": (at("2026-11-25T15:30"), "2026-11-23", "2026-11-30", "2026-11-01", "2026-12-01"),
    "the first moment of Monday": (at("2026-11-23"), "2026-11-23", "2026-11-30", "2026-11-01", "2026-12-01"),
    "the last moment of Sunday": (at("2026-11-29T23:59:59"), "2026-11-23", "2026-11-30", "2026-11-01", "2026-12-01"),
    "a week over the end of a year": (at("2026-12-31T12:00"), "2026-12-28", "2027-01-04", "2026-12-01", "2027-01-01"),
    "February of a leap year": (at("2028-02-29T12:00"), "2028-02-28", "2028-03-06", "2028-02-01", "2028-03-01"),
    "Monday in Tokyo is still Sunday": (
        at("2026-11-23T08:00", 9), "2026-11-16", "2026-11-23", "2026-11-01", "2026-12-01",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("now", "week", "week_end", "month", "month_end"), WINDOWS.values(), ids=WINDOWS)
def test_windows(now: datetime, week: str, week_end: str, month: str, month_end: str) -> None:
    found = (find_week(now), find_month(now))
    assert [window.word for window in found] == ["week", "month"]
    begins_and_ends = [moment.isoformat()[:10] for window in found for moment in (window.start, window.end)]
    assert begins_and_ends == [week, week_end, month, month_end]
    assert all(window.start.tzinfo is UTC and window.start <= now < window.end for window in found)


FORECASTS = {
    "nothing spent stays nothing": ("2026-11-25", 0, 0),
    "half of the week gives as much again": ("2026-11-26T12:00", 100, 200),
    "the first hour counts as a day": ("2026-11-23T01:00", 24, 24 + 167),
    "at the end it is what was spent": ("2026-11-29T23:59:59", 70, 70),
}


@pytest.mark.parametrize(("now", "spent", "want"), FORECASTS.values(), ids=FORECASTS)
def test_forecasts(now: str, spent: int, want: int) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert forecast_spend(spent, find_week(moment), moment) == want
