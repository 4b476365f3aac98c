"""What people and tools see of a run: conditions, progress, what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.workflow.world import DETECTOR, JsonObject, World, agent_step, pool, run_step

from vapora.api.reasons import Reason
from vapora.core.workflow.observed import Surroundings

ONCE = {"maxAttempts": 1}


def conditions_of(raw: JsonObject) -> dict[str, JsonObject]:
    return {row["type"]: row for row in raw["conditions"]}


def read_kstatus(raw: JsonObject, generation: int = 1) -> str:
    """Reads a status as kstatus does, and with it Argo CD, Flux and `kubectl wait`."""
    said = {kind: row["status"] for kind, row in conditions_of(raw).items()}
    if raw.get("observedGeneration") != generation:
        return "InProgress"
    if said.get("Stalled") == "True":
        return "Failed"
    if said.get("Reconciling") == "True" or said.get("Ready") in {"False", "Unknown"}:
        return "InProgress"
    return "Current"


def not_begun() -> World:
    return World({"steps": [run_step("a")]})


def running() -> World:
    world = World({"steps": [run_step("a")]})
    world.settle()
    return world


def succeeded() -> World:
    world = running()
    world.finish("a")
    return world


def failed() -> World:
    world = World({"steps": [run_step("a", retry=ONCE)]})
    world.settle()
    world.finish("a", exit_code=3, message="no such table")
    return world


def ending() -> World:
    world = World({"steps": [run_step("a", retry=ONCE), run_step("b")]})
    world.settle()
    world.finish("a", exit_code=3)
    return world


def cancelled() -> World:
    world = running()
    world.request = "cancel 1"
    world.settle()
    world.finish("a", exit_code=143)
    return world


def invalid() -> World:
    world = World({"steps": [run_step("a", when="1 +")]})
    world.settle()
    return world


def not_built() -> World:
    world = World({"logging": {"level": "debug"}, "steps": [run_step("a")]})
    world.settle()
    return world


def paused() -> World:
    world = World({"steps": [run_step("a")]})
    world.request = "pause 1"
    world.settle()
    return world


def held() -> World:
    world = World({"steps": [run_step("a", pauseBefore=True)]})
    world.settle()
    return world


UNDONE = {"run": {"image": "x"}}


def rolling_back() -> World:
    steps = [run_step("a", compensate=UNDONE), run_step("b", dependsOn=["a"], retry=ONCE)]
    world = World({"onFailure": "rollback", "steps": steps})
    world.settle()
    world.finish("a")
    world.finish("b", exit_code=3)
    return world


def rolled_back() -> World:
    world = rolling_back()
    world.finish("a_undo")
    return world


def not_rolled_back() -> World:
    world = rolling_back()
    for _ in range(3):
        world.finish("a_undo", exit_code=1)
        world.pass_time(300)
    return world


PHASES: dict[str, tuple[Callable[[], World], str, str, str, str]] = {
    "not begun": (not_begun, "Pending", "InProgress", "Unknown Pending", "False Progressing"),
    "running": (running, "Running", "InProgress", "Unknown Running", "False Progressing"),
    "doomed while siblings end": (ending, "Running", "InProgress", "Unknown ExitCode", "False Progressing"),
    "succeeded": (succeeded, "Succeeded", "Current", "True Succeeded", "True Succeeded"),
    "failed": (failed, "Failed", "Failed", "False ExitCode", "False ExitCode"),
    "cancelled": (cancelled, "Cancelled", "Current", "False CancelRequested", "True CancelRequested"),
    "paused": (paused, "Paused", "InProgress", "Unknown Running", "False Paused"),
    "held by a person": (held, "WaitingApproval", "InProgress", "Unknown Running", "False WaitingForApproval"),
    "rolling back": (rolling_back, "RollingBack", "InProgress", "Unknown ExitCode", "False RollingBack"),
    "rolled back": (rolled_back, "RolledBack", "Failed", "False ExitCode", "False ExitCode"),
    "not rolled back": (not_rolled_back, "Failed", "Failed", "False RollbackIncomplete", "False RollbackIncomplete"),
    "invalid": (invalid, "Pending", "Failed", "Unknown InvalidSpec", "False InvalidSpec"),
    "not built": (not_built, "Pending", "Failed", "Unknown NotSupported", "False NotSupported"),
}


@pytest.mark.parametrize("case", PHASES)
def test_the_conditions_of_each_phase_as_tools_read_them(case: str) -> None:
    build, phase, kstatus, success, ready = PHASES[case]
    raw = build().published_status()
    said = {kind: f"{row['status']} {row['reason']}" for kind, row in conditions_of(raw).items()}
    assert (raw["phase"], read_kstatus(raw)) == (phase, kstatus)
    assert (said["Succeeded"], said["Ready"]) == (success, ready)


@pytest.mark.parametrize("case", PHASES)
def test_a_changed_spec_is_in_progress_until_it_was_looked_at(case: str) -> None:
    assert read_kstatus(PHASES[case][0]().published_status(), generation=2) == "InProgress"


@pytest.mark.parametrize("case", PHASES)
def test_every_reason_is_in_the_list_and_every_row_is_complete_and_sorted(case: str) -> None:
    raw = PHASES[case][0]().published_status()
    rows = raw["conditions"]
    assert isinstance(rows, list)
    assert {row["reason"] for row in rows} <= {str(reason) for reason in Reason}
    assert [row["type"] for row in rows] == sorted(row["type"] for row in rows)
    assert {row["observedGeneration"] for row in rows} == {1}


def test_a_condition_keeps_its_time_until_its_status_turns() -> None:
    world = running()
    before = world.published_status()
    world.now = world.now.replace(minute=5)
    again = world.published_status(before=before)
    assert conditions_of(again)["Ready"]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    world.finish("a")
    after = world.published_status(before=again)
    assert conditions_of(after)["Ready"]["lastTransitionTime"] == "2026-01-01T00:05:00Z"


def test_a_failure_says_the_cause_in_every_condition() -> None:
    said = conditions_of(failed().published_status())
    words = "step a failed: exit code 3: no such table"
    assert {said[kind]["message"] for kind in ("Succeeded", "Ready", "Stalled")} == {words}


def test_a_changed_spec_is_said() -> None:
    world = succeeded()
    world.outdated = ("SpecChanged", "the spec changed")
    assert conditions_of(world.published_status())["SpecOutdated"]["reason"] == "SpecChanged"


GRAPHS: dict[str, tuple[bool, str | None, bool, dict[str, str]]] = {
    "without a graph nothing is said of it": (False, None, False, {}),
    "a graph that has everything": (True, None, True, {"Recorded": "True Recorded"}),
    "a graph that has yet to take something": (True, None, False, {"Recorded": "False Pending"}),
    "a graph that does not answer": (
        True,
        "disk full",
        False,
        {"Recorded": "False Pending", "LearningAvailable": "False GraphUnavailable"},
    ),
    "a graph that stopped answering once it had everything": (True, "disk full", True, {"Recorded": "True Recorded"}),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_what_is_said_of_the_knowledge_graph(case: str) -> None:
    has_graph, problem, is_recorded, want = GRAPHS[case]
    world = succeeded()
    world.surroundings = Surroundings(DETECTOR, graph_problem=problem, has_graph=has_graph)
    said = conditions_of(world.published_status(is_recorded=is_recorded))
    found = {kind: f"{row['status']} {row['reason']}" for kind, row in said.items()}
    assert {kind: found[kind] for kind in found if kind in {"Recorded", "LearningAvailable"}} == want


def test_a_run_that_goes_on_says_only_that_the_graph_does_not_answer() -> None:
    world = running()
    world.surroundings = Surroundings(DETECTOR, graph_problem="disk full", has_graph=True)
    said = conditions_of(world.published_status())
    assert (said["LearningAvailable"]["message"], "Recorded" in said) == ("disk full", False)


def test_progress_counts_ended_steps_skipped_ones_too() -> None:
    world = World({"steps": [run_step("a"), run_step("b", when="false"), run_step("c", dependsOn=["a"])]})
    world.settle()
    assert world.published_status()["progress"] == "1/3"
    world.finish("a")
    assert world.published_status()["progress"] == "2/3"


def test_the_progress_of_a_single_step_with_items_counts_its_items() -> None:
    world = World({"steps": [run_step("f", forEach={"items": [1, 2, 3]})]})
    world.settle()
    world.finish("f", 1)
    assert world.published_status()["progress"] == "1/3"


def test_what_runs_now_is_told_with_how_many_others() -> None:
    world = World({"steps": [run_step("a"), run_step("b"), run_step("c")]})
    world.settle()
    assert world.published_status()["currentStep"] == "a (+2)"
    world.finish("a")
    world.finish("b")
    assert world.published_status()["currentStep"] == "c"
    world.finish("c")
    assert "currentStep" not in world.published_status()


def unschedulable() -> World:
    world = running()
    key = world.child("a")
    world.children[key] = replace(world.children[key], unschedulable="0/3 nodes are available")
    world.settle()
    return world


def image_missing() -> World:
    world = running()
    key = world.child("a")
    waiting = {"waiting_reason": "ErrImagePull", "waiting_message": "no such image"}
    world.children[key] = replace(world.children[key], **waiting)
    world.settle()
    return world


def retrying() -> World:
    world = running()
    world.finish("a", exit_code=3)
    return world


def without_pool() -> World:
    world = World({"steps": [agent_step("a")]})
    world.settle()
    return world


def without_broker() -> World:
    world = World({"steps": [agent_step("a")]}, pools=(pool("p"),))
    world.surroundings = Surroundings(DETECTOR, broker_problem="no connection")
    world.settle()
    return world


def being_cancelled() -> World:
    world = running()
    world.request = "cancel 1"
    world.settle()
    return world


def paused_while_it_ran() -> World:
    world = running()
    world.request = "pause 1"
    world.settle()
    return world


WAITS: dict[str, tuple[Callable[[], World], str | None]] = {
    "a step that runs waits for nothing": (running, None),
    "no node has room": (unschedulable, "a: 0/3 nodes are available"),
    "the image cannot be pulled": (image_missing, "a: ErrImagePull: no such image"),
    "the next try": (retrying, "a: the next try, after ExitCode"),
    "a pool": (without_pool, "a: no pool has the role developer; there is none in the namespace"),
    "the broker": (without_broker, "a: no connection"),
    "the end of a child": (being_cancelled, "a: Cancelling"),
    "a person": (held, "a: waits to be approved before it starts"),
    "somebody to let it go on": (paused, "it is paused: to go on, set spec.paused to false and ask to resume"),
    "also while steps still run": (
        paused_while_it_ran,
        "it is paused: to go on, set spec.paused to false and ask to resume",
    ),
    "a run that ended waits for nothing": (failed, None),
}


@pytest.mark.parametrize("case", WAITS)
def test_what_a_run_says_it_waits_for(case: str) -> None:
    build, want = WAITS[case]
    raw = build().published_status()
    assert raw.get("waitingOn") == want
    if want:
        assert conditions_of(raw)["Reconciling"]["message"] == want


def test_retries_count_every_try_beyond_the_first() -> None:
    world = World({"steps": [run_step("a", retry={"initialDelay": 0}), run_step("b")]})
    world.settle()
    world.finish("a", exit_code=1)
    assert world.published_status()["retries"] == 1


def test_the_deadline_is_told_as_a_time() -> None:
    world = World({"deadline": "1h", "steps": [run_step("a")]})
    assert world.published_status()["deadlineAt"] == "2026-01-01T01:00:00.000Z"


def test_an_ended_run_keeps_its_progress_and_digest_when_the_spec_changes() -> None:
    world = succeeded()
    before = world.published_status()
    assert before["progress"] == "1/1"
    changed = World({"steps": [run_step("a"), run_step("b")]})
    changed.status, changed.outdated = world.status, ("SpecChanged", "it changed")
    after = changed.published_status(before=before)
    assert (after["progress"], after["specDigest"]) == ("1/1", before["specDigest"])
    broken = World({"steps": []})
    broken.status, broken.outdated = world.status, ("SpecChanged", "it changed")
    raw = broken.published_status(before=before)
    assert (raw["progress"], raw["specDigest"], read_kstatus(raw)) == ("1/1", before["specDigest"], "Current")


def test_a_pause_is_a_condition_that_turns_when_it_goes_on() -> None:
    world = running()
    assert "Paused" not in conditions_of(world.published_status())
    world.request = "pause 1"
    world.settle()
    before = world.published_status()
    assert conditions_of(before)["Paused"]["status"] == "True"
    world.request = "resume 2"
    world.settle()
    after = world.published_status(before=before)
    assert (conditions_of(after)["Paused"]["status"], conditions_of(after)["Paused"]["reason"]) == ("False", "Resumed")


def test_the_step_that_is_undone_is_the_present_one() -> None:
    raw = rolling_back().published_status()
    assert (raw["currentStep"], raw["outcome"]) == ("a_undo", "Failed")
    assert raw["rollback"]["steps"]["a"]["state"] == "Starting"
    assert raw["steps"]["a"]["state"] == "Compensating"
