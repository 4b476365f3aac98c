"""What agents answer, read leniently; and which answers nobody waits for any more."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.unit.workflow.world import UID

from vapora.core.workflow.ranges import Ranges
from vapora.core.workflow.results import (
    AgentResult,
    Answered,
    find_answered,
    is_answered,
    read_result,
    split_task_id,
)
from vapora.core.workflow.status import Items, Phase, State, StepStatus, Unit, WorkflowStatus

NOT_READABLE = AgentResult("failure", code="Unreadable", message="the agent's answer is no task result")
AT = datetime(2026, 1, 1, tzinfo=UTC)
READ: dict[str, tuple[dict[str, object], AgentResult]] = {
    "the least": ({"outcome": "success"}, AgentResult("success")),
    "an output of any type": ({"outcome": "success", "output": [1, None]}, AgentResult("success", [1, None])),
    "a failure with its reason": (
        {"outcome": "failure", "error": {"code": "E1", "message": "tests are red"}},
        AgentResult("failure", code="E1", message="tests are red"),
    ),
    "a failure that would come again": (
        {"outcome": "failure", "error": {"code": "E1", "retryable": False}},
        AgentResult("failure", code="E1", is_retryable=False),
    ),
    "a task that was given up": ({"outcome": "cancelled"}, AgentResult("cancelled")),
    "what it cost": (
        {
            "outcome": "success",
            "quality": 0.5,
            "tokens": {"prompt": 10, "completion": 5},
            "costCents": 13,
            "model": "m",
            "provider": "p",
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T00:00:00+00:00",
        },
        AgentResult(
            "success",
            quality=0.5,
            tokens=15,
            prompt_tokens=10,
            cost_cents=13,
            model="m",
            provider="p",
            started_at=AT,
            finished_at=AT,
        ),
    ),
    "quality beyond its bounds": ({"outcome": "success", "quality": 7}, AgentResult("success", quality=1.0)),
    "quality below its bounds": ({"outcome": "success", "quality": -1}, AgentResult("success", quality=0.0)),
    "quality that is no number": ({"outcome": "success", "quality": "good"}, AgentResult("success")),
    "quality that is true": ({"outcome": "success", "quality": True}, AgentResult("success")),
    "quality that is NaN": ({"outcome": "success", "quality": float("nan")}, AgentResult("success")),
    "counts below zero": (
        {"outcome": "success", "tokens": {"prompt": -5, "completion": 2}, "costCents": -1},
        AgentResult("success", tokens=2),
    ),
    "counts that are no numbers": (
        {"outcome": "success", "tokens": {"prompt": "many"}, "costCents": "dear"},
        AgentResult("success"),
    ),
    "numbers that no float can hold": (
        {"outcome": "success", "quality": 10**400, "tokens": {"prompt": 10**400}, "costCents": -(10**400)},
        AgentResult("success"),
    ),
    "an endless cost": ({"outcome": "success", "costCents": float("inf")}, AgentResult("success")),
    "tokens that are no object": ({"outcome": "success", "tokens": 5}, AgentResult("success")),
    "an error that is no object": ({"outcome": "failure", "error": "boom"}, AgentResult("failure")),
    "a time without a zone": ({"outcome": "success", "startedAt": "2026-01-01T00:00:00"}, AgentResult("success")),
    "a time that is none": ({"outcome": "success", "finishedAt": "soon"}, AgentResult("success")),
    "a model that is no text": ({"outcome": "success", "model": 4}, AgentResult("success")),
    "fields of a newer version": ({"outcome": "success", "mood": "good"}, AgentResult("success")),
    "no outcome": ({}, NOT_READABLE),
    "an unknown outcome": ({"outcome": "maybe"}, NOT_READABLE),
    "an outcome that is a list": ({"outcome": ["success"]}, NOT_READABLE),
}


@pytest.mark.parametrize("case", READ)
def test_how_an_answer_is_read(case: str) -> None:
    raw, want = READ[case]
    assert read_result(raw, None) == want


def test_a_message_that_is_no_result_says_what_was_wrong() -> None:
    assert read_result(None, "not JSON") == replace(NOT_READABLE, message="not JSON")
    assert read_result(None, None) == NOT_READABLE


def test_only_the_brokers_own_word_is_undeliverable() -> None:
    assert AgentResult("failure", code="Undeliverable").is_undeliverable
    assert not AgentResult("failure", code="ValueError").is_undeliverable


IDS = {
    "a task's id": ("u/build/3/2", ("build", 3, 2)),
    "too few parts": ("u/build/3", None),
    "too many parts": ("u/build/3/2/1", None),
    "an item that is no number": ("u/build/x/2", None),
    "an effect that is no number": ("u/build/3/-2", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize("case", IDS)
def test_how_a_tasks_id_is_split(case: str) -> None:
    text, want = IDS[case]
    assert split_task_id(text) == want


RUNNING = Unit(State.RUNNING, tries=2, attempt=2, effect=2, pool="p")
FAN = Items(
    total=9,
    succeeded=Ranges(((0, 1),)),
    failed=Ranges(((2, 2),)),
    cancelled=Ranges(((3, 3),)),
    active={4: RUNNING, 5: replace(RUNNING, state=State.RETRYING, reason="TaskFailed")},
)


def status_of(unit: Unit, items: Items | None = None, phase: Phase = Phase.RUNNING) -> WorkflowStatus:
    return WorkflowStatus(phase=phase, steps={"t": StepStatus(unit, items)})


ANSWERS: dict[str, tuple[WorkflowStatus, tuple[str, int, int], bool]] = {
    "the present effect of a running task is awaited": (status_of(RUNNING), ("t", 0, 2), False),
    "so is that of one that is about to be given out": (
        status_of(replace(RUNNING, state=State.STARTING)),
        ("t", 0, 2),
        False,
    ),
    "an effect to come is awaited": (status_of(RUNNING), ("t", 0, 3), False),
    "a former effect is not": (status_of(RUNNING), ("t", 0, 1), True),
    "what failed and waits for its next try is not": (
        status_of(replace(RUNNING, state=State.RETRYING, reason="TaskFailed")),
        ("t", 0, 2),
        True,
    ),
    "what timed out may still be answered": (
        status_of(replace(RUNNING, state=State.RETRYING, reason="TimedOut", is_open=True)),
        ("t", 0, 2),
        False,
    ),
    "what timed out and was answered then is not awaited": (
        status_of(replace(RUNNING, state=State.RETRYING, reason="TimedOut", pool="")),
        ("t", 0, 2),
        True,
    ),
    "a step that ended awaits nothing": (status_of(replace(RUNNING, state=State.FAILED)), ("t", 0, 2), True),
    "a workflow that ended awaits nothing": (status_of(RUNNING, phase=Phase.CANCELLED), ("t", 0, 2), True),
    "a step that waits may have its effect unwritten": (status_of(Unit()), ("t", 0, 1), False),
    "a step that is not there yet may too": (WorkflowStatus(), ("t", 0, 1), False),
    "a plain step has no item": (status_of(RUNNING), ("t", 1, 2), True),
    "an active item is awaited": (status_of(RUNNING, FAN), ("t", 4, 2), False),
    "an active item's former effect is not": (status_of(RUNNING, FAN), ("t", 4, 1), True),
    "an item that waits for its next try is not": (status_of(RUNNING, FAN), ("t", 5, 2), True),
    "an item that succeeded is not": (status_of(RUNNING, FAN), ("t", 1, 1), True),
    "an item that failed is not": (status_of(RUNNING, FAN), ("t", 2, 1), True),
    "an item that was cancelled is not": (status_of(RUNNING, FAN), ("t", 3, 1), True),
    "an item to come is awaited": (status_of(RUNNING, FAN), ("t", 6, 1), False),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_which_answers_nobody_waits_for(case: str) -> None:
    written, (step, item, effect), want = ANSWERS[case]
    assert is_answered(written, step, item, effect) == want


def test_answers_are_found_with_the_unit_that_they_were_for() -> None:
    answer = AgentResult("success")
    known = {f"{UID}/t/0/1": answer, f"{UID}/t/0/2": answer}
    assert find_answered(status_of(RUNNING), known) == [Answered(f"{UID}/t/0/1", "t", -1, 1, RUNNING, answer)]
    found = find_answered(status_of(RUNNING, FAN), {f"{UID}/t/1/1": answer})
    assert [(row.item, row.effect, row.unit) for row in found] == [(1, 1, Unit())]


def test_an_answer_to_no_task_is_awaited_until_the_workflow_ends() -> None:
    answer = {"nonsense": AgentResult("success")}
    assert find_answered(status_of(RUNNING), answer) == []
    assert len(find_answered(status_of(RUNNING, phase=Phase.SUCCEEDED), answer)) == 1


def test_parts_of_a_cent_add_up_over_many_tasks_and_stay_the_same_for_each() -> None:
    def read(number: int) -> int:
        raw = {"id": f"u/s/{number}/1", "outcome": "success", "costCents": 0.3}
        return read_result(raw, None).cost_cents

    costs = [read(number) for number in range(1000)]
    assert set(costs) == {0, 1}
    assert 250 < sum(costs) < 350
    assert costs == [read(number) for number in range(1000)]
