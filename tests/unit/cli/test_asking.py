"""What can be asked of a workflow, and when a request was looked at."""

from typing import Any

import pytest
from tests.unit.cli.objects import FAILED, RUNNING, build_step, build_workflow

from vapora.cli.asking import Asked, CannotAsk, check_request, is_heeded
from vapora.core.workflow.requests import Request, read_request, write_request

Json = dict[str, Any]
DONE = build_workflow([build_step("a"), build_step("b")], {"phase": "Succeeded"})
HELD = build_workflow([build_step("a")], {"phase": "Paused"}, paused=True)
UID = str(DONE["metadata"]["uid"])
ASKED = f"retry/b {UID} 0a1b2c3d"

REFUSED: dict[str, tuple[Json, str, str, str]] = {
    "an ended one is not paused": (FAILED, "pause", "", "it has ended (Failed); only retry and rollback are possible"),
    "one that goes on is not retried": (RUNNING, "retry", "", "it has not ended (Running)"),
    "one that succeeded needs a step": (DONE, "retry", "", "it succeeded; name a step to start again from"),
    "a step must be there": (DONE, "retry", "c", "there is no step 'c'; there are a, b"),
    "the spec holds it": (HELD, "resume", "", "its spec says paused: true"),
}


@pytest.mark.parametrize(("workflow", "verb", "step", "words"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_refused_is_not_asked(workflow: Json, verb: str, step: str, words: str) -> None:
    with pytest.raises(CannotAsk) as refused:
        check_request(workflow, Asked(verb, step, "1"))
    assert words in str(refused.value)


ALLOWED = {
    "a failed one is retried": (FAILED, "retry", ""),
    "one that succeeded is retried from a step": (DONE, "retry", "b"),
    "one that succeeded is undone": (DONE, "rollback", ""),
    "one that runs is terminated": (RUNNING, "terminate", ""),
}


@pytest.mark.parametrize(("workflow", "verb", "step"), ALLOWED.values(), ids=ALLOWED)
def test_what_can_be_asked_is(workflow: Json, verb: str, step: str) -> None:
    check_request(workflow, Asked(verb, step, "1"))


def test_a_request_is_read_as_it_was_written_by_its_own_object_alone() -> None:
    written = write_request(Asked("retry", "b", "0a1b2c3d").words, UID, "0a1b2c3d")
    assert written == ASKED
    assert read_request(written, UID) == Request("retry", "b")
    assert read_request(written, UID.replace("5", "6")) is None


HEEDED = {
    "what was carried out": ({"vapora.dev/request": ASKED}, {"handledRequest": ASKED}, True),
    "what was not seen yet": ({"vapora.dev/request": ASKED}, {"handledRequest": "pause 1"}, False),
    "what somebody else's took the place of": ({"vapora.dev/request": "pause 2"}, {}, True),
}


@pytest.mark.parametrize(("annotations", "status", "is_so"), HEEDED.values(), ids=HEEDED)
def test_an_end_counts_only_after_the_request_was_looked_at(annotations: Json, status: Json, is_so: bool) -> None:
    assert is_heeded({"metadata": {"annotations": annotations}, "status": status}, ASKED) is is_so
