"""The critical path goes first, and a run says when it will end."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.learning.builders import an_execution
from tests.unit.workflow.world import START, World, agent_step, pool, run_step

from vapora.core.workflow.definition import Definition, read_definition
from vapora.core.workflow.estimates import Durations, estimate_steps, put_critical_first


def durations(**seconds: float) -> Durations:
    """History of container steps by name."""
    return Durations({(name, "run"): value for name, value in seconds.items()})


def define(*steps: dict[str, object], **spec: object) -> Definition:
    definition = read_definition({"steps": list(steps), **spec})
    assert isinstance(definition, Definition)
    return definition


# `b` is listed after `a`, and has a chain behind it.
FORKED = (run_step("a"), run_step("b"), run_step("c", dependsOn=["b"]), run_step("d", dependsOn=["c"]))

ORDERS = {
    "without history the longest chain goes first": ({}, ["b"]),
    "a long step goes before a chain of short ones": ({"a": 500, "b": 10, "c": 10, "d": 10}, ["a"]),
    "a chain that takes longer goes first": ({"a": 500, "b": 10, "c": 10, "d": 900}, ["b"]),
    "a step without history counts as the mean of the others": ({"a": 30, "b": 10}, ["b"]),
}


@pytest.mark.parametrize(("known", "first"), ORDERS.values(), ids=ORDERS.keys())
def test_where_not_all_have_room(known: dict[str, float], first: list[str]) -> None:
    world = World({"steps": list(FORKED), "maxParallel": 1})
    world.durations = durations(**known)
    world.plan()
    assert list(world.states()) == first


def test_among_equals_the_order_of_the_list_decides() -> None:
    world = World({"steps": [run_step(name) for name in "cab"], "maxParallel": 2})
    world.durations = durations()
    world.plan()
    assert list(world.states()) == ["c", "a"]


def test_where_all_have_room_they_start_in_the_order_of_the_list() -> None:
    world = World({"steps": list(FORKED)})
    world.durations = durations(b=900)
    world.plan()
    assert list(world.states()) == ["a", "b"]


def test_rest_is_the_longest_way_to_the_end() -> None:
    found = estimate_steps(define(*FORKED), durations(a=5, b=1, c=2, d=4))
    assert found.rest == (5, 7, 6, 4)
    assert put_critical_first([0, 1], found) == [1, 0]
    assert put_critical_first([0, 1], None) == [0, 1]


FINISHES = {
    "steps side by side": ({"a": 100, "b": 10, "c": 20, "d": 30}, 10, 100),
    "a chain": ({"a": 10, "b": 10, "c": 20, "d": 30}, 10, 60),
    "one place": ({"a": 10, "b": 10, "c": 20, "d": 30}, 1, 70),
    "an unknown step counts as the mean": ({"a": 30, "b": 10}, 1, 80),
}


@pytest.mark.parametrize(("known", "places", "want"), FINISHES.values(), ids=FINISHES.keys())
def test_a_run_says_when_it_will_end(known: dict[str, float], places: int, want: float) -> None:
    world = World({"steps": list(FORKED), "maxParallel": places})
    world.durations = durations(**known)
    world.plan()
    finish = (START + timedelta(seconds=want)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert world.published_status()["estimatedFinish"] == finish


def test_what_has_run_already_is_taken_off() -> None:
    world = World({"steps": [run_step("a"), run_step("b", dependsOn=["a"])]})
    world.durations = durations(a=60, b=60)
    world.settle()
    world.pass_time(40)
    assert world.published_status()["estimatedFinish"] == "2026-01-01T00:02:00Z"
    world.finish("a")
    world.settle()
    assert world.published_status()["estimatedFinish"] == "2026-01-01T00:01:40Z"


def test_a_step_that_takes_longer_than_expected_ends_at_any_moment() -> None:
    world = World({"steps": [run_step("a")]})
    world.durations = durations(a=60)
    world.settle()
    world.pass_time(600)
    assert world.published_status()["estimatedFinish"] == "2026-01-01T00:10:00Z"


def test_nothing_is_said_without_history_nor_once_it_ended_or_waits_for_a_person() -> None:
    world = World({"steps": [run_step("a")]})
    world.durations = durations()
    world.plan()
    assert "estimatedFinish" not in world.published_status()
    world.durations = durations(a=60)
    assert "estimatedFinish" in world.published_status()
    world.finish("a")
    world.settle()
    assert "estimatedFinish" not in world.published_status()
    gated = World({"steps": [{"name": "g", "approval": {"message": "Go?"}}, run_step("a", dependsOn=["g"])]})
    gated.durations = durations(a=60)
    gated.settle()
    assert "estimatedFinish" not in gated.published_status()


def test_history_tells_by_name_and_of_tasks_by_type() -> None:
    known = Durations()
    known.note(an_execution(1, step="build", task_type="run", pool=""))
    known.note(an_execution(2, step="other", task_type="review"))
    known.note(an_execution(3, step="slow", task_type="run", pool="", outcome="failure"))
    typed = {"role": "developer", "taskType": "review"}
    steps = define(run_step("build"), run_step("slow"), {"name": "t", "agent": typed}, agent_step("other"))
    assert estimate_steps(steps, known).seconds == (30, None, 30, 30)


def test_newer_executions_count_more_than_older_ones() -> None:
    known = Durations()
    for number, seconds in enumerate([100, 10, 10, 10]):
        started = an_execution(number, step="a", task_type="run", pool="").finished - timedelta(seconds=seconds)
        known.note(an_execution(number, step="a", task_type="run", pool="", started=started))
    assert 10 < known.steps["a", "run"] < 60


def test_items_that_have_ended_shorten_a_step() -> None:
    fan = agent_step("t", forEach={"items": [1, 2, 3, 4]})
    world = World({"steps": [fan]}, pools=(pool("p"),))
    world.durations = Durations({("t", "general"): 100.0})
    world.settle()
    world.answer("t", 0)
    world.settle()
    assert world.published_status()["estimatedFinish"] == "2026-01-01T00:01:15Z"


@given(st.lists(st.floats(0, 1000), min_size=4, max_size=4), st.integers(1, 5))
def test_a_run_never_ends_before_its_longest_way_nor_after_all_of_its_work(seconds: list[float], places: int) -> None:
    world = World({"steps": list(FORKED), "maxParallel": places})
    world.durations = durations(**dict(zip("abcd", seconds, strict=True)))
    world.plan()
    estimated = world.published_status().get("estimatedFinish")
    longest, total = max(seconds[0], sum(seconds[1:])), sum(seconds)
    low, high = (START + timedelta(seconds=value) for value in (longest - 1, total + 1))
    assert low.strftime("%Y-%m-%dT%H:%M:%SZ") <= str(estimated) <= high.strftime("%Y-%m-%dT%H:%M:%SZ")
