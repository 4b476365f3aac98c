"""Steps with forEach: how many items run at once, how many may fail, what they cost."""

import pytest
from tests.unit.workflow.world import World, agent_step, pool, run_step

from vapora.core.calls import Answer, ReadCall
from vapora.core.workflow.outputs import MAX_ALL_BYTES, measure


def test_for_each_runs_every_item_within_its_own_limit() -> None:
    step = {"name": "f", "forEach": {"items": list(range(7)), "maxParallel": 2}, "run": {"image": "x"}}
    world = World({"steps": [step]})
    world.settle()
    assert len(world.created) == 2
    for item in range(7):
        world.finish("f", item)
    assert world.most_at_once == 2
    items = world.step("f").items
    assert items is not None
    assert (str(items.succeeded), str(world.status.phase)) == ("0-6", "Succeeded")


def test_items_that_fail_within_the_tolerance_do_not_fail_the_step() -> None:
    step = {"name": "f", "forEach": {"items": list("abcd"), "failureTolerance": 1}, "run": {"image": "x"}}
    world = World({"retry": {"maxAttempts": 1}, "steps": [step]})
    world.settle()
    world.finish("f", 1, exit_code=1)
    for item in (0, 2, 3):
        world.finish("f", item)
    items = world.step("f").items
    assert items is not None
    assert (str(items.succeeded), str(items.failed), str(world.status.phase)) == ("0,2-3", "1", "Succeeded")


def test_items_that_fail_beyond_the_tolerance_fail_the_step_and_cancel_the_others() -> None:
    step = {"name": "f", "forEach": {"items": list("abcd"), "maxParallel": 2}, "run": {"image": "x"}}
    world = World({"retry": {"maxAttempts": 1}, "steps": [step]})
    world.settle()
    world.finish("f", 0, exit_code=9)
    world.finish("f", 1, exit_code=143)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "ItemsFailed")
    assert len(world.created) == 2


def test_for_each_over_nothing_succeeds_at_once() -> None:
    world = World({"params": {"list": []}, "steps": [run_step("f", forEach={"itemsFrom": "${list}"})]})
    world.settle()
    assert str(world.status.phase) == "Succeeded"


def test_a_thousand_items_cost_what_changed_not_what_is_there() -> None:
    step = {"name": "f", "forEach": {"items": list(range(1000)), "maxParallel": 1000}, "run": {"image": "x"}}
    world = World({"maxParallel": 1000, "steps": [step]})
    world.settle()
    assert len(world.created) == 1000
    key = world.child("f", 500)
    assert world.plan(changed=frozenset({key.name})).looked_at == 1


def fan(kind: str, body: dict[str, object], count: int) -> World:
    """A world in which every item of a forEach has asked for its first call."""
    items = {"items": list(range(count)), "maxParallel": 1000, "failureTolerance": "100%"}
    retry = {"maxAttempts": 1, "infrastructureAttempts": 1}
    world = World({"maxParallel": 1000, "steps": [{"name": "f", kind: body, "forEach": items, "retry": retry}]})
    world.settle()
    return world


def answer_all(world: World, answer: Answer) -> list[str]:
    """Answers every call that waits, and returns the keys of their effects."""
    names = world.waiting_calls()
    world.called |= dict.fromkeys(names, answer)
    world.settle()
    return [name.rpartition("/")[0] for name in names]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_however_many_items_end_without_a_known_outcome_all_of_them_repeat_their_effect(is_restarted: bool) -> None:
    world = fan("http", {"url": "x"}, 1200)
    silence = Answer(reason="HttpTimeout", message="no answer", is_definite=False)
    first = [*answer_all(world, silence), *answer_all(world, silence)]
    assert (len(first), str(world.status.phase)) == (1200, "Succeeded")
    if is_restarted:
        world.calls.clear()
        world.restart()
    world.ask("retry/f 1")
    again = [*answer_all(world, Answer({})), *answer_all(world, Answer({}))]
    assert sorted(again) == sorted(first)
    assert world.step("f").items.open == {}


def test_what_items_keep_to_be_undone_is_limited_however_little_each_keeps() -> None:
    world = fan("apply", {"manifests": [{"kind": "ConfigMap"}]}, 1500)
    for _ in range(2):
        while any(isinstance(world.calls[name], ReadCall) for name in world.waiting_calls()):
            answer_all(world, Answer("x" * 3000))
        answer_all(world, Answer({}))
    items = world.step("f").items
    kept = sum(measure(memory) for memory in items.memories.values())
    assert MAX_ALL_BYTES - 4096 < kept <= MAX_ALL_BYTES
    assert (len(items.succeeded), items.failures[0].reason) == (len(items.memories), "OutputTooLarge")
    world.restart()
    assert world.frontier.memory_bytes == kept


def test_a_for_each_whose_items_were_cancelled_is_cancelled() -> None:
    step = {"name": "f", "forEach": {"items": list("ab"), "maxParallel": 2}, "run": {"image": "x"}}
    world = World({"steps": [step]})
    world.settle()
    world.finish("f", 0)
    world.ask("cancel 1")
    world.finish("f", 1, exit_code=143)
    items = world.step("f").items
    assert items is not None
    assert (str(world.step("f").state), str(items.succeeded), str(items.cancelled)) == ("Cancelled", "0", "1")


def test_an_item_that_was_cancelled_while_others_failed_repeats_no_task_when_it_starts_anew() -> None:
    fan = agent_step("f", dependsOn=["a"], forEach={"items": list("ab")})
    world = World({"retry": {"maxAttempts": 1}, "steps": [run_step("a"), fan]}, pools=(pool("developers"),))
    world.settle()
    world.finish("a")
    world.answer("f", 1, outcome="failure", code="Undeliverable")
    world.pass_time(3600)
    world.answer("f", 0, outcome="failure")
    world.answer("f", 1, outcome="cancelled")
    assert str(world.status.phase) == "Failed"
    world.ask("retry/a 1")
    world.finish("a")
    told = sorted(task.partition("/f/")[2] for task in world.published)
    assert told == ["0/1", "0/3", "1/1", "1/2", "1/3"]


def test_children_of_an_earlier_round_start_no_items_of_the_next() -> None:
    fan = {"name": "f", "dependsOn": ["a"], "forEach": {"items": list("abc")}, "run": {"image": "x"}}
    world = World({"maxParallel": 1, "steps": [run_step("a"), run_step("b", dependsOn=["a"]), fan]})
    world.settle()
    for name in ("a", "b"):
        world.finish(name)
    for item in range(3):
        world.finish("f", item)
    world.ask("retry/a 1")
    world.finish("a")
    assert world.running() == [world.child("b")]
