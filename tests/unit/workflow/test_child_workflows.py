"""Steps that run a template as a child Workflow: made once, followed to its end, cancelled and rolled back with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.workflow.world import UID, World, finished, run_step

ONCE = {"maxAttempts": 1}


def child_step(name: str = "c", **fields: object) -> dict[str, object]:
    return {"name": name, "workflow": {"templateRef": {"name": "t"}, "params": {"n": 1}}, "retry": ONCE, **fields}


def begin(*steps: dict[str, object], **spec: object) -> World:
    world = World({"steps": list(steps), **spec})
    world.settle()
    return world


def test_the_child_has_the_template_and_the_params_and_belongs_to_its_parent() -> None:
    world = begin(child_step())
    [manifest] = world.manifests
    spec, meta = manifest["spec"], manifest["metadata"]
    assert (manifest["kind"], spec["templateRef"], spec["params"]) == ("Workflow", {"name": "t"}, {"n": 1})
    assert [owner["uid"] for owner in meta["ownerReferences"]] == [UID]


def test_its_outputs_are_its_result() -> None:
    step = child_step(outputsFrom=[{"name": "v", "from": "result.steps.build.image"}])
    world = begin(step)
    world.end_workflow("c", outputs={"build": {"image": "x:1"}})
    assert (str(world.status.phase), world.step("c").outputs) == ("Succeeded", {"v": "x:1"})


@pytest.mark.parametrize("phase", ["Failed", "Cancelled", "RolledBack"])
def test_a_child_that_does_not_succeed_fails_the_step(phase: str) -> None:
    world = begin(child_step())
    world.end_workflow("c", phase, reason="ExitCode", message="step x failed")
    assert world.status.reason == "ChildFailed"
    assert f"ended {phase}: ExitCode: step x failed" in world.status.message


def test_what_its_tasks_have_cost_counts_as_the_cost_of_the_step_and_of_its_parent() -> None:
    world = begin(child_step("a"), child_step("b"), run_step("c", dependsOn=["a"]))
    world.end_workflow("a", cost_cents=7)
    world.end_workflow("b", "Failed", cost_cents=5)
    assert (world.step("a").unit.cost_cents, world.step("b").unit.cost_cents) == (7, 5)
    assert world.published_status()["costCents"] == 12


def test_what_every_try_of_a_step_has_cost_counts() -> None:
    world = begin(child_step(retry={"maxAttempts": 2, "initialDelay": 0}))
    world.end_workflow("c", "Failed", cost_cents=3)
    world.end_workflow("c", cost_cents=4)
    assert (str(world.status.phase), world.step("c").unit.cost_cents) == ("Succeeded", 7)


def test_an_undoing_does_not_count_again_what_the_child_has_cost() -> None:
    world = begin(child_step(), run_step("b", dependsOn=["c"], retry=ONCE), onFailure="rollback")
    world.end_workflow("c", cost_cents=7)
    world.finish("b", exit_code=1)
    request = world.asked[world.child("c").name]
    world.end_workflow("c", "RolledBack", handled_request=request, cost_cents=9)
    assert (str(world.status.phase), world.published_status()["costCents"]) == ("RolledBack", 7)


def test_a_restart_makes_no_second_child() -> None:
    world = World({"steps": [child_step()]})
    world.plan(write=False)
    world.restart()
    world.settle()
    assert len(world.created) == 1
    world.end_workflow("c")
    assert str(world.status.phase) == "Succeeded"


def test_what_the_child_waits_for_is_said() -> None:
    world = begin(child_step())
    world.end_workflow("c", "WaitingApproval", waiting_on="q: waits for bob", finished_at=None)
    assert world.published_status()["waitingOn"] == "c: q: waits for bob"


REQUESTS = {"cancel 1": "cancel", "terminate 1": "terminate"}


@pytest.mark.parametrize("asked", REQUESTS)
def test_the_child_is_asked_to_end_with_its_parent(asked: str) -> None:
    world = begin(child_step())
    child = world.child("c")
    world.ask(asked)
    assert world.asked[child.name] == f"{REQUESTS[asked]} uid-{child.name} {UID}"
    if REQUESTS[asked] == "cancel":
        assert str(world.status.phase) == "Running"
        world.end_workflow("c", "Cancelled")
    assert (str(world.status.phase), world.states()) == ("Cancelled", {"c": "Cancelled"})


def rolling_back() -> tuple[World, str]:
    world = begin(child_step(), run_step("b", dependsOn=["c"], retry=ONCE), onFailure="rollback")
    world.end_workflow("c")
    name = world.child("c").name
    world.finish("b", exit_code=1)
    return world, name


def test_a_child_is_asked_for_its_rollback_as_its_undoing_starts() -> None:
    world = begin(child_step(), run_step("b", dependsOn=["c"], retry=ONCE), onFailure="rollback")
    world.end_workflow("c")
    bad = world.child("b")
    world.children[bad] = finished(world.children[bad], world.now, exit_code=1)
    world.plan(changed=frozenset({bad.name}))
    assert (world.asked, str(world.status.phase)) == ({}, "RollingBack"), "that it is undone is written first"
    world.plan(changed=frozenset())
    assert list(world.asked) == [world.child("c").name], "nothing else may ever wake it"


def test_a_child_is_undone_by_its_own_rollback() -> None:
    world, name = rolling_back()
    request = f"rollback uid-{name} {UID}-1"
    assert (world.asked[name], str(world.status.phase)) == (request, "RollingBack")
    world.restart()
    world.settle()
    world.end_workflow("c", "RolledBack", handled_request=request)
    assert (str(world.status.phase), world.states()["c"]) == ("RolledBack", "Compensated")


def test_a_child_that_could_not_undo_everything_leaves_the_rollback_incomplete() -> None:
    world, name = rolling_back()
    request = f"rollback uid-{name} {UID}-1"
    world.end_workflow("c", "Failed", handled_request=request, reason="RollbackIncomplete", message="not undone: x")
    assert world.status.reason == "RollbackIncomplete"
    assert "NotUndone: Workflow" in world.status.message


def end_rollback(world: World, step: str, item: int | None = None, try_: int | None = None, **fields: object) -> None:
    """Lets a child carry out the rollback that it was asked for, and settles."""
    key = world.child(step, item, try_)
    ended = {"phase": "RolledBack", "handled_request": world.asked[key.name], "finished_at": world.now, **fields}
    world.children[key] = replace(world.children[key], **ended)
    world.settle()


def test_the_children_of_every_try_are_rolled_back_the_last_one_first() -> None:
    retry = {"maxAttempts": 2, "initialDelay": 0}
    world = begin(child_step(retry=retry), run_step("b", dependsOn=["c"], retry=ONCE), onFailure="rollback")
    world.end_workflow("c", "Failed")
    world.end_workflow("c")
    world.finish("b", exit_code=1)
    first, second = (world.child("c", try_=number).name for number in (1, 2))
    assert list(world.asked) == [second]
    world.restart()
    end_rollback(world, "c", try_=2)
    assert list(world.asked) == [second, first]
    world.restart()
    end_rollback(world, "c", try_=1)
    assert (str(world.status.phase), world.states()["c"]) == ("RolledBack", "Compensated")


def fan() -> World:
    """A forEach of three children, all of which ended well, and what failed after it."""
    each = child_step(forEach={"items": ["x", "y", "z"]})
    world = begin(each, run_step("b", dependsOn=["c"], retry=ONCE), onFailure="rollback")
    for item in range(3):
        world.end_workflow("c", item=item)
    world.finish("b", exit_code=1)
    return world


def test_the_child_of_every_item_is_rolled_back() -> None:
    world = fan()
    assert set(world.asked) == {world.child("c", item).name for item in range(3)}
    world.restart()
    world.settle()
    for item in range(3):
        end_rollback(world, "c", item)
    assert (str(world.status.phase), world.states()["c"]) == ("RolledBack", "Compensated")


def test_one_item_whose_child_undoes_not_everything_keeps_no_other_from_it() -> None:
    world = fan()
    end_rollback(world, "c", 0, phase="Failed", reason="RollbackIncomplete", message="not undone: x")
    for item in (1, 2):
        end_rollback(world, "c", item)
    assert (world.status.reason, world.states()["c"]) == ("RollbackIncomplete", "CompensationFailed")


def test_a_child_whose_request_was_lost_is_asked_again() -> None:
    world, name = rolling_back()
    key = world.child("c")
    world.children[key] = replace(world.children[key], request="pause 1")
    del world.asked[name]
    world.settle()
    assert world.asked == {name: f"rollback uid-{name} {UID}-1"}


def test_a_child_that_is_gone_leaves_the_rollback_incomplete() -> None:
    world, name = rolling_back()
    del world.children[world.child("c")]
    world.settle()
    for _ in range(5):
        world.pass_time(300)
    assert (world.status.reason, f"Workflow {name} is gone" in world.status.message) == ("RollbackIncomplete", True)
