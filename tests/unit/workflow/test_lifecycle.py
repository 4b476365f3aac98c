"""What people ask of a run while it goes on: to pause, to go on, to end in one of several ways."""

from __future__ import annotations

import pytest
from tests.unit.workflow.world import World, agent_step, finished, pool, run_step

ONCE = {"maxAttempts": 1}
AFTER = {"onCompletion": [run_step("after")]}
UNDO = {"run": {"image": "undo"}}


def begin(*steps: dict[str, object], **spec: object) -> World:
    world = World({"steps": list(steps or (run_step("a"), run_step("b", dependsOn=["a"]))), **spec})
    world.settle()
    return world


def phase(world: World) -> tuple[str, str]:
    return str(world.status.phase), world.status.reason


def test_a_paused_run_lets_running_steps_finish_and_starts_nothing_new() -> None:
    world = begin()
    world.ask("pause 1")
    world.finish("a")
    assert (str(world.status.phase), len(world.created)) == ("Paused", 1)
    world.restart()
    world.settle()
    assert len(world.created) == 1
    world.ask("resume 2")
    world.finish("b")
    assert str(world.status.phase) == "Succeeded"


def test_a_run_is_paused_by_its_spec_or_by_a_request() -> None:
    world = World({"steps": [run_step("a")]})
    world.is_paused = True
    world.settle()
    world.ask("resume 1")
    assert (str(world.status.phase), world.created) == ("Paused", [])
    world.is_paused = False
    world.settle()
    assert str(world.status.phase) == "Running"


def test_a_run_of_which_something_was_asked_before_goes_on_once_its_spec_pauses_it_no_more() -> None:
    world = begin()
    world.ask("frobnicate 1")
    world.is_paused = True
    world.settle()
    world.restart()
    world.settle()
    assert str(world.status.phase) == "Paused"
    world.is_paused = False
    world.settle()
    assert str(world.status.phase) == "Running"


@pytest.mark.parametrize("asked", ["frobnicate 2", "retry 2", "pause/a 2"])
def test_a_request_that_is_refused_ends_no_pause(asked: str) -> None:
    world = begin()
    world.ask("pause 1")
    world.ask(asked)
    assert (str(world.status.phase), world.events[-1].reason) == ("Paused", "RequestRefused")
    world.restart()
    world.settle()
    assert str(world.status.phase) == "Paused"


def test_a_pause_puts_off_the_next_try_by_the_time_that_it_took() -> None:
    for waits in (3, 30):  # also of a try that came due meanwhile
        world = begin(run_step("a", retry={"initialDelay": 10}))
        world.finish("a", exit_code=1)
        world.ask("pause 1")
        world.pass_time(waits)
        world.ask("resume 2")
        world.pass_time(9)
        assert len(world.created) == 1
        world.pass_time(1)
        assert len(world.created) == 2


def test_the_deadline_runs_on_while_a_run_is_paused() -> None:
    world = begin(deadline="10s")
    world.ask("pause 1")
    world.pass_time(10)
    world.finish("a", exit_code=143)
    assert phase(world) == ("Failed", "DeadlineExceeded")


def test_a_paused_run_stays_paused_when_a_step_fails_that_does_not_end_it() -> None:
    world = begin(run_step("a", retry=ONCE), run_step("b"), run_step("c", dependsOn=["b"]), failFast=False)
    world.ask("pause 1")
    world.finish("a", exit_code=1)
    world.finish("b")
    assert (str(world.status.phase), len(world.created)) == ("Paused", 2)


def test_a_paused_run_whose_end_begins_is_not_paused_any_more() -> None:
    world = begin(run_step("a", retry=ONCE), run_step("b"))
    world.ask("pause 1")
    world.finish("a", exit_code=1)
    assert (str(world.status.phase), world.status.paused_at) == ("Running", None)


ENDINGS = {
    "cancel deletes what runs and lets the completion steps run": ("cancel 1", True, "CancelRequested", True),
    "stop lets what runs finish, then the completion steps": ("stop 1", False, "StopRequested", True),
    "terminate deletes what runs and lets nothing run": ("terminate 1", True, "TerminateRequested", False),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_how_a_run_ends_on_request(case: str) -> None:
    asked, is_deleted, reason, completes = ENDINGS[case]
    world = begin(**AFTER)
    child = world.child("a")
    world.ask(asked)
    assert world.children[child].meta.is_deleting == is_deleted
    if completes:
        assert str(world.status.phase) == "Running"
        world.finish("a", exit_code=143 if is_deleted else 0)
        assert str(world.status.phase) == "Running"
        world.finish("after")
    assert phase(world) == ("Cancelled", reason)
    assert ("after" in world.states(), len(world.created)) == (completes, 1 + completes)


def test_a_stop_may_be_followed_by_a_cancellation_and_that_by_a_termination() -> None:
    world = begin()
    world.ask("stop 1")
    world.ask("cancel 2")
    assert world.children[world.child("a")].meta.is_deleting
    world.ask("stop 3")
    assert world.events[-1].reason == "RequestRefused"
    world.ask("terminate 4")
    assert phase(world) == ("Cancelled", "TerminateRequested")


def test_an_agent_that_does_not_confirm_has_a_grace_period_and_its_effect_stays_open() -> None:
    world = World({"steps": [agent_step("a")]}, pools=(pool("p"),))
    world.settle()
    world.ask("cancel 1")
    assert (world.cancelled, str(world.status.phase)) == (world.published, "Running")
    world.pass_time(30)
    assert (phase(world), world.step("a").unit.reason) == (("Cancelled", "CancelRequested"), "CancelUnconfirmed")
    assert world.step("a").unit.is_open


def rolling_back() -> World:
    world = begin(
        run_step("a", compensate=UNDO), run_step("b", dependsOn=["a"], retry=ONCE), onFailure="rollback", **AFTER
    )
    world.finish("a")
    world.finish("b", exit_code=1)
    return world


@pytest.mark.parametrize("verb", ["cancel", "stop", "pause", "rollback"])
def test_while_compensating_a_request_is_ignored_and_that_is_said(verb: str) -> None:
    world = rolling_back()
    world.ask(f"{verb} 1")
    assert (str(world.status.phase), world.events[-1].reason) == ("RollingBack", "RequestRefused")
    world.finish("a_undo")
    world.finish("after")
    assert str(world.status.phase) == "RolledBack"


def test_a_termination_ends_a_rollback_and_says_what_is_not_undone() -> None:
    world = rolling_back()
    world.ask("terminate 1")
    assert (phase(world), world.states()["a"]) == (("Cancelled", "TerminateRequested"), "CompensationFailed")


def test_a_phase_is_final_only_after_the_completion_steps_which_never_change_it() -> None:
    for asked in ("", "terminate 1"):
        world = begin(run_step("a"), onCompletion=[run_step("after", retry=ONCE)])
        world.finish("a")
        assert str(world.status.phase) == "Running"
        world.restart()
        world.ask(asked)
        if not asked:
            world.finish("after", exit_code=1)
        assert phase(world) == ("Succeeded", "Succeeded")


RUN_ON = {
    "after a success": (0, ["always", "success"]),
    "after a failure": (1, ["always", "failure"]),
}


@pytest.mark.parametrize("case", RUN_ON)
def test_which_completion_steps_run_one_after_the_other(case: str) -> None:
    exit_code, want = RUN_ON[case]
    last = [run_step(name, runOn=name) for name in ("always", "success", "failure")]
    world = begin(run_step("a", retry=ONCE), onCompletion=last)
    world.finish("a", exit_code=exit_code)
    for name in want:
        assert world.published_status()["currentStep"] == name
        world.finish(name)
    assert sorted(world.states()) == sorted(["a", *want])


def test_a_completion_step_has_five_minutes_unless_it_says_more() -> None:
    world = begin(run_step("a"), onCompletion=[run_step("after", retry=ONCE)])
    world.finish("a")
    world.pass_time(300)
    assert (str(world.status.phase), world.step("after").unit.reason) == ("Succeeded", "TimedOut")


def test_a_step_that_pauses_before_starts_once_a_person_lets_it() -> None:
    world = begin(run_step("a", pauseBefore=True))
    assert (str(world.status.phase), world.created) == ("WaitingApproval", [])
    world.plan(changed=frozenset())
    world.restart()
    world.say("approve a alice")
    world.finish("a")
    assert str(world.status.phase) == "Succeeded"
    assert [(word.step, word.user) for word in world.status.approvals] == [("a", "alice")]


def test_a_step_that_a_person_rejects_fails_also_where_another_approves() -> None:
    world = World({"steps": [run_step("a", pauseBefore=True)]})
    world.words = {"approval.vapora.dev/1": "approve a alice", "approval.vapora.dev/2": "reject a bob"}
    world.settle()
    assert phase(world) == ("Failed", "ApprovalRejected")


def test_items_wait_for_a_person_as_one() -> None:
    world = begin(run_step("f", forEach={"items": [1, 2]}, pauseBefore=True))
    assert world.created == []
    world.say("approve f alice")
    assert (len(world.created), str(world.status.phase)) == (2, "Running")


def test_a_stop_lets_what_is_being_cancelled_already_end() -> None:
    world = begin(run_step("a", retry=ONCE), {"name": "h", "http": {"url": "x"}})
    world.finish("a", exit_code=1)
    world.ask("stop 1")
    world.restart()
    world.settle()
    assert phase(world) == ("Cancelled", "StopRequested")


def test_one_event_of_a_thousand_steps_costs_what_it_changed_also_while_they_are_undone() -> None:
    steps = [run_step(f"s{number}", compensate=UNDO) for number in range(999)]
    last = run_step("bad", retry=ONCE, dependsOn=[f"s{number}" for number in range(64)])
    world = World({"steps": [*steps, last], "maxParallel": 1000, "onFailure": "rollback"})
    world.settle()
    one = world.child("s998")
    assert world.plan(changed=frozenset({one.name})).looked_at == 1
    for key in list(world.children):
        world.children[key] = finished(world.children[key], world.now)
    world.plan()
    world.finish("bad", exit_code=1)
    assert (str(world.status.phase), len(world.created)) == ("RollingBack", 1999)
    undoing = world.child("s5_undo")
    world.children[undoing] = finished(world.children[undoing], world.now)
    graph = world.frontier.stage
    assert world.plan(changed=frozenset({undoing.name})).looked_at == 1
    assert world.frontier.stage is graph  # made once: it has all the steps
