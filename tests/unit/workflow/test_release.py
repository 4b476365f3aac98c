"""Which children may go, and what is done to let them go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.unit.workflow.world import START, UID

from vapora.api.stepbodies import RunBody
from vapora.core import naming
from vapora.core.plan import Delete, Patch
from vapora.core.views import ChildView, PodView, RevisionView, project
from vapora.core.workflow.attempts import Attempt, build_attempt
from vapora.core.workflow.ranges import Ranges
from vapora.core.workflow.release import child_execution_id, find_settled, plan_release, read_labels
from vapora.core.workflow.revision import build_revision
from vapora.core.workflow.status import Identity, Items, Phase, State, StepStatus, Unit, WorkflowStatus

IDENTITY = Identity("default", "wf", UID)


def build_child(kind: str = "Pod", *, item: int = naming.NO_ITEM, try_: int = 1, **fields: object) -> ChildView:
    key = IDENTITY.child(kind, "a", item, try_)
    manifest = build_attempt(Attempt(IDENTITY, key, "a", item, try_, "default"), RunBody(image="x"))
    metadata = {**manifest["metadata"], "uid": f"uid-{try_}"}
    view = project({**manifest, "metadata": metadata}, kind)
    return replace(view, **fields)


RUNNING = Unit(State.RUNNING, tries=2, attempt=2)
RETRYING = replace(RUNNING, state=State.RETRYING)
FAN = Items(
    total=9,
    succeeded=Ranges(((0, 0),)),
    failed=Ranges(((1, 1),)),
    cancelled=Ranges(((2, 2),)),
    active={3: RUNNING, 4: RETRYING},
)


def status_of(unit: Unit, items: Items | None = None, phase: Phase = Phase.RUNNING) -> WorkflowStatus:
    return WorkflowStatus(phase=phase, steps={"a": StepStatus(unit, items)})


SETTLED: dict[str, tuple[WorkflowStatus, ChildView, bool]] = {
    "the present try is not settled": (status_of(RUNNING), build_child(try_=2), False),
    "a former try is": (status_of(RUNNING), build_child(try_=1), True),
    "a try that is not written yet is not": (status_of(RUNNING), build_child(try_=3), False),
    "a try that waits for the next one is": (status_of(RETRYING), build_child(try_=2), True),
    "so is a Job": (status_of(RETRYING), build_child("Job", try_=2), True),
    "a try of a step that ended is": (status_of(replace(RUNNING, state=State.SUCCEEDED)), build_child(try_=2), True),
    "a try of a step that was cancelled is": (
        status_of(replace(RUNNING, state=State.CANCELLED)),
        build_child(try_=2),
        True,
    ),
    "any try of a workflow that ended is": (status_of(RUNNING, phase=Phase.FAILED), build_child(try_=2), True),
    "a try of a step that is not written at all is not": (WorkflowStatus(), build_child(), False),
    "an item that succeeded is": (status_of(RUNNING, FAN), build_child(item=0), True),
    "an item that failed is": (status_of(RUNNING, FAN), build_child(item=1), True),
    "an item that was cancelled is": (status_of(RUNNING, FAN), build_child(item=2), True),
    "an active item's present try is not": (status_of(RUNNING, FAN), build_child(item=3, try_=2), False),
    "an active item's former try is": (status_of(RUNNING, FAN), build_child(item=3, try_=1), True),
    "an item that waits for its next try is": (status_of(RUNNING, FAN), build_child(item=4, try_=2), True),
    "an item that is not written yet is not": (status_of(RUNNING, FAN), build_child(item=5), False),
    "an item of a step whose items are not written is not": (status_of(RUNNING), build_child(item=0), False),
}


@pytest.mark.parametrize("case", SETTLED)
def test_which_tries_are_settled(case: str) -> None:
    written, view, want = SETTLED[case]
    assert find_settled(written, [view]) == ([view] if want else [])


def test_a_child_that_is_let_go_already_is_not_looked_at() -> None:
    view = build_child(try_=1)
    free = replace(view, meta=replace(view.meta, finalizers=("somebody/else",)))
    assert find_settled(status_of(RUNNING), [free]) == []


def test_a_revision_is_no_try() -> None:
    view = project(build_revision(IDENTITY, {"steps": []}, 1), "ControllerRevision")
    assert isinstance(view, RevisionView)
    assert find_settled(status_of(RUNNING, phase=Phase.SUCCEEDED), [view]) == []


NOW = datetime(2026, 1, 1, 0, 5, 59, tzinfo=UTC)


def plan(view: ChildView, *, is_recorded: bool) -> list[Patch | Delete]:
    settled = find_settled(status_of(RUNNING, phase=Phase.SUCCEEDED), [view])
    return plan_release(IDENTITY, settled, lambda _: is_recorded, NOW)


def test_a_finished_child_waits_until_it_is_recorded() -> None:
    assert plan(build_child(phase="Succeeded"), is_recorded=False) == []


def test_a_recorded_child_is_let_go_with_the_labels_by_which_it_is_collected() -> None:
    view = build_child(phase="Succeeded")
    assert plan(view, is_recorded=True) == [
        Patch(
            view.meta.key,
            {
                "metadata": {
                    "uid": view.meta.uid,
                    "$deleteFromPrimitiveList/finalizers": ["vapora.dev/attempt"],
                    "labels": {
                        "vapora.dev/recorded": "true",
                        "vapora.dev/finished": str(int(START.timestamp()) // 60 + 5),
                        "vapora.dev/outcome": "succeeded",
                    },
                    "managedFields": [{}],
                }
            },
        )
    ]


OUTCOMES = {
    "a Pod that succeeded": (build_child(phase="Succeeded"), "succeeded"),
    "a Pod that failed": (build_child(phase="Failed"), "failed"),
    "a Job that is complete": (build_child("Job", is_complete=True), "succeeded"),
    "a Job that failed": (build_child("Job", is_failed=True), "failed"),
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_the_outcome_that_a_child_is_collected_by(case: str) -> None:
    view, want = OUTCOMES[case]
    [action] = plan(view, is_recorded=True)
    assert isinstance(action, Patch)
    assert action.body["metadata"]["labels"]["vapora.dev/outcome"] == want


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_child_that_still_runs_though_its_try_is_over_is_stopped_before_it_is_let_go(is_recorded: bool) -> None:
    view = build_child(phase="Running")
    assert plan(view, is_recorded=is_recorded) == [Delete(view.meta.key, view.meta.uid, if_unchanged=True)]


def test_a_child_that_is_being_deleted_is_not_deleted_again() -> None:
    view = build_child(phase="Running")
    assert isinstance(view, PodView)
    going = replace(view, meta=replace(view.meta, is_deleting=True))
    assert plan(going, is_recorded=False) == []
    assert [type(action) for action in plan(going, is_recorded=True)] == [Patch]


def test_a_try_is_recorded_under_the_id_that_its_labels_tell() -> None:
    assert read_labels(build_child(item=7, try_=3)) == ("a", 7, 3)
    assert child_execution_id(IDENTITY, build_child(item=7, try_=3)) == f"{UID}/a/7/3"
    assert child_execution_id(IDENTITY, build_child(try_=2)) == f"{UID}/a//2"
