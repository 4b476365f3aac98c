"""What the request annotation asks for, and of whom."""

import pytest
from tests.unit.workflow.world import UID, World, run_step

from vapora.core.workflow.requests import Request, read_request

OTHER = "99999999-2222-3333-4444-555555555555"
CASES = {
    "nothing": ("", None),
    "blanks only": ("  ", None),
    "a verb and an id, as people type it": ("cancel 1", Request("cancel", "")),
    "a verb alone": ("cancel", Request("cancel", "")),
    "a step": ("retry/build 7", Request("retry", "build")),
    "this object": (f"cancel {UID} 1", Request("cancel", "")),
    "another object of the same name": (f"cancel {OTHER} 1", None),
    "a word in the uid's place that is no uid": ("cancel please now", Request("cancel", "")),
    "a uid as the unique id": (f"cancel {OTHER}", Request("cancel", "")),
}


@pytest.mark.parametrize("case", CASES)
def test_how_the_annotation_is_read(case: str) -> None:
    text, want = CASES[case]
    assert read_request(text, UID) == want


@pytest.mark.parametrize("text", ["retry 1", "retry/a 1", "cancel/a 1", "frobnicate 1"])
def test_what_cannot_be_done_is_refused_once_and_changes_nothing(text: str) -> None:
    world = World({"steps": [run_step("a")]})
    world.settle()
    world.request = text
    world.settle()
    world.settle()
    assert [event.reason for event in world.events] == ["WorkflowStarted", "RequestRefused"]
    assert str(world.status.phase) == "Running"
    world.finish("a")
    assert str(world.status.phase) == "Succeeded"


def test_a_request_is_carried_out_once_also_after_a_restart() -> None:
    world = World({"steps": [run_step("a")]})
    world.request = "pause 1"
    world.settle()
    told = len(world.events)
    world.restart()
    world.settle()
    assert len(world.events) == told


def test_a_request_to_cancel_what_has_not_begun_starts_nothing() -> None:
    world = World({"steps": [run_step("a")]})
    world.request = "cancel 1"
    world.settle()
    assert (str(world.status.phase), world.created) == ("Cancelled", [])


def test_a_finished_workflow_cannot_be_cancelled() -> None:
    world = World({"steps": [run_step("a")]})
    world.settle()
    world.finish("a")
    world.request = "cancel 1"
    world.settle()
    assert str(world.status.phase) == "Succeeded"


def test_a_request_of_any_length_is_noted_as_handled_in_a_kibibyte() -> None:
    world = World({"steps": [run_step("a")]})
    world.request = "frobnicate " + "x" * 100_000
    world.settle()
    world.settle()
    assert len(world.status.handled_request.encode()) == 1024
    assert [event.reason for event in world.events].count("RequestRefused") == 1
