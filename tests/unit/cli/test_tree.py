"""The tree of a workflow, as it stands on terminals of two widths."""

import io
from typing import Any

import pytest
from rich.console import Console
from tests.unit.cli.objects import APPROVING, FAILED, NOW, REFUSED, RUNNING, UNDOING, UNSEEN, build_step, build_workflow
from tests.unit.cli.snapshots import compare

from vapora.cli.show.tree import build_tree

Json = dict[str, Any]
WORKFLOWS = {
    "running": RUNNING,
    "failed": FAILED,
    "refused": REFUSED,
    "unseen": UNSEEN,
    "approving": APPROVING,
    "undoing": UNDOING,
}


class AsciiFile(io.StringIO):
    encoding = "ascii"


def draw(workflow: Json, width: int = 80, limit: int | None = None, file: io.StringIO | None = None) -> str:
    file = file or io.StringIO()
    Console(file=file, width=width, no_color=True).print(build_tree(workflow, NOW, limit=limit))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_tree_looks_as_it_did(name: str, width: int) -> None:
    """Set UPDATE_SNAPSHOTS=1 to accept what is drawn now."""
    compare(draw(WORKFLOWS[name], width), f"{name}-{width}")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_tree_fits_eighty_columns(name: str) -> None:
    assert max(len(line) for line in draw(WORKFLOWS[name]).splitlines()) <= 80


def test_a_console_without_unicode_gets_ascii() -> None:
    draw(RUNNING, file=AsciiFile()).encode("ascii")


def test_what_a_container_said_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in draw(RUNNING)


def test_of_many_steps_those_that_need_a_look_are_shown_and_the_others_counted() -> None:
    rows: Json = {f"s{i}": {"state": "Succeeded"} for i in range(50)}
    rows |= {"s20": {"state": "Failed", "reason": "ExitCode"}, "s30": {"state": "Running"}}
    lines = draw(build_workflow([build_step(f"s{i}") for i in range(60)], {"steps": rows}), limit=3).splitlines()
    assert [line.split()[2] for line in lines if "s2" in line or "s3" in line or "s5" in line] == ["s20", "s30", "s50"]
    assert lines[-1].endswith("and 57 more: 48 Succeeded, 9 Waiting")


def test_steps_that_only_the_status_knows_are_shown_too() -> None:
    drawn = draw(build_workflow([], {"steps": {"from-template": {"state": "Running"}}}, templateRef={"name": "t"}))
    assert "from-template" in drawn


def test_a_sequence_waits_for_the_step_before() -> None:
    workflow = build_workflow([build_step("a"), build_step("b")], {"steps": {"a": {"state": "Running"}}})
    assert "waits for a" not in draw(workflow)
    workflow["spec"]["type"] = "sequential"
    assert "waits for a" in draw(workflow)


def test_a_completion_step_that_does_not_follow_this_end_is_not_shown() -> None:
    ended = {**UNDOING, "status": {**UNDOING["status"], "phase": "RolledBack"}}
    assert "praise" in draw(UNDOING)
    assert "praise" not in draw(ended)


def test_the_question_before_a_rollback_comes_first_and_says_how_to_answer_it() -> None:
    asks = {"approve_rollback": {"state": "WaitingApproval"}, **UNDOING["status"]["rollback"]["steps"]}
    rollback = {**UNDOING["status"]["rollback"], "steps": asks}
    drawn = draw({**UNDOING, "status": {**UNDOING["status"], "rollback": rollback}})
    assert drawn.index("vapora workflow approve release approve_rollback") < drawn.index("undo shop")
