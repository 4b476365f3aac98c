"""What is known of a pool, and how its status shows it."""

import pytest
from tests.unit.learning.builders import NOW, an_execution

from vapora.core.learning.profile import (
    LearningProfile,
    TaskTypeExpertise,
    add_task_type_expertise,
    build_expertise,
    build_profile,
    create_learning_profile,
    keep_past,
    update_profile_with_learning,
)
from vapora.core.learning.scoring import Recency
from vapora.core.learning.trend import Trend


def past(*outcomes, days_ago=0.0, **changes):
    rows = (
        keep_past(an_execution(n, days_ago=days_ago, outcome="success" if is_success else "failure", **changes))
        for n, is_success in enumerate(outcomes)
    )
    return [row for row in rows if row is not None]


def test_a_new_profile_knows_nothing():
    profile = create_learning_profile("shop/developer")
    assert (profile.executions, profile.success_rate, dict(profile.expertise)) == (0, 0.5, {})


def test_expertise_is_added_without_changing_the_profile_it_is_added_to():
    before = create_learning_profile("shop/developer")
    once = add_task_type_expertise(before, TaskTypeExpertise("review", executions=3))
    twice = add_task_type_expertise(once, TaskTypeExpertise("review", executions=4))
    assert dict(before.expertise) == {}
    assert twice.expertise["review"].executions == 4


def test_expertise_counts_what_was_done_lately_more():
    rows = [*past(*[True] * 5, days_ago=1), *past(*[False] * 5, days_ago=10)]
    known = build_expertise("review", rows, NOW, Recency())
    assert known.expertise == pytest.approx(0.879722137815, abs=1e-6)
    assert (known.executions, known.success_rate, known.confidence) == (10, 0.5, 0.5)


def test_the_past_keeps_means_of_time_and_cost():
    known = build_expertise("review", past(True, False, cost_cents=30), NOW, Recency())
    assert (known.seconds, known.cost_cents) == (30.0, 30.0)


def test_what_was_cancelled_says_nothing_of_a_pool():
    assert keep_past(an_execution(1, outcome="cancelled")) is None
    profile = build_profile("shop/developer", [an_execution(1), an_execution(2, outcome="cancelled")], NOW)
    assert (profile.executions, profile.success_rate) == (1, 1.0)


def test_a_profile_has_the_share_of_all_types_and_the_expertise_of_each():
    rows = [an_execution(n, task_type="review") for n in range(3)]
    rows += [an_execution(n + 3, task_type="testing", outcome="failure") for n in range(1)]
    profile = build_profile("shop/developer", rows, NOW)
    assert profile.success_rate == 0.75
    assert {name: known.expertise for name, known in profile.expertise.items()} == {"review": 1.0, "testing": 0.0}


def test_a_status_shows_the_ten_types_with_the_most_executions():
    profile = LearningProfile("shop/developer", executions=20, success_rate=0.66667)
    for number in range(12):
        profile = add_task_type_expertise(profile, TaskTypeExpertise(f"type-{number}", executions=number))
    status = update_profile_with_learning({"replicas": 3, "expertise": ["former"]}, profile)
    assert (status["replicas"], status["successRate"]) == (3, 0.6667)
    assert [row["taskType"] for row in status["expertise"]] == [f"type-{number}" for number in range(11, 1, -1)]


def test_a_row_of_a_status_has_what_people_ask_for():
    known = TaskTypeExpertise("review", 5, 0.8, 0.91234, 9.0, trend=Trend(-0.2, "Declining"))
    profile = add_task_type_expertise(LearningProfile("shop/developer", 5, 0.8), known)
    (row,) = update_profile_with_learning({}, profile)["expertise"]
    assert row == {
        "taskType": "review",
        "executions": 5,
        "recentSuccessRate": 0.8,
        "expertise": 0.9123,
        "confidence": 0.25,
        "trend": "Declining",
    }


def test_a_status_stays_as_it_is_where_nothing_is_known():
    before = {"replicas": 3, "expertise": ["former"]}
    profile = add_task_type_expertise(create_learning_profile("shop/developer"), TaskTypeExpertise("review"))
    assert update_profile_with_learning(before, profile) == before
