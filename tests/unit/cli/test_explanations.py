"""Why something does not run, as it is told on terminals of two widths and to programs."""

import json

import pytest
from tests.unit.cli.objects import (
    APPROVING,
    FAILED,
    NOW,
    REFUSED,
    RUNNING,
    UNSEEN,
    build_condition,
    build_step,
    build_workflow,
)
from tests.unit.cli.snapshots import compare, draw

from vapora.cli.show.explanations import Explanation, add_evidence, explain_workflow
from vapora.cli.workflow.explaining import draw_explanation, write_explanation

WORKFLOWS = {"running": RUNNING, "failed": FAILED, "refused": REFUSED, "unseen": UNSEEN, "approving": APPROVING}


def find(workflow: dict, subject: str) -> Explanation:
    return next(entry for entry in explain_workflow(workflow, None, NOW) if entry.subject == subject)


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", WORKFLOWS)
def test_an_explanation_looks_as_it_did(name: str, width: int) -> None:
    """Set UPDATE_SNAPSHOTS=1 to accept what is drawn now."""
    told = [
        add_evidence(entry, ["event FailedMount: not there"]) for entry in explain_workflow(WORKFLOWS[name], None, NOW)
    ]
    compare(draw(*(draw_explanation(entry, NOW) for entry in told), width=width), f"explain-{name}-{width}")


def test_a_try_that_is_due_says_when_and_how_to_see_what_the_last_one_said() -> None:
    found = find(RUNNING, "step lint")
    assert (found.reason, (found.due - NOW).total_seconds() if found.due else None) == ("ExitCode", 8)
    assert "vapora workflow logs release --step lint" in found.unblock


def test_a_step_that_lacks_a_pool_says_what_would_do() -> None:
    found = find(RUNNING, "step review")
    assert found.reason == "NoMatchingPool"
    assert "a pool of namespace team" in found.unblock


def test_only_what_has_begun_is_explained_unless_a_step_is_named() -> None:
    assert "step report" not in {entry.subject for entry in explain_workflow(RUNNING, None, NOW)}
    [report] = explain_workflow(RUNNING, "report", NOW)
    assert (report.state, report.message) == ("Waiting", "waits for tasks, train, lint")


def test_of_an_ended_workflow_only_what_failed_is_explained() -> None:
    subjects = [entry.subject for entry in explain_workflow(FAILED, None, NOW)]
    assert subjects == ["workflow team/release", "step publish"]


def test_a_pause_names_the_way_on_and_since_when() -> None:
    paused = build_condition("Paused", "True", "Paused", "asked for by a request")
    status = {"phase": "Paused", "pausedAt": "2026-03-04T11:59:00Z", "conditions": [paused]}
    found = find(build_workflow([build_step("a")], status), "workflow team/release")
    assert (found.since, "vapora workflow resume release" in found.unblock) == (NOW.replace(hour=11, minute=59), True)


def test_an_unknown_step_is_an_error() -> None:
    with pytest.raises(KeyError):
        explain_workflow(RUNNING, "nobody", NOW)


def test_programs_get_the_same_without_what_is_not_known() -> None:
    told = json.loads(json.dumps([write_explanation(entry) for entry in explain_workflow(RUNNING, None, NOW)]))
    lint = next(entry for entry in told if entry["subject"] == "step lint")
    assert (lint["nextLook"], lint["nextLookFor"]) == ("2026-03-04T12:00:08Z", "the next try")
    assert all(value for entry in told for value in entry.values())
