"""What people ask of a run that goes on, and what follows its end, with the operator as a process."""

import pytest
from tests.cluster.waiting import wait_until
from tests.integration.objects import Json, run
from tests.integration.workflow.stage import FOREVER, ONCE, Stage


def pair(**fields: object) -> tuple[Json, Json]:
    """A step that runs until it is ended, and one after it."""
    return run("a", ends=FOREVER, retry=ONCE, **fields), run("b", dependsOn=["a"])


def completion(*names: str) -> list[Json]:
    """A completion step for each outcome that is named."""
    return [run(f"on-{name}", runOn=name) for name in names]


def test_a_paused_run_starts_nothing_new_until_it_is_resumed(here: Stage) -> None:
    here.workflow("rest", *pair())
    here.await_step("rest", "a", state="Running")
    here.ask("rest", "pause")
    here.await_status("Workflow", "rest", phase="Paused")
    here.end_pod("a")
    here.await_step("rest", "a", state="Succeeded")
    assert here.said("Workflow", "rest")["Paused"].startswith("True")
    assert here.tries("rest") == {"a": 1}
    here.ask("rest", "resume")
    here.ended("rest", "Succeeded")
    wait_until(lambda: {"Paused", "Resumed"} <= {reason for reason, _ in here.events("rest")}, "both are told")


def test_a_spec_that_says_paused_starts_nothing_until_it_no_longer_does(here: Stage) -> None:
    here.workflow("still", run("a"), paused=True)
    here.await_status("Workflow", "still", phase="Paused")
    assert here.created("pods") == []
    here.patch("Workflow", "still", {"spec": {"paused": False}})
    here.ended("still", "Succeeded")


def test_a_run_is_paused_and_goes_on_by_its_spec(here: Stage) -> None:
    here.workflow("spec", *pair())
    here.await_step("spec", "a", state="Running")
    here.patch("Workflow", "spec", {"spec": {"paused": True}})
    here.await_status("Workflow", "spec", phase="Paused", observedGeneration=2)
    here.end_pod("a")
    here.await_step("spec", "a", state="Succeeded")
    here.patch("Workflow", "spec", {"spec": {"paused": False}})
    here.ended("spec", "Succeeded")
    assert "SpecOutdated" not in here.said("Workflow", "spec")


def test_a_cancelled_run_stops_what_runs_and_is_completed(here: Stage) -> None:
    here.workflow("cancel", *pair(), onCompletion=completion("always", "success", "failure"))
    here.await_step("cancel", "a", state="Running")
    here.ask("cancel", "cancel")
    status = here.ended("cancel", "Cancelled")
    states = {name: row["state"] for name, row in status["steps"].items()}
    assert states == {"a": "Cancelled", "b": "Skipped", "on-always": "Succeeded"}
    assert here.condition("Workflow", "cancel", "Succeeded")["reason"] == "CancelRequested"


def test_a_stopped_run_lets_what_runs_finish_and_is_completed(here: Stage) -> None:
    here.workflow("stop", *pair(), onCompletion=completion("always"))
    here.await_step("stop", "a", state="Running")
    asked = here.ask("stop", "stop")
    here.await_status("Workflow", "stop", handledRequest=asked)
    here.end_pod("a")
    status = here.ended("stop", "Cancelled")
    assert (status["steps"]["a"]["state"], status["steps"]["on-always"]["state"]) == ("Succeeded", "Succeeded")
    assert here.tries("stop") == {"a": 1, "on-always": 1}


def test_a_terminated_run_ends_at_once_and_nothing_follows(here: Stage) -> None:
    here.workflow("kill", *pair(), onCompletion=completion("always"))
    here.await_step("kill", "a", state="Running")
    here.ask("kill", "terminate")
    status = here.ended("kill", "Cancelled")
    assert "on-always" not in status["steps"]
    wait_until(lambda: here.pods() == [], "its Pod is gone")


def test_a_paused_run_can_be_cancelled(here: Stage) -> None:
    here.workflow("both", run("a"), paused=True)
    here.await_status("Workflow", "both", phase="Paused")
    here.ask("both", "cancel")
    assert here.ended("both", "Cancelled").get("steps", {}).get("a", {}).get("state") in {None, "Cancelled"}


def test_an_unknown_request_is_refused_and_the_run_goes_on(here: Stage) -> None:
    here.workflow("odd", *pair())
    here.await_step("odd", "a", state="Running")
    asked = here.ask("odd", "dance")
    here.await_status("Workflow", "odd", handledRequest=asked)
    wait_until(lambda: any("there is no 'dance'" in words for _, words in here.events("odd")), "it is told")
    here.end_pod("a")
    here.ended("odd", "Succeeded")


OUTCOMES = {
    "a success": ({}, "Succeeded", ["on-always", "on-success"]),
    "a failure": ({"exit-code": "1"}, "Failed", ["on-always", "on-failure"]),
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_completion_steps_follow_their_outcome_in_order_and_do_not_change_it(here: Stage, case: str) -> None:
    ends, phase, follow = OUTCOMES[case]
    last = run("last", ends={"exit-code": "1"}, retry=ONCE)
    steps = [*completion("always", "success", "failure"), {**last, "runOn": "always"}]
    here.workflow("end", run("a", ends=ends, retry=ONCE), onCompletion=steps)
    status = here.ended("end", phase)
    assert status["steps"]["last"]["state"] == "Failed"
    by_name = {pod["metadata"]["name"]: pod["metadata"]["labels"]["vapora.dev/step"] for pod in here.pods()}
    assert [by_name[name] for name in here.created("pods")] == ["a", *follow, "last"]
    assert status["progress"] == "1/1"


def test_completion_steps_follow_a_rollback(here: Stage) -> None:
    a = run("a", compensate={"run": {"image": "busybox"}})
    fails = run("fails", ends={"exit-code": "1"}, retry=ONCE, dependsOn=["a"])
    here.workflow("back", a, fails, onFailure="rollback", onCompletion=completion("failure", "success"))
    status = here.ended("back", "RolledBack")
    assert status["steps"]["on-failure"]["state"] == "Succeeded"
    assert "on-success" not in status["steps"]


def test_a_run_that_is_not_over_in_time_fails(here: Stage) -> None:
    here.workflow("late", *pair(), deadline="2s", onCompletion=completion("failure"))
    status = here.ended("late", "Failed")
    assert here.condition("Workflow", "late", "Succeeded")["reason"] == "DeadlineExceeded"
    assert status["steps"]["on-failure"]["state"] == "Succeeded"
