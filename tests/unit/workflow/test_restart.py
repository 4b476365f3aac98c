"""Starting an ended run again on the same object: what stands, what runs anew, and that no name ever repeats."""

from __future__ import annotations

import json

import pytest
from tests.unit.workflow.world import World, run_step

from vapora.core.workflow.definition import read_definition
from vapora.core.workflow.stages import build_stage_frontier

ONCE = {"maxAttempts": 1}
UNDO = {"run": {"image": "undo"}}


def begin(*steps: dict[str, object], **spec: object) -> World:
    world = World({"steps": list(steps), "retry": ONCE, **spec})
    world.settle()
    return world


def change(world: World, *steps: dict[str, object], **spec: object) -> None:
    """Gives an ended run another spec, which says that it then runs again."""
    world.definition = read_definition({"steps": list(steps), "retry": ONCE, "rerunOnChange": "Always", **spec})
    world.frontier = build_stage_frontier(world.definition, world.status, world.identity)
    world.must_rerun = True
    world.plan()
    world.must_rerun = False
    world.settle()


def test_a_retry_starts_again_from_what_failed() -> None:
    world = begin(run_step("a"), run_step("b", dependsOn=["a"]), run_step("c", dependsOn=["b"]))
    world.finish("a")
    world.finish("b", exit_code=1)
    world.ask("retry 1")
    world.restart()
    world.settle()
    world.finish("b")
    world.finish("c")
    assert (str(world.status.phase), len(world.created), world.step("b").unit.tries) == ("Succeeded", 4, 2)
    assert world.status.handled_request == "retry 1"


def test_a_retry_from_a_step_starts_again_from_it_and_all_after_it() -> None:
    world = begin(run_step("a"), run_step("b", dependsOn=["a"]), run_step("aside"))
    for name in ("a", "b", "aside"):
        world.finish(name)
    world.ask("retry/a 1")
    world.finish("a")
    world.finish("b")
    assert str(world.status.phase) == "Succeeded"
    assert [world.step(name).unit.tries for name in ("a", "b", "aside")] == [2, 2, 1]


def test_what_follows_a_step_that_is_retried_stands_where_it_would_be_given_the_same_again() -> None:
    steps = [
        run_step("a", outputs=["v"], onFailure="continue"),
        run_step("bad", onFailure="continue"),
        run_step("same", edges=[{"name": "bad", "type": "soft"}]),
        run_step("last", dependsOn=["same"]),
    ]
    world = begin(*steps)
    world.finish("bad", exit_code=1)
    world.finish("a", message='{"v": 1}')
    world.finish("same")
    world.finish("last", exit_code=1)
    world.ask("retry 1")
    world.finish("bad")
    world.finish("last")
    assert [world.step(name).unit.tries for name in ("a", "bad", "same", "last")] == [1, 2, 1, 2]


def test_outputs_of_steps_that_stand_are_still_there() -> None:
    world = begin(run_step("a", outputs=["v"]), {"name": "b", "run": {"image": "x", "args": ["${steps.a.outputs.v}"]}})
    world.finish("a", message=json.dumps({"v": "x" * 3000}))
    world.finish("b", exit_code=1)
    for number in range(12):  # a dozen times three thousand bytes would not fit
        world.ask(f"retry {number}")
        world.finish("b", exit_code=1)
    assert world.step("b").unit.tries == 13


REFUSED = {
    "what succeeded is not retried": (0, "retry 1"),
    "a step that is not there": (1, "retry/nobody 1"),
    "a pause": (1, "pause 1"),
    "a cancellation": (1, "cancel 1"),
    "a rollback of what nothing undoes": (1, "rollback 1"),
    "a rollback of a step": (1, "rollback/a 1"),
    "an unknown verb": (1, "frobnicate 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_of_an_ended_run_changes_nothing(case: str) -> None:
    exit_code, asked = REFUSED[case]
    world = begin(run_step("a"))
    world.finish("a", exit_code=exit_code)
    before = world.status.phase
    world.ask(asked)
    assert (world.status.phase, world.events[-1].reason, len(world.created)) == (before, "RequestRefused", 1)


def test_a_changed_spec_runs_again_what_it_changes() -> None:
    world = begin(run_step("a"), run_step("b"))
    world.finish("a")
    world.finish("b")
    change(world, run_step("a"), {"name": "b", "run": {"image": "new"}}, run_step("c"))
    assert len(world.created) == 4
    world.finish("b")
    world.finish("c")
    assert (str(world.status.phase), world.step("a").unit.tries, world.step("b").unit.tries) == ("Succeeded", 1, 2)


def test_a_step_that_is_no_more_and_its_outputs_stand_in_nobodys_way() -> None:
    world = begin(run_step("a", outputs=["v"]), onCompletion=[run_step("after", outputs=["w"])])
    world.finish("a", message='{"v": 1}')
    world.finish("after", message='{"w": 1}')
    change(world, {"name": "b", "run": {"image": "${p}"}}, params={"p": "x"})
    world.finish("b")
    assert str(world.status.phase) == "Succeeded"


def test_of_a_for_each_only_the_items_that_did_not_succeed_start_again() -> None:
    world = begin(run_step("f", forEach={"items": list("abcd"), "maxParallel": 2}))
    world.finish("f", 0)
    world.finish("f", 1, exit_code=1)
    world.finish("f", 2, exit_code=143)
    world.ask("retry 1")
    world.restart()
    world.settle()
    started = {m["metadata"]["labels"]["vapora.dev/item"] for m in world.manifests[3:]}
    assert started == {"1", "2"}
    for item in (1, 2, 3):
        world.finish("f", item)
    assert (str(world.status.phase), str(world.step("f").items.succeeded)) == ("Succeeded", "0-3")


def test_items_that_became_others_all_start_again() -> None:
    world = begin(run_step("f", forEach={"items": list("ab")}))
    world.finish("f", 0)
    world.finish("f", 1, exit_code=1)
    change(world, run_step("f", forEach={"items": list("xy")}))
    assert len(world.created) == 4


def test_items_whose_common_input_changed_all_start_again() -> None:
    def fan(value: str) -> list[dict[str, object]]:
        return [
            {"name": "a", "run": {"image": value}, "outputs": ["v"]},
            {"name": "f", "run": {"image": "${steps.a.outputs.v}-${item}"}, "forEach": {"items": ["1"]}},
        ]

    world = begin(*fan("one"))
    world.finish("a", message='{"v": "one"}')
    world.finish("f", 0)
    change(world, *fan("two"))
    world.finish("a", message='{"v": "two"}')
    assert world.manifests[-1]["spec"]["containers"][0]["image"] == "two-1"


def test_failures_that_were_tolerated_stay_told_where_the_step_stands() -> None:
    fan = run_step("f", forEach={"items": list("ab"), "failureTolerance": 1})
    world = begin(fan, run_step("b"))
    world.finish("f", 0, exit_code=1)
    world.finish("f", 1)
    world.finish("b")
    change(world, fan, {"name": "b", "run": {"image": "new"}})
    items = world.step("f").items
    assert (str(items.failed), str(items.succeeded), str(world.step("f").state)) == ("0", "1", "Succeeded")


def test_what_was_undone_runs_again_and_may_be_undone_again() -> None:
    world = begin(run_step("a", compensate=UNDO), run_step("b", dependsOn=["a"]), onFailure="rollback")
    for number in range(2):
        world.finish("a")
        world.finish("b", exit_code=1)
        world.finish("a_undo")
        assert str(world.status.phase) == "RolledBack"
        world.ask(f"retry {number}")
    assert [world.step(name).unit.tries for name in ("a", "b", "a_undo")] == [3, 2, 2]


def test_completion_steps_run_again_under_new_names() -> None:
    world = begin(run_step("a"), onCompletion=[run_step("after")])
    world.finish("a", exit_code=1)
    world.finish("after")
    world.ask("retry 1")
    world.finish("a")
    world.finish("after")
    assert (str(world.status.phase), world.step("after").unit.tries) == ("Succeeded", 2)


def test_the_deadline_counts_from_the_new_start() -> None:
    world = begin(run_step("a"), deadline="10s")
    world.finish("a", exit_code=1)
    world.pass_time(100)
    world.ask("retry 1")
    world.pass_time(9)
    assert str(world.status.phase) == "Running"
    world.pass_time(1)
    world.finish("a", exit_code=143)
    assert world.status.reason == "DeadlineExceeded"
