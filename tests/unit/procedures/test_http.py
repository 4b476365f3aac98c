"""Steps that call HTTP: what is sent, and what an answer means."""

from dataclasses import dataclass, field

import pytest
from tests.unit.procedures.course import KEY, UID, drive, situation

from vapora.core.calls import Answer, HttpCall, SecretRef
from vapora.core.procedures.http import call_http
from vapora.core.workflow.procedure import Ask, Failed, Finished

URL = {"url": "https://api.example/deploys"}


def answered(status: int, text: str = "", body: object = None) -> Answer:
    headers = {"set-cookie": "token=hush", "content-type": "text/html"}
    return Answer({"status": status, "headers": headers, "body": body, "text": text})


def test_the_call_carries_the_key_and_names_its_secrets_without_reading_them() -> None:
    secret = {"name": "Authorization", "secretKeyRef": {"name": "api", "key": "token"}}
    body = {
        **URL,
        "method": "POST",
        "headers": {"X-Team": "a"},
        "headersFrom": [secret],
        "body": {"n": 1},
        "timeout": "5s",
    }
    decided = call_http(situation(body))
    assert isinstance(decided, Ask)
    assert decided.call == HttpCall(
        method="POST",
        url=URL["url"],
        key=KEY,
        headers={"X-Team": "a"},
        secret_headers={"Authorization": SecretRef("api", "token")},
        body={"n": 1},
        timeout=5.0,
    )


def test_the_call_has_half_a_minute_where_nothing_is_said() -> None:
    decided = call_http(situation(URL))
    assert isinstance(decided, Ask)
    assert isinstance(decided.call, HttpCall)
    assert (decided.call.method, decided.call.timeout) == ("GET", 30.0)


HTML = {"contentType": "text/html"}
SUCCESSES = {
    "a status below 400 is a success": (
        URL,
        answered(302, "moved"),
        {"status": 302, "body": None, **HTML, "text": "moved"},
    ),
    "the parsed body is the result's": (URL, answered(200, '{"id": 7}', {"id": 7}), {"status": 200, "body": {"id": 7}}),
    "an expected 404 is a success": (
        {**URL, "expect": "response.status == 404"},
        answered(404, "no"),
        {"status": 404, "body": None, **HTML, "text": "no"},
    ),
    "an expected 503 is a success": (
        {**URL, "expect": "response.status == 503"},
        answered(503),
        {"status": 503, "body": None},
    ),
    "expect looks into the body": (
        {**URL, "expect": "response.body.state == 'done'"},
        answered(200, "{}", {"state": "done"}),
        {"status": 200, "body": {"state": "done"}},
    ),
    "expect looks at the text": (
        {**URL, "expect": "response.text == 'ok'"},
        answered(200, "ok"),
        {"status": 200, "body": None, **HTML, "text": "ok"},
    ),
    "null is JSON": (URL, answered(200, "null\n"), {"status": 200, "body": None}),
}


@pytest.mark.parametrize(("body", "answer", "want"), SUCCESSES.values(), ids=SUCCESSES)
def test_a_success(body: dict[str, object], answer: Answer, want: object) -> None:
    decided = call_http(situation(body, answer))
    assert isinstance(decided, Finished), decided
    assert decided.result == want


@dataclass
class Refusal:
    answer: Answer
    reason: str
    message: str
    body: dict[str, object] = field(default_factory=lambda: dict(URL))
    is_definite: bool = True


READY = {**URL, "expect": "response.body.ready"}
REFUSALS = {
    "a 4xx shows the answer's words": Refusal(answered(409, "taken\n"), "HttpRefused", "status 409: taken"),
    "a long answer is cut": Refusal(answered(400, "x" * 999), "HttpRefused", f"status 400: {'x' * 253}…"),
    "a 5xx repeats the same key": Refusal(
        answered(500, "oops"), "HttpUnavailable", "status 500: oops", is_definite=False
    ),
    "a 429 repeats the same key": Refusal(answered(429), "HttpUnavailable", "status 429", is_definite=False),
    "a 408 repeats the same key": Refusal(answered(408), "HttpUnavailable", "status 408", is_definite=False),
    "a 425 repeats the same key": Refusal(answered(425), "HttpUnavailable", "status 425", is_definite=False),
    "a false expectation says what was expected": Refusal(
        answered(200, '{"ready":false}', {"ready": False}),
        "HttpRefused",
        'status 200, expected response.body.ready: {"ready":false}',
        READY,
    ),
    "an answer that is no JSON shows its first bytes": Refusal(
        answered(200, "<html>"),
        "HttpAnswerInvalid",
        "status 200; the answer is no JSON (text/html): <html>; expect: 'response",
        READY,
    ),
    "an empty answer is said to be": Refusal(
        answered(200), "HttpAnswerInvalid", "status 200; the answer is empty; expect: 'response", READY
    ),
    "a field that is not there is named": Refusal(
        answered(200, "{}", {}),
        "HttpAnswerInvalid",
        "status 200: {}; expect: 'response.body.ready': no such key",
        READY,
    ),
    "a 503 that is no JSON is the server's trouble": Refusal(
        answered(503, "<html>"),
        "HttpUnavailable",
        "status 503; the answer is no JSON (text/html): <html>",
        READY,
        is_definite=False,
    ),
    "a timeout repeats the same key": Refusal(
        Answer(None, "HttpTimeout", "no answer in 30 s", is_definite=False),
        "HttpTimeout",
        "no answer",
        is_definite=False,
    ),
    "a refused connection is a definite failure": Refusal(
        Answer(None, "HttpUnreachable", "refused"), "HttpUnreachable", "refused"
    ),
    "a forbidden address is never tried again": Refusal(
        Answer(None, "AddressForbidden", "169.254.169.254 is link-local"), "AddressForbidden", "169.254.169.254"
    ),
    "a body that makes no sense names the place": Refusal(
        answered(200), "InvalidInput", "http.timeout: 'soon' is no duration", {**URL, "timeout": "soon"}
    ),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
def test_a_failure(case: Refusal) -> None:
    decided = call_http(situation(case.body, case.answer))
    assert isinstance(decided, Failed), decided
    assert decided.failure.reason == case.reason
    assert decided.failure.message.startswith(case.message)
    assert decided.is_definite is case.is_definite
    assert "hush" not in decided.failure.message


def test_after_a_crash_the_same_call_is_made_under_the_same_key() -> None:
    course = drive(call_http, situation(URL), lambda call: answered(200), crash_at=0)
    assert course.calls[0] == course.calls[1]
    assert [call.key for call in course.calls if isinstance(call, HttpCall)] == [f"{UID}/step/-1/1"] * 2


def test_the_call_is_a_part_of_its_tries_span_unless_the_step_says_otherwise() -> None:
    decided = call_http(situation(URL, traceparent="00-1-2-01"))
    assert isinstance(decided, Ask)
    assert decided.call.headers == {"traceparent": "00-1-2-01"}
    own = call_http(situation({**URL, "headers": {"Traceparent": "00-3-4-01"}}, traceparent="00-1-2-01"))
    assert isinstance(own, Ask)
    assert own.call.headers == {"Traceparent": "00-3-4-01"}
