"""Steps that wait: for a time, or for an object."""

from datetime import timedelta

import pytest
from tests.unit.procedures.course import NOW, drive, failed, finished, situation

from vapora.core.calls import Answer, ObjectRef, ReadCall
from vapora.core.procedures.wait import wait
from vapora.core.workflow.procedure import Ask, Finished, Rest

CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": "data"}
BOUND = {"until": "object.status.phase == 'Bound'", "object": CLAIM, "every": "3s"}


def test_a_time_is_counted_from_the_start_of_the_try() -> None:
    decided = wait(situation({"for": "1h"}, after=600))
    assert decided == Rest(NOW + timedelta(hours=1), "waits for 3600 s")
    assert wait(situation({"for": "1h"}, after=3600)) == Finished()


def test_an_object_is_read_in_the_workflows_namespace() -> None:
    decided = wait(situation(BOUND))
    assert decided == Ask(ReadCall((ObjectRef("v1", "PersistentVolumeClaim", "default", "data"),)))


def test_it_looks_again_and_again_until_the_expression_holds() -> None:
    looks = iter([None, {}, {"status": {}}, {"status": {"phase": "Pending"}}, {"status": {"phase": "Bound"}}])
    course = drive(wait, situation(BOUND), lambda call: Answer([next(looks)]))
    assert finished(course) == {"object": {"status": {"phase": "Bound"}}}
    claim, phase = "waits for PersistentVolumeClaim data", "object.status.phase == 'Bound'"
    assert [rest.why for rest in course.rests] == [
        f"{claim}, which is not there: {phase} has no value yet",
        f"{claim}: {phase} has no value yet (no field 'status')",
        f"{claim}: {phase} has no value yet (no field 'phase')",
        f"{claim}: {phase} is false",
    ]
    assert [rest.until for rest in course.rests] == [NOW + timedelta(seconds=3 * n) for n in (1, 2, 3, 4)]


def test_it_can_wait_until_an_object_is_gone() -> None:
    looks = iter([{"spec": {}}, None])
    course = drive(wait, situation({"until": "object == null", "object": CLAIM}), lambda call: Answer([next(looks)]))
    assert finished(course) == {"object": None}
    assert course.rests[0].until == NOW + timedelta(seconds=10)


PASSING = {
    "an API that does not answer": Answer(None, "ApiUnavailable", "no answer in 30 s"),
    "a kind that is not there yet": Answer(None, "NotFound", "the server has no kind Widget"),
}


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
def test_what_says_nothing_of_the_object_is_waited_out(answer: Answer) -> None:
    decided = wait(situation(BOUND, answer))
    assert isinstance(decided, Rest)
    assert decided.why == f"waits for PersistentVolumeClaim data: {answer.message}"


MISTAKES = {
    "a type error": (
        {**BOUND, "until": "object.status.phase > 3"},
        Answer([{"status": {"phase": "x"}}]),
        "ExpressionFailed",
        "wait.until, on PersistentVolumeClaim data: 'object.status.phase > 3': No such overload",
    ),
    "an expression that is no condition": (
        {**BOUND, "until": "object.status"},
        Answer([{"status": {"n": 1}}]),
        "ExpressionFailed",
        "wait.until: 'object.status' gave {\"n\": 1}; it must give true or false",
    ),
    "an expression that is no CEL": (
        {**BOUND, "until": "object.("},
        None,
        "ExpressionFailed",
        "wait.until: 'object.('",
    ),
    "an account without the right": (
        BOUND,
        Answer(None, "Forbidden", "may not get"),
        "AccountForbidden",
        "may not get",
    ),
    "neither for nor until": ({}, None, "InvalidInput", "wait: exactly one of for and until is needed"),
    "no duration": ({"for": "soon"}, None, "InvalidInput", "wait.for: 'soon' is no duration"),
}


@pytest.mark.parametrize(("body", "answer", "reason", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_fails_the_step(body: dict[str, object], answer: Answer | None, reason: str, message: str) -> None:
    said = failed(wait(situation(body, answer)))
    assert said[0] == reason
    assert said[1].startswith(message)


def test_a_crash_makes_it_look_again() -> None:
    course = drive(wait, situation(BOUND), lambda call: Answer([{"status": {"phase": "Bound"}}]), crash_at=0)
    assert len(course.calls) == 2
    finished(course)
