"""Steps with forEach: how many items run at once, how many may fail, what they cost."""

from tests.unit.workflow.world import World, run_step


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
