"""Steps that act outside: each call once what it rests on is durable, one key until it has definitely failed."""

from __future__ import annotations

import pytest
from tests.unit.workflow.world import UID, World, agent_step, pool, run_step

from vapora.core.calls import Answer, ApplyCall, HttpCall, ReadCall
from vapora.core.workflow.codec import decode_status

ONCE = {"maxAttempts": 1}
NOW = {"initialDelay": 0}


def http_step(name: str = "h", **fields: object) -> dict[str, object]:
    return {"name": name, "http": {"url": "http://x"}, **fields}


def apply_step(name: str = "p", **fields: object) -> dict[str, object]:
    return {"name": name, "apply": {"manifests": [{"kind": "ConfigMap"}]}, **fields}


def begin(*steps: dict[str, object], **spec: object) -> World:
    world = World({"steps": list(steps), **spec})
    world.settle()
    return world


def keys(world: World) -> list[str]:
    return [call.key for call in world.calls.values() if isinstance(call, HttpCall)]


def test_a_call_is_made_only_once_its_number_is_durable() -> None:
    world = World({"steps": [http_step()]})
    world.plan(write=False)
    world.plan(write=False)
    assert world.calls == {}
    world.settle()
    assert list(world.calls) == [f"{UID}/h/0/1/1"]


def test_a_look_may_be_made_at_once_and_a_write_only_once_its_memory_is_durable() -> None:
    world = World({"steps": [apply_step()]})
    world.plan(write=False)
    assert [type(call) for call in world.calls.values()] == [ReadCall]
    world.called[next(iter(world.calls))] = Answer(["as it was"])
    world.plan(write=False)
    assert len(world.calls) == 1
    world.settle()
    assert [type(call) for call in world.calls.values()] == [ReadCall, ApplyCall]
    row = world.published_status()["steps"]["p"]
    assert decode_status(world.identity, {"steps": {"p": row}}).step("p").unit.memory == {"before": ["as it was"]}


def test_what_a_step_gave_is_durable_before_a_dependent_starts() -> None:
    world = World({"steps": [http_step(outputs=["v"]), run_step("after", dependsOn=["h"])]})
    world.settle()
    [call] = world.calls
    world.called[call] = Answer({"v": 1})
    world.plan(write=False)
    assert world.created == []
    world.settle()
    assert (world.step("h").outputs, len(world.created)) == ({"v": 1}, 1)


REPEATED = {
    "an answer that says no is followed by a new key": (True, 2),
    "an outcome that is not known is followed by the same key": (False, 1),
}


@pytest.mark.parametrize("case", REPEATED)
def test_which_key_the_next_try_has(case: str) -> None:
    is_definite, effect = REPEATED[case]
    world = begin(http_step(retry=NOW))
    world.reply("h", reason="HttpRefused", message="no", is_definite=is_definite)
    world.settle()
    assert keys(world) == [f"{UID}/h/0/1", f"{UID}/h/0/{effect}"]
    world.reply("h")
    assert (str(world.status.phase), world.step("h").unit.is_open) == ("Succeeded", False)


def test_a_timeout_leaves_the_effect_open() -> None:
    world = begin(http_step(timeout=5, retry=NOW))
    world.pass_time(5)
    assert keys(world) == [f"{UID}/h/0/1", f"{UID}/h/0/1"]


def test_a_timeout_says_what_was_waited_for() -> None:
    world = begin({"name": "w", "wait": {"for": 60}, "timeout": 5, "retry": ONCE})
    world.pass_time(5)
    unit = world.step("w").unit
    assert (unit.reason, unit.message) == ("TimedOut", "it ran longer than its timeout of 5 s: waits for the time")


def test_a_crash_repeats_the_same_call_under_the_same_key() -> None:
    world = begin(http_step())
    world.restart()
    world.settle()
    assert (list(world.calls), keys(world)) == ([f"{UID}/h/0/1/1"], [f"{UID}/h/0/1"])


AT_MOST_ONCE: dict[str, dict[str, object]] = {
    "a call": http_step(atMostOnce=True),
    "a call of an item": http_step(atMostOnce=True, forEach={"items": [1]}),
}


@pytest.mark.parametrize("case", AT_MOST_ONCE)
def test_at_most_once_a_crash_with_unknown_outcome_fails_instead_of_repeating(case: str) -> None:
    world = begin(AT_MOST_ONCE[case])
    world.restart()
    world.settle()
    assert (str(world.status.phase), world.calls) == ("Failed", {})
    assert "whether that had its effect is not known" in world.status.message


def test_at_most_once_an_answer_that_is_not_definite_fails_too() -> None:
    world = begin(http_step(atMostOnce=True, retry=NOW))
    world.reply("h", reason="HttpTimeout", message="no answer", is_definite=False)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "OutcomeUnknown")
    world.ask("retry 1")
    assert keys(world)[-1] == f"{UID}/h/0/1"


def test_a_task_whose_publishing_a_crash_hid_is_not_given_out_again_at_most_once() -> None:
    world = World({"steps": [agent_step("t", atMostOnce=True)]}, pools=(pool("p"),))
    world.finalizers = ("vapora.dev/cleanup",)
    world.plan()
    world.restart()
    world.settle()
    assert (str(world.status.phase), world.status.reason, world.published) == ("Failed", "OutcomeUnknown", [])


def test_a_step_that_rests_is_looked_at_again_when_its_time_has_come() -> None:
    world = World({"steps": [{"name": "w", "wait": {"for": 60}}]})
    first = world.plan()
    assert first.plan.requeue_after == 60
    world.restart()
    world.pass_time(59)
    assert str(world.status.phase) == "Running"
    world.pass_time(1)
    assert str(world.status.phase) == "Succeeded"


def test_an_approval_waits_for_a_person_and_says_so() -> None:
    world = begin({"name": "q", "approval": {"message": "ship it?"}})
    assert (str(world.status.phase), world.states()) == ("WaitingApproval", {"q": "WaitingApproval"})
    assert world.published_status()["waitingOn"] == "q: waits for an approval: ship it?"
    world.restart()
    world.words["approval.vapora.dev/1"] = "approve q alice"
    world.plan(changed=frozenset())
    assert str(world.status.phase) == "Succeeded"


def test_while_something_runs_a_run_that_also_waits_for_a_person_runs() -> None:
    world = begin({"name": "q", "approval": {"message": "?"}}, run_step("a"))
    assert str(world.status.phase) == "Running"
    world.finish("a")
    assert str(world.status.phase) == "WaitingApproval"


def test_a_rejection_holds_for_the_run_it_was_made_in() -> None:
    world = begin({"name": "q", "approval": {"message": "?"}})
    world.say("reject q alice")
    assert (str(world.status.phase), world.status.reason) == ("Failed", "ApprovalRejected")
    world.pass_time(60)
    world.ask("retry 1")
    assert str(world.status.phase) == "WaitingApproval"
    world.pass_time(1)
    world.say("approve q bob")
    assert str(world.status.phase) == "Succeeded"


def test_a_cancelled_call_that_nobody_answered_leaves_its_effect_open() -> None:
    world = begin(http_step())
    world.ask("cancel 1")
    assert str(world.status.phase) == "Running"
    world.restart()
    world.settle()
    assert (str(world.status.phase), world.step("h").unit.is_open) == ("Cancelled", True)
    world.ask("retry 2")
    assert keys(world)[-1] == f"{UID}/h/0/1"


def test_an_item_that_starts_anew_repeats_an_effect_whose_outcome_is_not_known() -> None:
    world = begin(http_step(retry=ONCE, forEach={"items": [1, 2], "failureTolerance": 2}), run_step("b", retry=ONCE))
    world.reply("h", reason="HttpTimeout", message="?", is_definite=False, item=0)
    world.reply("h", reason="HttpRefused", message="no", item=1)
    world.finish("b", exit_code=1)
    world.restart()
    world.ask("retry/h 1")
    assert sorted(keys(world)[-2:]) == [f"{UID}/h/0/1", f"{UID}/h/1/2"]


def test_places_that_calls_leave_at_once_are_taken_by_the_next() -> None:
    steps = [run_step("f", forEach={"items": [1, 2]}), {"name": "w", "wait": {"for": 0}}]
    world = World({"maxParallel": 2, "steps": steps})
    world.plan()
    world.finish("f", 0)
    assert len(world.created) == 2
