"""The order of pools for a kind of work."""

import json
import time
from pathlib import Path

import pytest
from tests.unit.learning.builders import NOW, an_execution

from vapora.core.learning.profile import (
    LearningProfile,
    TaskTypeExpertise,
    add_task_type_expertise,
    build_profile,
    create_learning_profile,
)
from vapora.core.learning.ranking import Candidate, rank_agents, rank_agents_with_recency, select_best

RANKINGS = json.loads((Path(__file__).parents[2] / "vectors" / "score.json").read_text("utf-8"))["rankings"]


def a_profile(pool="a", *, success_rate=0.5, executions=20, **known):
    expertise = TaskTypeExpertise("review", executions=executions, **known)
    return add_task_type_expertise(LearningProfile(pool, executions, success_rate), expertise)


@pytest.mark.parametrize("case", RANKINGS, ids=lambda case: case["name"])
def test_pools_are_ranked_as_the_vectors_say(case):
    candidates = [Candidate(row["pool"], row["load"]) for row in case["candidates"]]
    profiles = {
        row["pool"]: add_task_type_expertise(
            LearningProfile(row["pool"], row["executions"], row["successRate"]),
            TaskTypeExpertise("review", executions=row["executions"], expertise=row["expertise"]),
        )
        for row in case["candidates"]
    }
    assert [rank.name for rank in rank_agents_with_recency(candidates, "review", profiles)] == case["want"]


def alike(cost=0.0, executions=20):
    return TaskTypeExpertise("review", executions=executions, expertise=0.8, success_rate=0.8, cost_cents=cost)


TIES = {
    "the cheaper": ({"a": alike(cost=9), "b": alike(cost=3)}, {"a": 0.2, "b": 0.2}, ["b", "a"]),
    "the name": ({"b": alike(cost=3), "a": alike(cost=3)}, {"b": 0.2, "a": 0.2}, ["a", "b"]),
    "the name, where nobody knows the cost": (
        {"b": alike(executions=0), "a": alike(executions=0)}, {"b": 0.2, "a": 0.2}, ["a", "b"]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("known", "loads", "want"), TIES.values(), ids=TIES.keys())
def test_a_tie_goes_by(known, loads, want):
    profiles = {name: add_task_type_expertise(LearningProfile(name, 20, 0.8), row) for name, row in known.items()}
    candidates = [Candidate(name, load) for name, load in loads.items()]
    assert [rank.name for rank in rank_agents_with_recency(candidates, "review", profiles)] == want


def test_the_less_loaded_comes_first_where_success_says_nothing_of_load():
    # With a success rate of 0 load does not enter the score, and only breaks the tie.
    profiles = {name: LearningProfile(name, 20, 0.0) for name in "ab"}
    ranked = rank_agents_with_recency([Candidate("a", 0.6), Candidate("b", 0.1)], "review", profiles)
    assert ranked[0].score.total == ranked[1].score.total
    assert [rank.name for rank in ranked] == ["b", "a"]


def test_recency_prefers_who_is_good_now_to_who_was():
    was_good = [an_execution(n, days_ago=10, task_type="review") for n in range(10)]
    was_good += [an_execution(n + 10, days_ago=1, outcome="failure", task_type="review") for n in range(9)]
    is_good = [an_execution(n, days_ago=10, outcome="failure", task_type="review") for n in range(10)]
    is_good += [an_execution(n + 10, days_ago=1, task_type="review") for n in range(9)]
    profiles = {"was": build_profile("was", was_good, NOW), "is": build_profile("is", is_good, NOW)}
    candidates = [Candidate("was"), Candidate("is")]
    assert rank_agents(candidates, "review", profiles)[0].name == "was"
    assert rank_agents_with_recency(candidates, "review", profiles)[0].name == "is"
    best = select_best(candidates, "review", profiles)
    assert best is not None
    assert best.name == "is"


def test_nobody_is_best_among_none():
    assert select_best([], "review", {}) is None
    assert rank_agents([], "review", {}) == []


def test_a_pool_that_nobody_knows_stands_in_the_middle():
    (rank,) = rank_agents_with_recency([Candidate("new", 0.0)], "review", {"new": create_learning_profile("new")})
    assert rank.score.total == pytest.approx(0.4)
    assert not rank.is_known


def test_an_unknown_load_counts_as_that_of_a_full_pool():
    unknown, full = (
        rank_agents_with_recency([Candidate("a", load)], "review", {})[0].score.total for load in (None, 1.0)
    )
    assert unknown == full


def test_fifty_pools_are_ranked_within_five_milliseconds_of_work():
    candidates = [Candidate(f"pool-{n}", n / 50) for n in range(50)]
    profiles = {row.name: a_profile(row.name, expertise=0.5) for row in candidates}
    spent = []
    for _ in range(20):
        began = time.process_time()
        rank_agents_with_recency(candidates, "review", profiles)
        spent.append(time.process_time() - began)
    assert min(spent) < 0.005
