"""What is recorded of a try whose process is gone: what is written of it goes before what its child or agent says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.unit.workflow.world import UID

from vapora.api.stepbodies import RunBody
from vapora.core import naming
from vapora.core.learning.signature import compute_signature
from vapora.core.plan import Key
from vapora.core.views import ContainerEnd, JobView, PodView, project
from vapora.core.workflow.attempts import Attempt, build_attempt
from vapora.core.workflow.definition import read_definition
from vapora.core.workflow.executions import execution_of_answer, execution_of_child, executions_of_rows, relate
from vapora.core.workflow.results import AgentResult, Answered
from vapora.core.workflow.status import Identity, State, StepStatus, Unit, WorkflowStatus
from vapora.core.workflow.tracing import build_traceparent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IDENTITY = Identity("default", "wf", UID)
RUNNING = Unit(State.RUNNING, tries=2, attempt=2, effect=2)
ENDED = Unit(State.SUCCEEDED, tries=2, attempt=2, started_at=NOW, finished_at=NOW)
POD, CHILD = Key("Pod", "default", "a"), Key("Workflow", "default", "a")


def build_pod(try_: int, **fields: object) -> PodView | JobView:
    key = IDENTITY.child("Pod", "a", naming.NO_ITEM, try_)
    manifest = build_attempt(Attempt(IDENTITY, key, "a", naming.NO_ITEM, try_, "default"), RunBody(image="x"))
    view = project({**manifest, "metadata": {**manifest["metadata"], "uid": f"uid-{try_}"}}, "Pod")
    assert isinstance(view, PodView)
    return replace(view, **fields)


CHILDREN: Mapping[str, tuple[Unit, PodView | JobView, tuple[str, str]]] = {
    "one that succeeded": (RUNNING, build_pod(2, phase="Succeeded"), ("success", "")),
    "one that was followed by another although it succeeded gave no result": (
        RUNNING,
        build_pod(1, phase="Succeeded"),
        ("failure", "OutputInvalid"),
    ),
    "one that was followed by another and tells nothing was lost": (RUNNING, build_pod(1), ("failure", "ChildLost")),
    "the last one, of which nothing is told, was cancelled": (RUNNING, build_pod(2), ("cancelled", "")),
    "one that is written as failed": (
        replace(RUNNING, state=State.FAILED, reason="TimedOut"),
        build_pod(2, phase="Succeeded"),
        ("failure", "TimedOut"),
    ),
}


@pytest.mark.parametrize(("unit", "view", "want"), CHILDREN.values(), ids=CHILDREN.keys())
def test_what_a_child_is_recorded_as(unit: Unit, view: PodView | JobView, want: tuple[str, str]) -> None:
    found = execution_of_child(IDENTITY, view, WorkflowStatus(steps={"a": StepStatus(unit)}), NOW)
    assert (found.outcome, found.reason) == want


ANSWERS: Mapping[str, tuple[Unit, int, str, tuple[str, str]]] = {
    "the answer that a step goes by": (RUNNING, 2, "success", ("success", "")),
    "a failure": (RUNNING, 1, "failure", ("failure", "TaskFailed")),
    "a task that was given up and repeated failed": (RUNNING, 1, "cancelled", ("failure", "TaskCancelled")),
    "a task that was given up and not repeated was cancelled": (RUNNING, 2, "cancelled", ("cancelled", "TaskFailed")),
    "a success that was followed by another task gave no result": (RUNNING, 1, "success", ("failure", "OutputInvalid")),
    "an answer that is written as a failure": (
        replace(RUNNING, state=State.RETRYING, reason="OutputInvalid"),
        2,
        "success",
        ("failure", "OutputInvalid"),
    ),
}


@pytest.mark.parametrize(("unit", "effect", "outcome", "want"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_an_answer_is_recorded_as(unit: Unit, effect: int, outcome: str, want: tuple[str, str]) -> None:
    answered = Answered(f"{UID}/a/0/{effect}", "a", naming.NO_ITEM, effect, unit, AgentResult(outcome))
    found = execution_of_answer(IDENTITY, answered, NOW)
    assert (found.outcome, found.reason) == want


def test_a_failure_says_what_was_written_of_it_or_else_what_its_child_says() -> None:
    view = build_pod(1, phase="Failed", end=ContainerEnd(28, "Error", "disk 3 is full", NOW))
    told = execution_of_child(IDENTITY, view, WorkflowStatus(steps={"a": StepStatus(RUNNING)}), NOW)
    assert (told.reason, told.message, told.exit_code) == ("ExitCode", "exit code 28: disk 3 is full", 28)
    assert told.error_signature == compute_signature("ExitCode", 28, "exit code 28: disk 7 is full")
    unit = replace(RUNNING, tries=1, state=State.FAILED, reason="TimedOut", message="it took too long")
    written = execution_of_child(IDENTITY, view, WorkflowStatus(steps={"a": StepStatus(unit)}), NOW)
    assert (written.reason, written.message, written.exit_code) == ("TimedOut", "it took too long", None)


def test_a_task_is_recorded_with_the_trace_that_its_agent_was_told() -> None:
    found = execution_of_answer(IDENTITY, Answered("t", "a", naming.NO_ITEM, 2, RUNNING, AgentResult("success")), NOW)
    assert build_traceparent(UID, "a", None, 1).split("-")[1] == found.trace_id


def test_the_pool_that_an_agent_says_is_recorded_only_where_the_status_has_forgotten_it() -> None:
    answer = AgentResult("success", pool="theirs")
    for unit, want in ((Unit(), "theirs"), (replace(RUNNING, pool="ours"), "ours")):
        found = execution_of_answer(IDENTITY, Answered(f"{UID}/a/3/1", "a", 3, 1, unit, answer), NOW)
        assert found.pool == f"{IDENTITY.namespace}/{want}"


def test_an_answer_that_is_a_failure_says_the_agents_words() -> None:
    answer = AgentResult("failure", message="tests are red")
    found = execution_of_answer(IDENTITY, Answered(f"{UID}/a/0/1", "a", naming.NO_ITEM, 1, RUNNING, answer), NOW)
    assert (found.message, found.error_signature) == (
        "tests are red",
        compute_signature("TaskFailed", None, "tests are red"),
    )


def test_who_comes_later_knows_what_a_step_depends_on_gave_and_changed() -> None:
    raw = {"steps": [{"name": "z", "run": {"image": "x"}}, {"name": "a", "run": {"image": "x"}, "dependsOn": ["z"]}]}
    definition = read_definition(raw)
    inventory = [{"kind": "Taskserv", "namespace": "default", "name": "api"}, {"kind": "Namespace", "name": "n"}]
    row = StepStatus(replace(ENDED, memory={"inventory": inventory}), outputs={"image": "x:1"})
    [found] = executions_of_rows(IDENTITY, written := WorkflowStatus(steps={"a": row}), {"a": "apply"})
    told = relate(found, definition, written)
    assert (told.depends_on, told.produced) == (("z",), ("image",))
    assert told.deployed == ("Taskserv/default/api", "Namespace/n")
    former = relate(replace(found, try_=1), definition, written)
    assert (former.depends_on, former.produced, former.deployed) == (("z",), (), ())


ROWS: Mapping[str, tuple[StepStatus, list[tuple[str, str]]]] = {
    "a call that succeeded": (StepStatus(ENDED), [("success", "")]),
    "one that is tried again": (StepStatus(replace(ENDED, state=State.RETRYING, reason="X")), [("failure", "X")]),
    "one that was cancelled": (StepStatus(replace(ENDED, state=State.CANCELLED, reason="X")), [("cancelled", "X")]),
    "one that is undone": (StepStatus(replace(ENDED, state=State.COMPENSATED)), [("success", "")]),
    "one that goes on tells nothing": (StepStatus(replace(ENDED, state=State.RUNNING, finished_at=None)), []),
    "a task's answer tells of it": (StepStatus(replace(ENDED, pool="p")), []),
    "a Pod tells of itself": (StepStatus(replace(ENDED, child=POD, reason="ExitCode")), []),
    "a Pod that was refused tells nothing": (
        StepStatus(replace(ENDED, child=POD, state=State.FAILED, reason="AdmissionRefused")),
        [("failure", "AdmissionRefused")],
    ),
    "a child Workflow is not recorded by itself": (StepStatus(replace(ENDED, child=CHILD)), [("success", "")]),
}


@pytest.mark.parametrize(("row", "want"), ROWS.values(), ids=ROWS.keys())
def test_what_a_row_alone_tells(row: StepStatus, want: list[tuple[str, str]]) -> None:
    found = executions_of_rows(IDENTITY, WorkflowStatus(steps={"a": row}), {"a": "http"})
    assert [(execution.outcome, execution.reason) for execution in found] == want
    assert [(execution.id, execution.task_type) for execution in found] == [(f"{UID}/a//2", "http")] * len(want)
