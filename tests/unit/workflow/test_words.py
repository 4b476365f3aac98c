"""What people say of the steps of a run holds for that run: after it is started again everybody decides anew."""

from __future__ import annotations

import pytest
from tests.unit.workflow.world import World, run_step

from vapora.core.workflow.listening import MAX_REPEATED, MAX_WORDS

GATE = {"name": "q", "approval": {"message": "?"}}


def begin(*steps: dict[str, object], **spec: object) -> World:
    world = World({"steps": list(steps), "retry": {"maxAttempts": 1}, **spec})
    world.settle()
    return world


def heard(world: World) -> list[tuple[str, str, bool, bool]]:
    return [(word.step, word.user, word.is_approval, word.is_former) for word in world.status.approvals]


def test_who_rejected_may_approve_the_next_run_at_the_very_same_time() -> None:
    world = begin(GATE)
    world.say("reject q alice")
    assert world.status.reason == "ApprovalRejected"
    world.ask("retry 1")
    world.restart()
    world.settle()
    assert str(world.status.phase) == "WaitingApproval"
    world.say("approve q alice")
    assert (str(world.status.phase), world.step("q").unit.tries) == ("Succeeded", 2)
    assert heard(world) == [("q", "alice", False, True), ("q", "alice", True, False)]


def test_who_rejected_may_reject_the_next_run_too() -> None:
    world = begin(GATE)
    for number in (1, 2):
        world.say("reject q alice")
        assert (str(world.status.phase), world.step("q").unit.tries) == ("Failed", number)
        world.ask(f"retry {number}")
        assert str(world.status.phase) == "WaitingApproval"


def test_what_was_approved_for_one_run_is_not_approved_for_the_next() -> None:
    world = begin(GATE, run_step("b", dependsOn=["q"]))
    world.say("approve q alice")
    world.finish("b")
    world.ask("retry/q 1")
    assert str(world.status.phase) == "WaitingApproval"
    world.say("approve q alice")
    world.finish("b")
    assert str(world.status.phase) == "Succeeded"


def test_a_step_that_was_approved_and_stands_is_not_asked_about_again() -> None:
    world = begin(GATE, run_step("b", dependsOn=["q"]))
    world.say("approve q alice")
    world.finish("b", exit_code=1)
    world.ask("retry 1")
    assert (str(world.status.phase), world.step("q").unit.tries) == ("Running", 1)


def test_what_is_said_after_the_end_holds_for_the_next_run() -> None:
    world = begin(GATE)
    world.say("reject q alice")
    world.say("approve q alice")
    world.ask("retry 1")
    assert str(world.status.phase) == "Succeeded"


def test_a_step_that_waits_before_it_starts_asks_anew_in_each_run() -> None:
    world = begin(run_step("a", pauseBefore=True))
    world.say("reject a alice")
    world.ask("retry 1")
    assert (str(world.status.phase), world.created) == ("WaitingApproval", [])
    world.say("approve a alice")
    world.finish("a", exit_code=1)
    world.ask("retry 2")
    assert (str(world.status.phase), len(world.created)) == ("WaitingApproval", 1)


def test_each_rollback_asks_anew() -> None:
    undo = {"run": {"image": "undo"}}
    world = begin(run_step("a", compensate=undo), run_step("sent", irreversible=True))
    world.finish("a")
    world.finish("sent")
    world.ask("rollback 1")
    world.say("reject approve_rollback alice")
    assert world.status.reason == "RollbackIncomplete"
    world.ask("rollback 2")
    assert str(world.status.phase) == "WaitingApproval"
    world.say("approve approve_rollback alice")
    world.finish("a_undo")
    assert str(world.status.phase) == "RolledBack"


def test_a_person_who_says_the_same_often_is_heard_ten_times() -> None:
    world = begin({"name": "q", "approval": {"message": "?"}}, run_step("b"))
    world.words = {f"approval.vapora.dev/{number:02}": "approve b alice" for number in range(12)}
    world.settle()
    assert len(world.status.approvals) == MAX_REPEATED
    told = [event.message for event in world.events if event.reason == "ApprovalIgnored"]
    assert [words.split(":")[0] for words in told] == ["approval.vapora.dev/10", "approval.vapora.dev/11"]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_thousand_words_are_heard(is_restarted: bool) -> None:
    world = begin(GATE, run_step("b"))
    for count in (600, 1200):
        world.words = {f"approval.vapora.dev/{number:04}": f"approve b u{number}" for number in range(count)}
        world.settle()
        if is_restarted:
            world.restart()
    assert len(world.status.approvals) == MAX_WORDS
