"""Which pool gets a task, and why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapora.core.learning.assignment import Assignment, NoPool, PoolView, Request, assign

DEVELOPER = PoolView(
    namespace="shop",
    name="developer",
    role="developer",
    capabilities=frozenset({"rust", "code-review"}),
    replicas=5,
    max_concurrent=2,
    in_flight=5,
)
JUNIOR = replace(DEVELOPER, name="junior", capabilities=frozenset({"rust"}), in_flight=2)
REVIEWER = replace(DEVELOPER, name="reviewer", role="reviewer", capabilities=frozenset({"code-review"}), in_flight=0)
POOLS = [DEVELOPER, JUNIOR, REVIEWER]


def ask(**wanted):
    wanted["capabilities"] = frozenset(wanted.get("capabilities", ()))
    return Request(task_type="implementation", **wanted)


CHOICES = {
    "the pool the step names": (ask(pool="developer"), POOLS, "developer"),
    "the least loaded of a role": (ask(role="developer"), POOLS, "junior"),
    "the least loaded with all capabilities": (ask(capabilities=["code-review"]), POOLS, "reviewer"),
    "a role and capabilities together": (ask(role="developer", capabilities=["code-review"]), POOLS, "developer"),
    "not a paused one": (ask(role="developer"), [DEVELOPER, replace(JUNIOR, is_paused=True)], "developer"),
    "not one that is not ready": (ask(role="developer"), [DEVELOPER, replace(JUNIOR, is_ready=False)], "developer"),
    "the first by name among equals": (
        ask(role="developer"), [replace(JUNIOR, name="b"), replace(JUNIOR, name="a")], "a"
    ),
    "a free one before a full one": (
        ask(role="developer"), [replace(DEVELOPER, in_flight=9), replace(JUNIOR, in_flight=10)], "developer"
    ),
    "the least full where all are": (
        ask(role="developer"), [replace(DEVELOPER, in_flight=30), replace(JUNIOR, in_flight=20)], "junior"
    ),
    "a full one rather than none": (ask(role="developer"), [replace(DEVELOPER, in_flight=99)], "developer"),
    "one without agents yet, as its queue makes it grow": (
        ask(role="developer"), [replace(DEVELOPER, replicas=0, in_flight=0)], "developer"
    ),
    "a known load before an unknown one": (
        ask(role="developer"), [DEVELOPER, replace(JUNIOR, in_flight=None)], "developer"
    ),
    "an unknown load before a full pool": (
        ask(role="developer"), [replace(DEVELOPER, in_flight=10), replace(JUNIOR, in_flight=None)], "junior"
    ),
    "an unknown load rather than none": (ask(role="developer"), [replace(JUNIOR, in_flight=None)], "junior"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "pools", "want"), CHOICES.values(), ids=CHOICES.keys())
def test_a_task_goes_to(request_, pools, want):
    found = assign(request_, pools)
    assert isinstance(found, Assignment)
    assert found.pool == want
    assert want in found.reason


REFUSALS = {
    "there are no pools": (ask(role="developer"), [], "none in the namespace"),
    "nobody has the role": (ask(role="tester"), POOLS, "no pool has the role tester; there are developer (developer)"),
    "nobody has the name": (ask(pool="devloper"), POOLS, "no pool is named devloper"),
    "nobody has all the capabilities": (ask(capabilities=["rust", "cobol"]), POOLS, "capabilities cobol, rust"),
    "the only one is paused": (
        ask(role="reviewer"), [replace(REVIEWER, is_paused=True)], "pool reviewer is paused"
    ),
    "none is ready": (
        ask(role="developer"), [replace(DEVELOPER, is_ready=False), replace(JUNIOR, is_paused=True)],
        "pool developer is not ready; pool junior is paused",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "pools", "want"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_task_waits_where(request_, pools, want):
    found = assign(request_, pools)
    assert isinstance(found, NoPool)
    assert found.pool is None
    assert want in found.reason


def test_the_reason_names_the_runner_up_and_both_loads():
    found = assign(ask(role="developer"), POOLS)
    assert found.runner_up == "developer"
    assert found.reason == "junior is the least loaded; load 0.20, next developer with 0.50"


def test_tasks_given_since_the_pools_were_read_count():
    assert assign(ask(role="developer"), POOLS, {"junior": 6}).pool == "developer"


def test_forty_tasks_spread_by_room():
    given_ = {}
    for _ in range(40):
        pool = assign(ask(role="developer"), POOLS, given_).pool
        given_[pool] = given_.get(pool, 0) + 1
    assert abs((given_["junior"] + 2) - (given_["developer"] + 5)) <= 1


@given(st.permutations(POOLS))
def test_the_order_of_the_pools_makes_no_difference(pools):
    assert assign(ask(role="developer"), pools) == assign(ask(role="developer"), POOLS)
