"""What is undone after a failure or on request, in which order, and what becomes of the run then."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.workflow.world import World, run_step

ONCE = {"maxAttempts": 1}
UNDO = {"run": {"image": "undo"}}


def apply_step(name: str, **fields: object) -> dict[str, object]:
    return {"name": name, "apply": {"manifests": [{"kind": "ConfigMap"}]}, **fields}


def fail_after(*steps: dict[str, object], **spec: Any) -> World:
    """Ends the given steps well, one after the other, then fails the one that follows them all."""
    names = [str(step["name"]) for step in steps]
    bad = run_step("bad", dependsOn=names, retry=ONCE)
    world = World({"onFailure": "rollback", "steps": [*steps, bad], **spec})
    world.settle()
    while waiting := [name for name in names if world.step(name).state != "Succeeded"]:
        succeed(world, waiting)
    world.finish("bad", exit_code=3)
    return world


def succeed(world: World, names: list[str]) -> None:
    for name in names:
        state = str(world.step(name).state)
        if "apply" in next(step for step in world.definition.raw["steps"] if step["name"] == name):
            if state in {"Starting", "Running"}:
                world.reply(name, name)
        elif state in {"Starting", "Running"}:
            world.finish(name)


def undone(world: World) -> list[str]:
    """The undoings that have a child, in the order in which they began."""
    names = [str(m["metadata"]["labels"]["vapora.dev/step"]) for m in world.manifests]
    return [name for name in names if name.endswith("_undo")]


def test_steps_are_undone_in_reverse_order_one_after_the_other() -> None:
    world = fail_after(run_step("a", compensate=UNDO), run_step("b", dependsOn=["a"], compensate=UNDO))
    assert undone(world) == ["b_undo"]
    world.finish("b_undo")
    assert undone(world) == ["b_undo", "a_undo"]
    world.finish("a_undo")
    assert (str(world.status.phase), world.status.reason) == ("RolledBack", "ExitCode")
    assert world.states() == {
        "a": "Compensated",
        "b": "Compensated",
        "bad": "Failed",
        "a_undo": "Succeeded",
        "b_undo": "Succeeded",
    }


def test_independent_branches_are_undone_at_the_same_time() -> None:
    world = fail_after(run_step("a", compensate=UNDO), run_step("b", compensate=UNDO))
    assert sorted(undone(world)) == ["a_undo", "b_undo"]


def test_steps_between_that_nothing_undoes_keep_the_order_of_the_others() -> None:
    steps = [
        run_step("a", compensate=UNDO),
        run_step("between", dependsOn=["a"]),
        run_step("c", dependsOn=["between"], compensate=UNDO),
    ]
    world = fail_after(*steps)
    assert undone(world) == ["c_undo"]
    assert world.status.rollback is not None
    assert world.status.rollback.not_undone == ("between",)


def test_an_undoing_has_its_own_tries() -> None:
    world = fail_after(run_step("a", compensate=UNDO, retry={"maxAttempts": 2, "initialDelay": 0}))
    world.finish("a_undo", exit_code=1)
    world.finish("a_undo")
    assert (str(world.status.phase), world.step("a_undo").unit.tries) == ("RolledBack", 2)


def test_one_undoing_that_fails_leaves_the_rollback_incomplete_and_keeps_no_other_from_its_own() -> None:
    steps = [run_step("a", compensate=UNDO), run_step("b", dependsOn=["a"], compensate=UNDO, retry=ONCE)]
    world = fail_after(*steps)
    world.finish("b_undo", exit_code=1)
    world.finish("a_undo")
    assert (str(world.status.phase), world.status.reason) == ("Failed", "RollbackIncomplete")
    assert "not undone: b; ExitCode" in world.status.message
    assert (world.states()["a"], world.states()["b"]) == ("Compensated", "CompensationFailed")


def test_a_failure_with_nothing_to_undo_ends_failed() -> None:
    assert str(fail_after(run_step("a")).status.phase) == "Failed"
    assert str(fail_after(run_step("a", compensate={"none": True})).status.phase) == "Failed"


WANTED: dict[str, tuple[dict[str, object], str]] = {
    "a step's value wins over the workflow's": ({"onFailure": "fail"}, "RolledBack"),
    "a rollback that is not enabled undoes nothing": ({"rollback": {"enabled": False}}, "Failed"),
    "what succeeded may be kept": ({"rollback": {"preserveSuccessful": True}}, "Failed"),
    "a partial failure may keep results": ({"rollback": {"onPartialFailure": False}}, "Failed"),
}


@pytest.mark.parametrize("case", WANTED)
def test_when_a_run_is_rolled_back(case: str) -> None:
    fields, want = WANTED[case]
    bad = run_step("bad", dependsOn=["a"], retry=ONCE, onFailure="rollback")
    world = World({"steps": [run_step("a", compensate=UNDO), bad], **fields})
    world.settle()
    world.finish("a")
    world.finish("bad", exit_code=1)
    if want == "RolledBack":
        world.finish("a_undo")
    assert (str(world.status.phase), bool(undone(world))) == (want, want == "RolledBack")


def test_a_step_that_only_says_fail_is_not_followed_by_a_rollback() -> None:
    world = World({"steps": [run_step("a", compensate=UNDO), run_step("bad", dependsOn=["a"], retry=ONCE)]})
    world.settle()
    world.finish("a")
    world.finish("bad", exit_code=1)
    assert str(world.status.phase) == "Failed"


def test_what_a_failed_step_left_half_done_is_undone_by_what_it_kept_in_mind() -> None:
    spec = {"onFailure": "rollback", "rollback": {"preserveSuccessful": True}}
    world = World({**spec, "steps": [run_step("a", compensate=UNDO), apply_step("b", dependsOn=["a"], retry=ONCE)]})
    world.settle()
    world.finish("a")
    world.reply("b", ["as it was"])
    world.reply("b", reason="FieldConflict", message="another manager")
    assert (str(world.status.phase), undone(world)) == ("RollingBack", [])
    world.reply("b_undo")
    assert (str(world.status.phase), world.states()["a"], world.states()["b"]) == (
        "RolledBack",
        "Succeeded",
        "Compensated",
    )


def test_a_crash_at_any_point_of_a_rollback_resumes_where_it_was() -> None:
    world = fail_after(run_step("a", compensate=UNDO), run_step("b", dependsOn=["a"], compensate=UNDO))
    for name in ("b_undo", "a_undo"):
        world.restart()
        world.settle()
        world.finish(name)
    world.restart()
    world.settle()
    assert (str(world.status.phase), undone(world)) == ("RolledBack", ["b_undo", "a_undo"])


def test_what_cannot_be_undone_asks_a_person_first() -> None:
    steps = [run_step("a", compensate=UNDO), run_step("sent", dependsOn=["a"], irreversible=True)]
    world = fail_after(*steps)
    assert (str(world.status.phase), undone(world)) == ("WaitingApproval", [])
    assert "sent" in str(world.published_status()["waitingOn"])
    world.restart()
    world.say("approve approve_rollback alice")
    world.finish("a_undo")
    assert str(world.status.phase) == "RolledBack"


def test_a_rollback_that_a_person_refuses_undoes_nothing() -> None:
    steps = [run_step("a", compensate=UNDO), run_step("sent", dependsOn=["a"], irreversible=True)]
    world = fail_after(*steps)
    world.say("reject approve_rollback alice")
    assert (str(world.status.phase), world.status.reason, undone(world)) == ("Failed", "RollbackIncomplete", [])
    assert world.states()["a"] == "CompensationFailed"


def test_the_rollback_of_a_run_that_succeeded_can_be_asked_for() -> None:
    world = World({"steps": [run_step("a", compensate=UNDO)]})
    world.settle()
    world.finish("a")
    world.ask("rollback 1")
    world.finish("a_undo")
    assert (str(world.status.phase), world.status.reason) == ("RolledBack", "RollbackRequested")


def test_the_rollback_of_a_run_that_goes_on_stops_it_first() -> None:
    world = World({"steps": [run_step("a", compensate=UNDO), run_step("b", dependsOn=["a"])]})
    world.settle()
    world.finish("a")
    world.ask("rollback 1")
    assert (world.children[world.child("b")].meta.is_deleting, undone(world)) == (True, [])
    world.finish("b", exit_code=143)
    world.finish("a_undo")
    assert str(world.status.phase) == "RolledBack"


def test_what_is_undone_once_is_not_undone_twice() -> None:
    steps = [run_step("a", compensate=UNDO), run_step("b", dependsOn=["a"], compensate=UNDO, retry=ONCE)]
    world = fail_after(*steps)
    world.finish("b_undo", exit_code=1)
    world.finish("a_undo")
    world.ask("rollback 1")
    world.finish("b_undo")
    assert (str(world.status.phase), undone(world)) == ("RolledBack", ["b_undo", "a_undo", "b_undo"])
    world.ask("rollback 2")
    assert world.events[-1].reason == "RequestRefused"


def fan(**fields: object) -> dict[str, object]:
    return run_step("f", forEach={"items": list("abc")}, compensate={"run": {"image": "${item}"}}, **fields)


def test_each_item_that_succeeded_is_undone_with_its_own_value() -> None:
    world = World({"onFailure": "rollback", "retry": ONCE, "steps": [fan()]})
    world.settle()
    world.finish("f", 0)
    world.finish("f", 2)
    world.finish("f", 1, exit_code=1)
    images = [m["spec"]["containers"][0]["image"] for m in world.manifests[-2:]]
    assert images == ["a", "c"]


def test_of_items_whose_undoing_failed_only_those_are_undone_again() -> None:
    world = World({"onFailure": "rollback", "retry": ONCE, "steps": [fan(), run_step("bad", dependsOn=["f"])]})
    world.settle()
    for item in range(3):
        world.finish("f", item)
    world.finish("bad", exit_code=1)
    world.finish("f_undo", 0)
    world.finish("f_undo", 1, exit_code=1)
    world.finish("f_undo", 2)
    assert world.status.reason == "RollbackIncomplete"
    before = len(undone(world))
    world.ask("rollback 1")
    assert len(undone(world)) == before + 1
    world.finish("f_undo", 1)
    assert str(world.status.phase) == "RolledBack"
