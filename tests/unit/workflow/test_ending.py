"""How runs end: by a failure, the deadline or a request, with what still runs then."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.workflow.world import World, finished, run_step

from vapora.core.calls import Answer


def test_the_deadline_also_ends_a_run_that_goes_on_after_a_failure() -> None:
    steps = [run_step("bad", retry={"maxAttempts": 1}), run_step("slow")]
    world = World({"failFast": False, "deadline": "10s", "steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    world.pass_time(10)
    assert world.children[world.child("slow")].meta.is_deleting
    world.finish("slow", exit_code=143)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "DeadlineExceeded")


def test_a_run_that_goes_on_after_a_failure_tries_its_other_steps_again() -> None:
    steps = [run_step("bad", retry={"maxAttempts": 1}), run_step("shaky", retry={"initialDelay": 0})]
    world = World({"failFast": False, "steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    world.finish("shaky", exit_code=1)
    world.finish("shaky")
    assert world.states() == {"bad": "Failed", "shaky": "Succeeded"}


def test_a_sibling_that_the_cluster_spoils_as_the_workflow_fails_is_cancelled_whoever_is_seen_first() -> None:
    for names in (("bad", "slow"), ("slow", "bad")):
        world = World({"steps": [run_step(name, retry={"maxAttempts": 1}) for name in names]})
        world.settle()
        slow = world.child("slow")
        world.children[slow] = finished(world.children[slow], world.now, exit_code=137, disruption="DeletionByPodGC")
        world.finish("bad", exit_code=1)
        assert (str(world.status.phase), world.status.reason) == ("Failed", "ExitCode")
        assert world.states() == {"bad": "Failed", "slow": "Cancelled"}


def test_what_can_never_run_any_more_is_skipped_whoever_ended_last() -> None:
    for last in ("bad", "slow"):
        steps = [
            run_step("bad", retry={"maxAttempts": 1}),
            run_step("slow"),
            run_step("never", dependsOn=["bad", "slow"]),
        ]
        world = World({"steps": steps})
        world.settle()
        if last == "bad":
            world.finish("slow")
        world.finish("bad", exit_code=1)
        if last == "slow":
            world.finish("slow", exit_code=143)
        assert world.states()["never"] == "Skipped"


def test_the_deadline_ends_everything() -> None:
    world = World({"deadline": "10s", "steps": [run_step("a"), run_step("b", dependsOn=["a"])]})
    world.settle()
    world.pass_time(10)
    assert world.children[world.child("a")].meta.is_deleting
    world.pass_time(31)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "DeadlineExceeded")
    assert world.states() == {"a": "Cancelled", "b": "Skipped"}


def test_fail_fast_cancels_running_siblings_and_starts_nothing_more() -> None:
    steps = [run_step("bad", retry={"maxAttempts": 1}), run_step("slow"), run_step("next", dependsOn=["bad"])]
    world = World({"steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    assert world.children[world.child("slow")].meta.is_deleting
    assert str(world.status.phase) == "Running"
    world.finish("slow", exit_code=143, phase="Failed")
    assert str(world.status.phase) == "Failed"
    assert world.states() == {"bad": "Failed", "slow": "Cancelled", "next": "Skipped"}


def test_without_fail_fast_the_rest_runs_on() -> None:
    steps = [run_step("bad", retry={"maxAttempts": 1}), run_step("slow"), run_step("after", dependsOn=["slow"])]
    world = World({"failFast": False, "steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    world.finish("slow")
    world.finish("after")
    assert (str(world.status.phase), world.states()["after"]) == ("Failed", "Succeeded")


def test_on_failure_continue_lets_soft_dependents_go_and_skips_hard_ones() -> None:
    steps = [
        run_step("bad", onFailure="continue", retry={"maxAttempts": 1}),
        run_step("soft", edges=[{"name": "bad", "type": "soft"}]),
        run_step("hard", dependsOn=["bad"]),
        run_step("beyond", dependsOn=["hard"]),
    ]
    world = World({"steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    world.finish("soft")
    assert str(world.status.phase) == "Succeeded"
    assert world.states() == {"bad": "Failed", "soft": "Succeeded", "hard": "Skipped", "beyond": "Skipped"}


def test_cancel_on_request_stops_what_runs_and_ends_cancelled() -> None:
    world = World({"steps": [run_step("a"), run_step("b", dependsOn=["a"])]})
    world.settle()
    world.request = "cancel 1"
    world.settle()
    assert world.children[world.child("a")].meta.is_deleting
    world.finish("a", exit_code=143)
    assert (str(world.status.phase), world.status.reason) == ("Cancelled", "CancelRequested")
    assert world.status.handled_request == "cancel 1"


def test_a_request_made_for_another_object_of_the_name_is_ignored() -> None:
    world = World({"steps": [run_step("a")]})
    world.request = "cancel 99999999-2222-3333-4444-555555555555 1"
    world.settle()
    assert str(world.status.phase) == "Running"


def kill_before_writing(world: World, request: str) -> None:
    """Plans and carries out without a word in the status, then starts anew, asked to end."""
    world.plan(write=False)
    world.request = request
    world.restart()
    world.settle()


def test_a_child_that_nobody_wrote_down_is_stopped_too_and_its_name_never_used_again() -> None:
    world = World({"steps": [run_step("a")]})
    kill_before_writing(world, "cancel 1")
    assert world.children[world.child("a")].meta.is_deleting
    world.finish("a", exit_code=143)
    world.ask("retry 2")
    assert (str(world.status.phase), len(set(world.created))) == ("Running", 2)


def test_a_next_try_that_nobody_wrote_down_is_stopped_too_where_the_run_ends_first() -> None:
    world = World({"steps": [run_step("a", retry={"initialDelay": 0})]})
    world.settle()
    world.children[world.child("a")] = finished(world.children[world.child("a")], world.now, exit_code=1)
    kill_before_writing(world, "cancel 1")
    assert world.children[world.child("a")].meta.is_deleting
    world.finish("a", exit_code=143)
    assert (world.states(), world.step("a").unit.tries, len(world.created)) == ({"a": "Cancelled"}, 2, 2)


def test_nothing_is_called_for_a_step_that_is_cancelled_as_it_is_seen_again() -> None:
    world = World({"steps": [{"name": "a", "http": {"url": "http://x"}}]})
    world.plan()
    world.request = "terminate 1"
    world.restart()
    world.settle()
    assert (str(world.status.phase), world.calls) == ("Cancelled", {})
    assert world.step("a").unit.is_open, "whether it was called before is not known"


STAGES = {
    "what follows the end": {"onCompletion": [run_step("after")]},
    "what undoes a step": {"onFailure": "rollback"},
}


@pytest.mark.parametrize("case", STAGES)
def test_a_stage_rests_on_an_end_that_cannot_be_read_back_only_once_it_is_written(case: str) -> None:
    call = {"name": "call", "http": {"url": "http://x"}, "dependsOn": ["a"], "retry": {"maxAttempts": 1}}
    world = World({"steps": [run_step("a", compensate={"run": {"image": "x"}}), call], **STAGES[case]})
    world.settle()
    world.finish("a")
    [name] = world.waiting_calls()
    world.called[name] = Answer(None, "HttpRefused", "status 404")
    before = len(world.created)
    decided = world.plan()
    assert (decided.durable_first, len(world.created)) == (True, before)
    world.plan()
    assert len(world.created) == before + 1


def test_a_late_word_finds_nothing_undone_because_nobody_spoke() -> None:
    ask = {"name": "ask", "approval": {"message": "go?", "timeout": 10}, "dependsOn": ["a"]}
    world = World({"onFailure": "rollback", "steps": [run_step("a", compensate={"run": {"image": "x"}}), ask]})
    world.settle()
    world.finish("a")
    world.now += timedelta(seconds=10)
    decided = world.plan(write=False)
    assert (decided.durable_first, len(world.created)) == (True, 1)
    world.words = {"approval.vapora.dev/1": "approve ask alice"}
    world.restart()
    world.settle()
    assert (str(world.status.phase), len(world.created)) == ("Succeeded", 1)


def test_a_child_that_shows_up_after_the_end_is_counted_so_that_its_name_is_not_used_again() -> None:
    world = World({"steps": [run_step("a", dependsOn=["gate"]), {"name": "gate", "http": {"url": "http://x"}}]})
    world.settle()
    world.ask("terminate 1")
    late = World({"steps": [run_step("a")]})
    late.settle()
    world.children |= late.children
    world.settle()
    assert world.step("a").unit.tries == 1


def test_a_next_try_that_was_made_already_is_taken_over_whenever_its_failure_was_seen() -> None:
    world = World({"steps": [run_step("a", retry={"initialDelay": 5})]})
    world.settle()
    world.children[world.child("a")] = finished(world.children[world.child("a")], world.now, exit_code=1)
    world.children[world.child("a")] = replace(world.children[world.child("a")], end=None)
    world.plan(write=False)
    world.now += timedelta(seconds=5)
    world.plan(write=False)
    assert len(world.created) == 2
    world.restart()
    world.settle()
    assert (world.states(), world.step("a").unit.tries) == ({"a": "Starting"}, 2)
