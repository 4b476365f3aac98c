"""The trend of a pool, exact to 1e-6."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.learning.builders import NOW, an_execution

from vapora.core.learning.trend import compute_trend, count_days

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "trend.json").read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_slope_of_daily_success_is_the_trend(case):
    found = compute_trend([(day, rate) for day, rate in case["days"]])
    assert found.direction == case["want"]
    want = case["slopePerDay"]
    assert found.slope_per_day == (None if want is None else pytest.approx(want, abs=1e-6, rel=0))


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1)), max_size=20), st.integers(-1000, 1000))
def test_the_day_that_counting_begins_with_makes_no_difference(days, shift):
    here, there = compute_trend(days), compute_trend([(day + shift, rate) for day, rate in days])
    assert here.slope_per_day == (None if there.slope_per_day is None else pytest.approx(there.slope_per_day, abs=1e-9))


def test_days_are_counted_in_utc_with_their_share_of_successes():
    executions = [
        an_execution(1, days_ago=0),
        an_execution(2, days_ago=0, outcome="failure"),
        an_execution(3, days_ago=1),
        an_execution(4, days_ago=1, outcome="cancelled"),
    ]
    today = NOW.date().toordinal()
    assert count_days(executions, NOW) == [(today - 1, 1.0), (today, 0.5)]


def test_only_the_last_fourteen_days_count():
    executions = [an_execution(1, days_ago=13), an_execution(2, days_ago=14)]
    assert [day for day, _ in count_days(executions, NOW)] == [NOW.date().toordinal() - 13]


def test_an_execution_of_the_future_counts_as_of_today():
    assert count_days([an_execution(1, finished=NOW + timedelta(days=3))], NOW) == [(NOW.date().toordinal(), 1.0)]
