"""The queue contract: names, and messages as they travel."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from vapora.agent.contract import (
    Heartbeat,
    TaskEnvelope,
    TaskError,
    TaskResult,
    Tokens,
    build_task_id,
    consumer_name,
    control_subject,
    heartbeat_subject,
    parse_consumer_name,
    parse_result_subject,
    parse_task_subject,
    read_task,
    result_subject,
    split_task_id,
    task_subject,
)

UID = "0b2e3c1a-5a51-4b8e-9d2f-0f8f5d1f2c11"


def test_names_are_those_of_the_contract() -> None:
    task_id = build_task_id(UID, "review", 3, 1)
    assert task_id == f"{UID}/review/3/1"
    assert task_subject("team-a", "developer") == "vapora.tasks.team-a.developer"
    assert result_subject("team-a", task_id) == f"vapora.results.team-a.{UID}.review.3.1"
    assert consumer_name("team-a", "developer") == "team-a_developer"
    assert control_subject("team-a", "developer") == "vapora.control.team-a.developer"
    assert heartbeat_subject("team-a", "developer", "p-1") == "vapora.agents.team-a.developer.p-1"


def test_what_a_name_was_made_of_is_read_back() -> None:
    task_id = build_task_id(UID, "review", 3, 1)
    assert split_task_id(task_id) == (UID, "review", "3", "1")
    assert parse_result_subject(result_subject("team-a", task_id)) == ("team-a", task_id)
    assert parse_task_subject(task_subject("team-a", "developer")) == ("team-a", "developer")
    assert parse_consumer_name(consumer_name("team-a", "developer")) == ("team-a", "developer")


def test_two_pools_never_share_a_consumer() -> None:
    assert consumer_name("a-b", "c") != consumer_name("a", "b-c")


BAD_NAMES = {
    "a dot would be a token more": lambda: task_subject("a.b", "c"),
    "a wildcard would be every pool": lambda: task_subject("a", "*"),
    "an empty name": lambda: task_subject("", "c"),
    "an underscore would end the namespace of a consumer": lambda: consumer_name("a", "b_c"),
    "a blank in a pod's name": lambda: heartbeat_subject("a", "b", "p 1"),
    "an id with a part too few": lambda: split_task_id("uid/step/0"),
    "an id with a dot": lambda: result_subject("a", "uid/st.ep/0/1"),
    "a line break at the end of an id": lambda: split_task_id("uid/step/0/1\n"),
    "a subject of another kind": lambda: parse_result_subject("vapora.tasks.a.b"),
    "a result's subject with a token too many": lambda: parse_result_subject("vapora.results.a.u.s.0.1.2"),
    "a consumer that is no pool's": lambda: parse_consumer_name("vapora-operator"),
}


@pytest.mark.parametrize("make", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_a_name_that_would_mean_something_else_is_refused(make) -> None:
    with pytest.raises(ValueError, match=r"must be|is not"):
        make()


def test_an_envelope_travels_in_camel_case_and_comes_back_the_same() -> None:
    envelope = TaskEnvelope(
        id=f"{UID}/s/0/1",
        namespace="a",
        task_type="code-review",
        input={"files": ["a.rs", None]},
        deadline=datetime(2030, 1, 1, tzinfo=UTC),
        budget_cents=12.5,
    )
    sent = json.loads(envelope.to_json())
    assert sent["taskType"] == "code-review"
    assert sent["budgetCents"] == 12.5
    assert sent["version"] == 1
    assert "outputSchema" not in sent
    assert sent["input"] == {"files": ["a.rs", None]}
    assert read_task(envelope.to_json(), "a") == envelope


def test_unknown_fields_are_ignored() -> None:
    envelope = read_task(json.dumps({"version": 1, "id": "u/s/0/1", "namespace": "a", "colour": "red"}).encode(), "a")
    assert envelope.id == "u/s/0/1"


NO_TASKS = {
    "no JSON": b"{",
    "no object": b"[]",
    "a version to come": json.dumps({"version": 2, "id": "u/s/0/1", "namespace": "a"}).encode(),
    "no id": json.dumps({"namespace": "a"}).encode(),
    "an id of another form": json.dumps({"id": "u", "namespace": "a"}).encode(),
    "another namespace": json.dumps({"id": "u/s/0/1", "namespace": "b"}).encode(),
    "a deadline without a zone": json.dumps(
        {"id": "u/s/0/1", "namespace": "a", "deadline": "2030-01-01T00:00:00"}
    ).encode(),
    "bytes that are no text": b"\xff\xfe",
}


@pytest.mark.parametrize("data", NO_TASKS.values(), ids=NO_TASKS.keys())
def test_a_message_that_is_no_task_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"TaskEnvelope|namespace"):
        read_task(data, "a")


def test_a_result_keeps_its_parts() -> None:
    result = TaskResult(
        id="u/s/0/1",
        outcome="failure",
        error=TaskError(code="RateLimited", message="later", retryable=True),
        tokens=Tokens(prompt=10, completion=2),
        cost_cents=0.4,
    )
    sent = json.loads(result.to_json())
    assert sent["error"] == {"code": "RateLimited", "message": "later", "retryable": True}
    assert sent["costCents"] == 0.4
    assert TaskResult.model_validate_json(result.to_json()) == result


@pytest.mark.parametrize("quality", [-0.1, 1.1])
def test_a_quality_is_between_0_and_1(quality: float) -> None:
    with pytest.raises(ValidationError):
        TaskResult(id="u/s/0/1", outcome="success", quality=quality)


def test_a_heartbeat_says_how_busy_its_agent_is() -> None:
    sent = json.loads(Heartbeat(role="developer", pod="p", capacity=2, in_flight=1, done=7).to_json())
    assert sent == {
        "version": 1,
        "role": "developer",
        "pod": "p",
        "agentVersion": "",
        "capacity": 2,
        "inFlight": 1,
        "done": 7,
        "draining": False,
        "tasks": [],
    }
