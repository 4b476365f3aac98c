"""Recency, expertise, confidence and score, exact to 1e-6."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.learning.builders import NOW, an_execution

from vapora.core.learning.scoring import (
    Recency,
    compute_confidence,
    compute_expertise,
    compute_load,
    compute_score,
    compute_success_rate,
    observe_executions,
    weigh_recency,
)

VECTORS = Path(__file__).parents[2] / "vectors"
RECENCY = json.loads((VECTORS / "recency.json").read_text("utf-8"))
CONFIDENCE = json.loads((VECTORS / "confidence.json").read_text("utf-8"))["cases"]
SCORE = json.loads((VECTORS / "score.json").read_text("utf-8"))

observations = st.lists(st.tuples(st.floats(-10, 1000), st.booleans()))


def exactly(value):
    return pytest.approx(value, abs=1e-6, rel=0)


@pytest.mark.parametrize("mode", ["halfLife", "adr014"])
def test_an_execution_weighs_by_its_age(mode):
    for case in RECENCY[mode]:
        assert weigh_recency(case["days"], Recency(mode)) == exactly(case["want"]), case


@pytest.mark.parametrize("case", RECENCY["expertise"], ids=lambda case: case["name"])
def test_expertise_is_the_weighted_share_of_successes(case):
    assert compute_expertise(case["executions"], Recency()) == exactly(case["want"])


@pytest.mark.parametrize("case", CONFIDENCE, ids=lambda case: f"{case['executions']} executions")
def test_confidence_grows_to_one_at_twenty(case):
    assert compute_confidence(case["executions"]) == exactly(case["want"])


@pytest.mark.parametrize("case", SCORE["cases"], ids=lambda case: f"score {case['want']}")
def test_the_score_has_three_parts(case):
    score = compute_score(case["successRate"], case["load"], case["expertise"], case["executions"])
    assert score.total == exactly(case["want"])


@pytest.mark.parametrize("case", SCORE["rankings"], ids=lambda case: case["name"])
def test_pools_rank_by_score_and_then_by_name(case):
    scores = {
        pool["pool"]: compute_score(pool["successRate"], pool["load"], pool["expertise"], pool["executions"]).total
        for pool in case["candidates"]
    }
    assert sorted(scores, key=lambda pool: (-scores[pool], pool)) == case["want"]


def test_all_time_weighs_every_execution_the_same():
    assert compute_expertise([(0, True), (900, False)], Recency("allTime")) == 0.5


@given(observations, st.sampled_from(["halfLife", "adr014", "allTime"]))
def test_expertise_is_a_share(seen, mode):
    assert 0.0 <= compute_expertise(seen, Recency(mode)) <= 1.0


@given(st.floats(0, 1), st.floats(0, 50), st.floats(0, 1), st.integers(0, 1000))
def test_the_score_lies_between_zero_and_one(success_rate, load, expertise, executions):
    assert 0.0 <= compute_score(success_rate, load, expertise, executions).total <= 1.0


@given(st.floats(0, 400), st.floats(0, 400), st.sampled_from(["halfLife", "adr014"]))
def test_what_is_older_never_weighs_more(one, other, mode):
    younger, older = sorted((one, other))
    assert weigh_recency(younger, Recency(mode)) >= weigh_recency(older, Recency(mode))


def test_a_pool_without_history_is_rated_in_the_middle():
    assert compute_success_rate([]) == 0.5
    assert compute_success_rate([True, True, False, False, False]) == 0.4


LOADS = {
    "half of the places taken": (5, 2, 5, 0.5),
    "more tasks than places": (30, 2, 5, 3.0),
    "no replicas and no tasks is full": (0, 2, 0, 1.0),
    "no replicas and a queue is fuller": (4, 2, 0, 5.0),
}


@pytest.mark.parametrize(("in_flight", "each", "replicas", "want"), LOADS.values(), ids=LOADS.keys())
def test_load_is_the_share_of_places_taken(in_flight, each, replicas, want):
    assert compute_load(in_flight, each, replicas) == want


def test_a_cancelled_execution_says_nothing_of_its_pool():
    executions = [
        an_execution(1, days_ago=2),
        an_execution(2, outcome="failure"),
        an_execution(3, outcome="cancelled"),
    ]
    assert observe_executions(executions, NOW) == [(2.0, True), (0.0, False)]


def test_an_execution_of_the_future_counts_as_of_today():
    ahead = observe_executions([an_execution(1, finished=NOW + timedelta(days=5))], NOW)
    assert weigh_recency(ahead[0][0], Recency()) == 3.0
