"""Steps that run a template as a child Workflow: made once, followed to its end, cancelled and rolled back with it."""

from __future__ import annotations

import pytest
from tests.unit.workflow.world import UID, World, run_step

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
