"""What the logs of agents say of the tasks of one workflow."""

import json

import pytest

from vapora.cli.show.agentlines import find_task_lines

WORKFLOW = {"metadata": {"uid": "u"}, "status": {"steps": {"review": {}, "fix": {"items": {"total": 2}}}}}
POD = "developer-0"


def line(**said: object) -> str:
    return json.dumps({"at": "2026-01-01T00:00:00.000+00:00", "level": "info", "logger": "mine", **said})


READ = {
    "what a handler logs": (
        line(message="here", task="u/review/0/1", traceparent="00-1-2-01"),
        [("review developer-0", "here")],
    ),
    "what stands beside the message": (
        line(message="task ended", task="u/review/0/1", outcome="success"),
        [("review developer-0", "task ended  outcome=success")],
    ),
    "an item's": (line(message="here", task="u/fix/0/1"), [("fix[0] developer-0", "here")]),
    "an exception": (
        line(message="a handler raised", task="u/review/0/2", traceback="Traceback:\nValueError"),
        [("review developer-0", said) for said in ("a handler raised", "Traceback:", "ValueError")],
    ),
    "another workflow's": (line(message="here", task="v/review/0/1"), []),
    "that of no task": (line(message="draining"), []),
    "a task's id that is none": (line(message="here", task="u/review"), []),
    "what is no JSON": ("plain words", []),
    "JSON that is no object": ("[1]", []),
}


@pytest.mark.parametrize(("said", "told"), READ.values(), ids=READ.keys())
def test_a_line_is_told(said: str, told: list[tuple[str, str]]) -> None:
    assert find_task_lines(WORKFLOW, "").read(POD, said) == told


def test_of_one_step_only_its_own_lines_are_told() -> None:
    ours, other = line(message="ours", task="u/review/0/1"), line(message="other", task="u/fix/1/1")
    lines = find_task_lines(WORKFLOW, "review")
    assert [*lines.read(POD, ours), *lines.read(POD, other)] == [("review developer-0", "ours")]
