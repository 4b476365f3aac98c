"""Tasks go to the pool that has proven best; the choice stands in the status, and stays for the try."""

from dataclasses import replace

import pytest
from tests.unit.workflow.world import World, agent_step, pool, run_step

from vapora.core.learning.profile import Learned, LearningProfile, TaskTypeExpertise, add_task_type_expertise
from vapora.core.supported import SpecProblem
from vapora.core.workflow.definition import read_definition

POOLS = (pool("first"), pool("second"), pool("third"))


def learn(world: World, *, epsilon: float = 0.0, task_type: str = "general", **shares: float) -> None:
    world.learned = Learned(
        {
            name: add_task_type_expertise(
                LearningProfile(f"default/{name}", 20, share),
                TaskTypeExpertise(task_type, 20, share, share, evidence=10.0),
            )
            for name, share in shares.items()
        },
        epsilon,
    )


def assignment(world: World, step: str) -> dict[str, object]:
    return world.published_status()["steps"][step]["assignment"]


def test_the_choice_stands_in_the_status_with_its_score_and_the_runner_up() -> None:
    world = World({"steps": [agent_step("t")]}, pools=POOLS)
    learn(world, first=0.4, second=0.9, third=0.7)
    world.settle()
    assert assignment(world, "t") == {
        "pool": "second",
        "taskType": "general",
        "score": 0.92,
        "base": 0.9,
        "expertise": 0.9,
        "confidence": 1.0,
        "executions": 20,
        "runnerUp": "third",
        "runnerUpScore": 0.76,
        "reason": "second scores most at general, 0.92: base 0.90, expertise 0.90, confidence 1.00 from 20 executions; "
        "next third with 0.76",
    }


def test_a_restart_keeps_the_choice_although_more_is_known_by_then() -> None:
    world = World({"steps": [agent_step("t")]}, pools=POOLS)
    learn(world, first=0.4, second=0.9, third=0.7)
    world.plan()
    before = assignment(world, "t")
    world.restart()
    learn(world, first=1.0, second=0.0, third=0.0)
    world.settle()
    assert assignment(world, "t") == before


def test_after_a_try_that_failed_another_pool_may_be_chosen() -> None:
    world = World({"steps": [agent_step("t")]}, pools=POOLS)
    learn(world, first=0.4, second=0.9, third=0.7)
    world.settle()
    world.answer("t", outcome="failure")
    world.settle()
    learn(world, first=0.4, second=0.1, third=0.7)
    world.pass_time(10)
    world.settle()
    assert (assignment(world, "t")["pool"], world.step("t").unit.tries) == ("third", 2)


def test_history_that_is_not_there_is_asked_for_before_anything_is_done() -> None:
    world = World({"steps": [agent_step("t")]}, pools=POOLS)
    world.learned = Learned({}, 0.0)
    decided = world.plan()
    assert decided.lacks == {("first", "general"), ("second", "general"), ("third", "general")}
    learn(world, first=0.4, second=0.9, third=0.7)
    world.status = world.written = replace(world.status, steps={})
    world.frontier = world._rebuild()
    assert world.plan().lacks == frozenset()


def test_a_critical_step_never_explores() -> None:
    world = World({"steps": [agent_step("t", critical=True)]}, pools=POOLS)
    learn(world, epsilon=1.0, first=0.4, second=0.9, third=0.7)
    world.settle()
    assert assignment(world, "t")["pool"] == "second"


def reviewer(name: str, *authors: str, **fields: object) -> dict[str, object]:
    return {"name": name, "agent": {"role": "developer", "title": "work", "independentOf": list(authors)}, **fields}


def test_nobody_reviews_their_own_work() -> None:
    world = World({"steps": [agent_step("code"), reviewer("review", "code", dependsOn=["code"])]}, pools=POOLS)
    learn(world, first=0.4, second=0.9, third=0.7)
    world.settle()
    world.answer("code")
    world.settle()
    assert (assignment(world, "code")["pool"], assignment(world, "review")["pool"]) == ("second", "third")


def test_two_that_judge_side_by_side_are_different_whichever_of_them_says_so() -> None:
    for steps in ([reviewer("one", "two"), agent_step("two")], [agent_step("one"), reviewer("two", "one")]):
        world = World({"steps": steps}, pools=POOLS)
        learn(world, first=0.4, second=0.9, third=0.7)
        world.settle()
        assert {assignment(world, name)["pool"] for name in ("one", "two")} == {"second", "third"}


def test_a_review_waits_where_only_the_author_could_do_it() -> None:
    steps = [agent_step("code"), reviewer("review", "code", dependsOn=["code"])]
    world = World({"steps": steps}, pools=POOLS[:1])
    world.settle()
    world.answer("code")
    world.settle()
    unit = world.step("review").unit
    assert (unit.reason, unit.message) == (
        "NoMatchingPool",
        "pool first did step code, of which this one is independent",
    )


def test_who_did_one_of_many_items_may_not_review_them() -> None:
    wide = {"items": [1, 2, 3], "maxParallel": 1}
    world = World(
        {"steps": [agent_step("code", forEach=wide), reviewer("review", "code", dependsOn=["code"])]}, pools=POOLS
    )
    for item, best in enumerate(("first", "second", "second")):
        learn(world, **{name: 0.9 if name == best else 0.1 for name in ("first", "second", "third")})
        world.settle()
        world.restart()
        world.answer("code", item)
    learn(world, first=0.9, second=0.9, third=0.1)
    world.settle()
    assert world.published_status()["steps"]["code"]["items"]["pools"] == ["first", "second"]
    assert assignment(world, "review")["pool"] == "third"


def test_items_go_to_none_that_reviews_them_side_by_side() -> None:
    world = World(
        {"steps": [reviewer("review", "code"), agent_step("code", forEach={"items": [1, 2, 3]})]}, pools=POOLS
    )
    learn(world, first=0.9, second=0.5, third=0.5)
    world.settle()
    assert assignment(world, "review")["pool"] == "first"
    active = world.published_status()["steps"]["code"]["items"]["active"]
    assert {row["assignment"]["pool"] for row in active} <= {"second", "third"}


def test_a_status_says_which_pools_had_items_only_where_another_step_must_know() -> None:
    world = World({"steps": [agent_step("code", forEach={"items": [1]})]}, pools=POOLS)
    world.settle()
    assert "pools" not in world.published_status()["steps"]["code"]["items"]


REFUSED = {
    "a step that is not there": ([reviewer("r", "coed")], "'coed' is no other step"),
    "itself": ([run_step("a"), reviewer("r", "r")], "'r' is no other step; there are a"),
}


@pytest.mark.parametrize(("steps", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_independence_is_refused_of(steps: list[dict[str, object]], says: str) -> None:
    problem = read_definition({"steps": steps})
    assert isinstance(problem, SpecProblem)
    assert problem.message.startswith("spec.steps[r].agent.independentOf: ")
    assert says in problem.message


def test_items_of_one_step_are_spread_by_score_and_load() -> None:
    world = World({"steps": [agent_step("f", forEach={"items": list(range(12))})], "maxParallel": 12}, pools=POOLS)
    learn(world, first=0.0, second=0.9, third=0.85)
    world.settle()
    active = world.published_status()["steps"]["f"]["items"]["active"]
    pools = [row["assignment"]["pool"] for row in active]
    assert pools.count("second") > pools.count("first")
    assert pools.count("third") > 0
