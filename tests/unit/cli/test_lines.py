"""What a log says about a workflow that is watched."""

from copy import deepcopy
from typing import Any

from tests.unit.cli.objects import APPROVING, FAILED, NOW, REFUSED, RUNNING, UNDOING

from vapora.cli.show.lines import tell_changes

Json = dict[str, Any]


def change(workflow: Json, step: str, **fields: object) -> Json:
    changed = deepcopy(workflow)
    changed["status"]["steps"].setdefault(step, {}).update(fields)
    return changed


def test_at_first_all_that_began_is_told_and_where_the_workflow_stands() -> None:
    lines = tell_changes(None, RUNNING, NOW)
    assert lines[0] == "12:00:00 checkout  Succeeded  6s  Pod release-0a1b2c3d4e"
    assert lines[-1] == "12:00:00 team/release  Running  2/7"
    assert not any("report" in line for line in lines)


def test_the_same_again_says_nothing() -> None:
    assert tell_changes(RUNNING, deepcopy(RUNNING), NOW) == []


def test_a_step_that_moved_is_told_in_a_line() -> None:
    ended = change(RUNNING, "train", state="Succeeded", finishedAt="2026-03-04T12:00:00Z")
    assert tell_changes(RUNNING, ended, NOW) == ["12:00:00 train  Succeeded  1m53s  Job release-5f6a7b8c9d"]


def test_progress_of_items_is_told() -> None:
    items = {**RUNNING["status"]["steps"]["tasks"]["items"], "succeeded": "0-24,26-37", "active": []}
    assert tell_changes(RUNNING, change(RUNNING, "tasks", items=items), NOW) == [
        "12:00:00 tasks  Running  38/40  1m53s"
    ]


def test_a_failure_is_told_with_its_cause() -> None:
    broken = change(RUNNING, "train", state="Failed", reason="ExitCode", message="exit code 1")
    assert tell_changes(RUNNING, broken, NOW)[1] == "12:00:00   ExitCode: exit code 1"


def test_a_failed_workflow_says_why() -> None:
    lines = tell_changes({**FAILED, "status": {}}, FAILED, NOW)
    assert lines[-2:] == [
        "12:00:00 team/release  Failed  4/4",
        "12:00:00   StepFailed: publish: ExitCode: exit code 1",
    ]


def test_a_refused_workflow_says_why() -> None:
    lines = tell_changes({**REFUSED, "status": {}}, REFUSED, NOW)
    assert lines == ["12:00:00 team/release  Pending", "12:00:00   InvalidSpec: spec.steps: a -> b -> a is a cycle"]


def test_who_approved_and_what_is_undone_is_told() -> None:
    told = tell_changes(None, APPROVING, NOW)
    assert "12:00:00   approved by bob: looks good" in told
    assert "12:00:00   vapora workflow approve release gate" in told
    assert "12:00:00 undo shop  Succeeded  40s" in tell_changes(None, UNDOING, NOW)
