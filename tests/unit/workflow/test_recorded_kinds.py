"""Every try of a step of every kind is recorded once, with what it depended on, gave and changed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.unit.workflow.world import UID, World, agent_step, pool, run_step

END = Callable[[World], None]
KINDS: dict[str, tuple[dict[str, object], list[END]]] = {
    "run": (run_step("s"), [lambda world: world.finish("s")]),
    "agent": (agent_step("s"), [lambda world: world.answer("s")]),
    "http": ({"name": "s", "http": {"url": "http://x.example/"}}, [lambda world: world.reply("s", {})]),
    "apply": (
        {"name": "s", "apply": {"manifests": [{"kind": "ConfigMap"}]}},
        [lambda world: world.reply("s", "old"), lambda world: world.reply("s", {})],
    ),
    "scale": (
        {"name": "s", "scale": {"pool": "p", "replicas": 3}},
        [lambda world: world.reply("s", "old"), lambda world: world.reply("s", {})],
    ),
    "task": ({"name": "s", "task": {"type": "notifications.webhook"}}, [lambda world: world.reply("s", {})]),
    "workflow": (
        {"name": "s", "workflow": {"templateRef": {"name": "t"}}},
        [lambda world: world.end_workflow("s")],
    ),
    "wait": ({"name": "s", "wait": {"for": 5}}, [lambda world: world.pass_time(6)]),
    "approval": ({"name": "s", "approval": {"message": "go?"}}, [lambda world: world.say("approve s alice")]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_any_kind_is_recorded_once(kind: str) -> None:
    step, course = KINDS[kind]
    world = World({"steps": [step]}, pools=(pool("p"),))
    world.settle()
    for go_on in course:
        go_on(world)
    world.settle()
    assert str(world.status.phase) == "Succeeded"
    [row] = world.executions
    task_type = {"agent": "general"}.get(kind, kind)
    assert (row.id, row.outcome, row.task_type) == (f"{UID}/s//1", "success", task_type)
    assert (row.pool, row.role) == (("default/p", "developer") if kind == "agent" else ("", ""))
    assert (row.message, row.error_signature, row.exit_code) == ("", "", None)


def test_a_failed_try_and_the_one_that_solved_it_are_recorded_apart() -> None:
    world = World({"steps": [run_step("s", retry={"maxAttempts": 2, "initialDelay": "1s"})]})
    world.settle()
    world.finish("s", exit_code=28, message="disk 3 is full")
    world.pass_time(2)
    world.now += timedelta(seconds=1)
    world.finish("s")
    failed, solved = world.executions
    assert (failed.outcome, failed.reason, failed.exit_code) == ("failure", "ExitCode", 28)
    assert failed.message == "exit code 28: disk 3 is full"
    assert failed.error_signature
    assert (solved.try_, solved.outcome, solved.error_signature) == (2, "success", "")


def test_an_execution_says_what_it_depended_on_and_gave() -> None:
    steps = [
        run_step("a"),
        run_step("b"),
        {
            "name": "c",
            "dependsOn": ["a", "b"],
            "http": {"url": "http://x.example/"},
            "outputsFrom": [{"name": "image", "from": "result.image"}],
        },
    ]
    world = World({"steps": steps})
    world.settle()
    world.finish("a")
    world.finish("b")
    world.reply("c", {"image": "x:1"})
    assert [(row.depends_on, row.produced) for row in world.executions] == [
        ((), ()),
        ((), ()),
        (("a", "b"), ("image",)),
    ]
