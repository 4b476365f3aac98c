"""What is recorded of a try."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.learning.builders import NOW, an_execution

from vapora.core.learning.execution import MAX_COUNT, clamp, execution_id


def test_ids_are_the_same_however_often_they_are_made():
    assert execution_id("0c9e", "build", 7, 2) == "0c9e/build/7/2"
    assert execution_id("0c9e", "build", None, 2) == "0c9e/build//2"


def test_the_id_of_the_first_item_is_not_that_of_a_plain_step():
    assert execution_id("0c9e", "build", 0, 1) != execution_id("0c9e", "build", None, 1)


def test_an_execution_knows_its_workflow():
    assert an_execution(uid="0c9e").workflow_uid == "0c9e"


def test_an_execution_that_ended_before_it_began_took_no_time():
    assert an_execution(started=NOW + timedelta(seconds=9)).latency == timedelta(0)
    assert an_execution().latency == timedelta(seconds=30)


CLAMPED = {
    "a quality above one is one": ({"quality": 7.0}, {"quality": 1.0}),
    "a quality below zero is zero": ({"quality": -0.5}, {"quality": 0.0}),
    "a quality that is no number is unknown": ({"quality": float("nan")}, {"quality": None}),
    "a negative cost is none": ({"cost_cents": -5}, {"cost_cents": 0}),
    "more tokens than a store can keep": ({"tokens": 10**30}, {"tokens": MAX_COUNT}),
    "a cost that no account holds": ({"cost_cents": 10**30}, {"cost_cents": MAX_COUNT}),
    "what ended before there were computers": (
        {"started": datetime.min.replace(tzinfo=UTC), "finished": datetime.min.replace(tzinfo=UTC)},
        {"started": datetime(1970, 1, 1, tzinfo=UTC), "finished": datetime(1970, 1, 1, tzinfo=UTC)},
    ),
    "what began after it ended": ({"started": NOW + timedelta(days=1)}, {"started": NOW, "finished": NOW}),
    "what is in bounds stays": ({"quality": 0.5, "tokens": 3, "cost_cents": 9}, {"quality": 0.5, "cost_cents": 9}),
}


@pytest.mark.parametrize(("said", "want"), CLAMPED.values(), ids=CLAMPED.keys())
def test_what_agents_say_is_brought_into_bounds(said, want):
    found = clamp(an_execution(**said))
    assert {name: getattr(found, name) for name in want} == want
