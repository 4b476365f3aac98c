"""Choosing among pools by what they have proven."""

import time
from dataclasses import replace

import pytest

from vapora.core.learning.assignment import Asking, NoPool, PoolView, Request, assign, explores
from vapora.core.learning.profile import (
    Learned,
    LearningProfile,
    TaskTypeExpertise,
    add_task_type_expertise,
    create_learning_profile,
)

GOOD, POOR, NEW = (
    PoolView("shop", name, "developer", frozenset({"rust"}), replicas=5, max_concurrent=2, in_flight=2)
    for name in ("good", "poor", "new")
)
REVIEW = Request("code-review", role="developer")
NEVER = 0.0
ALWAYS = 1.0


def know(pool, share, executions, *, task_type="code-review", evidence=None):
    expertise = TaskTypeExpertise(
        task_type,
        executions=executions,
        success_rate=share,
        expertise=share,
        evidence=executions * 2.0 if evidence is None else evidence,
    )
    return add_task_type_expertise(LearningProfile(f"shop/{pool}", executions, share), expertise)


PROFILES = {"good": know("good", 0.9, 10), "poor": know("poor", 0.3, 20), "new": know("new", 0.5, 0)}


def learned(epsilon=NEVER, **changes):
    return Learned({**PROFILES, **changes}, epsilon)


def choose(pools=(GOOD, POOR, NEW), *, known=None, request=REVIEW, **asking):
    return assign(request, pools, learned=known or learned(), asking=Asking(**asking))


def test_the_task_goes_to_the_pool_with_the_highest_score():
    found = choose()
    assert (found.pool, found.runner_up) == ("good", "poor" if found.runner_up == "poor" else "new")
    assert found.score.total == pytest.approx(0.3 * 0.9 / 1.2 + 0.5 * 0.9 + 0.2 * 0.5)
    assert (found.score.expertise, found.score.confidence, found.score.executions) == (0.9, 0.5, 10)
    assert found.runner_up_score < found.score.total


def test_the_sentence_tells_the_score_its_parts_and_the_runner_up():
    assert choose((GOOD, POOR)).reason == (
        "good scores most at code-review, 0.78: base 0.75, expertise 0.90, confidence 0.50 from 10 executions; "
        "next poor with 0.42"
    )


PASSED_OVER = {
    "full, while another has a place": replace(GOOD, in_flight=10),
    "paused": replace(GOOD, is_paused=True),
    "not ready": replace(GOOD, is_ready=False),
    "over its budget": replace(GOOD, budget_problem="has spent its week"),
}


@pytest.mark.parametrize("best", PASSED_OVER.values(), ids=PASSED_OVER.keys())
def test_the_best_pool_is_passed_over_where_it_is(best):
    assert choose((best, POOR)).pool == "poor"


def test_nobody_reviews_their_own_work():
    assert choose((GOOD, POOR), authors={"good": "build"}).pool == "poor"
    found = choose((GOOD,), authors={"good": "build"})
    assert isinstance(found, NoPool)
    assert found.reason == "pool good did step build, of which this one is independent"


def test_a_pool_that_the_step_names_may_not_review_its_own_work_either():
    found = choose((GOOD, POOR), request=Request("code-review", pool="good"), authors={"good": "build"})
    assert isinstance(found, NoPool)


def test_a_budget_says_why_a_task_waits():
    found = choose((replace(GOOD, budget_problem="has spent 500 of 500 cents this week"),))
    assert isinstance(found, NoPool)
    assert found.reason == "pool good has spent 500 of 500 cents this week"


def test_where_all_are_full_the_score_still_decides():
    assert choose((replace(GOOD, in_flight=10), replace(POOR, in_flight=10))).pool == "good"


def test_without_a_store_the_least_loaded_takes_it():
    found = assign(REVIEW, (GOOD, replace(POOR, in_flight=1)))
    assert (found.pool, found.score) == ("poor", None)


def test_without_history_the_least_loaded_takes_it_and_the_sentence_says_so():
    known = learned(good=know("good", 0.5, 0), poor=know("poor", 0.5, 0))
    found = choose((GOOD, replace(POOR, in_flight=1)), known=known)
    assert (found.pool, found.score) == ("poor", None)
    assert "least loaded" in found.reason
    assert found.reason.endswith("nothing is known yet of code-review")


def test_history_that_was_not_looked_up_is_asked_for():
    known = Learned({"good": PROFILES["good"], "poor": create_learning_profile("shop/poor")}, NEVER)
    found = choose(known=known)
    assert sorted(found.lacks) == ["new", "poor"]
    assert found.score is None
    assert "least loaded" in found.reason or "first by name" in found.reason


LOOKS_NOTHING_UP = {
    "a pool that the step names": ((GOOD, POOR), Request("code-review", pool="poor")),
    "the only pool": ((POOR,), REVIEW),
}


@pytest.mark.parametrize(("pools", "request_"), LOOKS_NOTHING_UP.values(), ids=LOOKS_NOTHING_UP.keys())
def test_nothing_is_looked_up_for(pools, request_):
    found = choose(pools, known=Learned({}, ALWAYS), request=request_)
    assert (found.pool, found.lacks) == ("poor", ())


def test_exploring_tries_the_pool_of_which_least_is_known():
    found = choose(known=learned(ALWAYS))
    assert (found.pool, found.runner_up) == ("new", "good")
    assert found.reason == (
        "new is tried although good scores more at code-review, 0.78 against 0.38: least is known of it, "
        "from 0 executions"
    )


def test_what_was_done_long_ago_is_known_less_than_what_was_done_lately():
    known = learned(ALWAYS, new=know("new", 0.6, 9, evidence=20.0), poor=know("poor", 0.3, 100, evidence=0.7))
    assert choose(known=known).pool == "poor"


def test_a_critical_task_never_explores():
    assert choose(known=learned(ALWAYS), is_critical=True).pool == "good"


def test_the_same_try_explores_always_or_never():
    assert len({choose(known=learned(0.5), key="uid/step//1").pool for _ in range(9)}) == 1


def test_of_many_tries_the_share_epsilon_explores():
    share = sum(explores(f"uid-{number}/review//1", 0.05) for number in range(20_000)) / 20_000
    assert share == pytest.approx(0.05, abs=0.01)


def test_tasks_given_in_the_same_plan_count_as_load():
    given = {"good": 8}
    assert assign(REVIEW, (GOOD, replace(POOR, in_flight=0)), given, learned=learned()).pool == "poor"


def test_an_unknown_load_is_said_to_count_as_full():
    assert "its load is unknown and counts as full" in choose((replace(GOOD, in_flight=None), POOR)).reason


def test_the_order_of_the_pools_makes_no_difference():
    for epsilon in (NEVER, ALWAYS):
        assert choose(known=learned(epsilon)) == choose((NEW, POOR, GOOD), known=learned(epsilon))


def test_a_decision_among_fifty_pools_takes_less_than_five_milliseconds():
    pools = [replace(GOOD, name=f"pool-{number}", in_flight=number % 9) for number in range(50)]
    known = Learned({pool.name: know(pool.name, number / 50, number) for number, pool in enumerate(pools)}, 0.05)
    spent = []
    for number in range(20):
        began = time.process_time()
        assign(REVIEW, pools, learned=known, asking=Asking(key=f"uid-{number}/a//1"))
        spent.append(time.process_time() - began)
    assert min(spent) < 0.005
