"""What `${...}` may mean in a step that starts, and what is refused there."""

from collections.abc import Mapping

import pytest
from tests.unit.workflow.world import World, run_step

from vapora.core.workflow.resolve import MAX_ITEMS


def run_with(args: list[str], **fields: object) -> dict[str, object]:
    return {"name": "b", "run": {"image": "x", "args": args}, **fields}


def container_of(world: World) -> Mapping[str, object]:
    return world.manifests[-1]["spec"]["containers"][0]


def test_a_bare_name_means_an_output_of_an_earlier_step_whoever_else_was_faster() -> None:
    for first, second in (("a", "other"), ("other", "a")):
        steps = [
            run_step("a", outputs=["n"]),
            run_step("other", outputs=["n"]),
            run_with(["n=${n}"], dependsOn=["a"]),
        ]
        world = World({"steps": steps})
        world.settle()
        for name in (first, second):
            world.finish(name, message=f'{{"n": "{name}"}}')
        assert container_of(world)["args"] == ["n=a"]


def test_a_bare_name_that_two_earlier_steps_give_is_ambiguous() -> None:
    steps = [
        run_step("a", outputs=["n"]),
        run_step("b", outputs=["n"]),
        {"name": "c", "run": {"image": "x", "args": ["${n}"]}, "dependsOn": ["a", "b"]},
    ]
    world = World({"steps": steps})
    world.settle()
    for name in "ab":
        world.finish(name, message='{"n": 1}')
    assert (str(world.status.phase), world.status.reason) == ("Failed", "AmbiguousReference")


def test_the_condition_of_an_edge_waits_for_every_step_that_it_looks_at() -> None:
    edge = {"name": "a", "condition": "steps.other.state == 'Succeeded'"}
    world = World({"steps": [run_step("a"), run_step("other"), run_step("b", edges=[edge])]})
    world.settle()
    world.finish("a")
    assert "b" not in world.states()
    world.finish("other")
    assert world.states()["b"] == "Starting"


def test_the_output_of_a_step_that_was_skipped_is_missing() -> None:
    steps = [run_step("a", when="false", outputs=["n"]), run_with(["${steps.a.outputs.n}"])]
    world = World({"steps": steps})
    world.settle()
    assert (str(world.status.phase), world.status.reason) == ("Failed", "MissingOutput")
    assert "step 'a' has no outputs (it was skipped, or declares none)" in world.status.message


def test_an_item_and_its_index_reach_the_container() -> None:
    world = World({"steps": [run_with(["${item.name}", "${index}"], forEach={"items": [{"name": "x"}]})]})
    world.settle()
    assert container_of(world)["args"] == ["x", "0"]


def test_the_items_of_a_step_may_be_an_earlier_steps_output() -> None:
    steps = [run_step("a", outputs=["rows"]), run_with(["${item}"], forEach={"itemsFrom": "${steps.a.outputs.rows}"})]
    world = World({"steps": steps})
    world.settle()
    world.finish("a", message='{"rows": ["x", "y"]}')
    assert len(world.created) == 3
    items = world.step("b").items
    assert items is not None
    assert items.total == 2


BAD_ITEMS = {
    "no list": ("text", "is no list but 'text'"),
    "too many": (list(range(MAX_ITEMS + 1)), "gives 10001 items; allowed are 10000"),
}


@pytest.mark.parametrize("case", BAD_ITEMS)
def test_items_that_are_no_items_fail_the_step(case: str) -> None:
    value, words = BAD_ITEMS[case]
    world = World({"params": {"list": value}, "steps": [run_step("f", forEach={"itemsFrom": "${list}"})]})
    world.settle()
    assert (str(world.status.phase), world.status.reason) == ("Failed", "InvalidInput")
    assert words in world.status.message


def test_a_timeout_may_be_a_reference_and_must_be_a_duration() -> None:
    world = World({"params": {"t": "1m", "u": "soon"}, "steps": [run_step("a", timeout="${t}")]})
    world.settle()
    until = world.step("a").unit.until
    assert until is not None
    assert (until - world.now).total_seconds() == 60
    world = World({"params": {"u": "soon"}, "steps": [run_step("a", timeout="${u}")]})
    world.settle()
    assert (world.status.reason, world.created) == ("InvalidInput", [])


def test_a_secret_that_a_step_names_reaches_the_pod_as_a_reference_also_by_a_param() -> None:
    env = {"A": "secret:db:password", "B": "${params.b}"}
    step = {"name": "b", "run": {"image": "x", "env": env}}
    world = World({"params": {"b": "secret:db:user"}, "steps": [step]})
    world.settle()
    assert container_of(world)["env"] == [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "db", "key": "user"}}},
    ]


def test_an_output_cannot_make_up_a_reference_to_a_secret() -> None:
    steps = [
        run_step("a", outputs=["n"]),
        {"name": "b", "run": {"image": "x", "env": {"N": "${steps.a.outputs.n}"}}},
    ]
    world = World({"steps": steps})
    world.settle()
    world.finish("a", message='{"n": "secret:db:password"}')
    assert (str(world.status.phase), world.status.reason) == ("Failed", "InvalidInput")
    assert "env N: ${steps.a.outputs.n} gives a reference to a Secret; only params may" in world.status.message
    assert len(world.created) == 1
