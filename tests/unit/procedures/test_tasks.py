"""Tasks of the registry: the notifications, what is refused, what a plug-in may do wrong."""

import pytest
from tests.unit.procedures.course import KEY, drive, failed, finished, situation

from vapora.core.calls import Answer, Call, HttpCall, MailCall, SecretRef
from vapora.core.procedures.task import build_task, build_undo_task
from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.tasks.registry import TaskType
from vapora.core.workflow.procedure import Ask, Failed, Finished, Next, Situation

HOOK = {"name": "slack", "key": "url"}
SLACK = {"webhook": HOOK, "message": "deployed"}
MAIL: dict[str, object] = {
    "host": "mail.example",
    "from": "vapora@example.com",
    "to": ["a@example.com", "b@example.com"],
    "subject": "deployed",
    "message": "It runs.",
}
JSON = {"Content-Type": "application/json"}
run_task, undo_task = build_task(BUILT_IN), build_undo_task(BUILT_IN)


def task(name: str, params: object) -> dict[str, object]:
    return {"type": f"notifications.{name}", "params": params}


CALLS: dict[str, tuple[dict[str, object], Call]] = {
    "slack posts a text to the address in the Secret": (
        task("slack", SLACK),
        HttpCall("POST", "", KEY, headers=JSON, secret_url=SecretRef("slack", "url"), body={"text": "deployed"}),
    ),
    "a webhook posts a message": (
        task("webhook", {"url": "https://x.example", "message": "hi"}),
        HttpCall("POST", "https://x.example", KEY, headers=JSON, body={"message": "hi"}),
    ),
    "a webhook posts any payload": (
        task("webhook", {"secret": HOOK, "payload": [1, {"a": None}]}),
        HttpCall("POST", "", KEY, headers=JSON, secret_url=SecretRef("slack", "url"), body=[1, {"a": None}]),
    ),
    "a payload that is a text is JSON all the same": (
        task("webhook", {"url": "https://x.example", "payload": "hi"}),
        HttpCall("POST", "https://x.example", KEY, headers=JSON, body='"hi"'),
    ),
    "a mail is encrypted unless told otherwise": (
        task("email", MAIL),
        MailCall(
            host="mail.example",
            port=587,
            sender="vapora@example.com",
            recipients=("a@example.com", "b@example.com"),
            subject="deployed",
            text="It runs.",
            key=KEY,
        ),
    ),
    "a mail can log in": (
        task("email", {**MAIL, "port": 25, "starttls": False, "user": "bot", "passwordSecret": HOOK}),
        MailCall(
            host="mail.example",
            port=25,
            sender="vapora@example.com",
            recipients=("a@example.com", "b@example.com"),
            subject="deployed",
            text="It runs.",
            key=KEY,
            starttls=False,
            user="bot",
            password=SecretRef("slack", "url"),
        ),
    ),
}


@pytest.mark.parametrize(("body", "call"), CALLS.values(), ids=CALLS)
def test_a_notification(body: dict[str, object], call: Call) -> None:
    assert run_task(situation(body)) == Ask(call)


def answered(status: int, text: str = "") -> Answer:
    return Answer({"status": status, "headers": {}, "body": None, "text": text})


ENDS: dict[str, tuple[str, object, Answer, Next]] = {
    "slack's ok is a success": (
        "slack",
        SLACK,
        answered(200, "ok"),
        Finished({"status": 200, "body": None, "text": "ok"}),
    ),
    "a mail that all accept is a success": (
        "email",
        MAIL,
        Answer({"accepted": ["a@example.com", "b@example.com"]}),
        Finished({"accepted": ["a@example.com", "b@example.com"]}),
    ),
}


@pytest.mark.parametrize(("name", "params", "answer", "end"), ENDS.values(), ids=ENDS)
def test_an_end(name: str, params: object, answer: Answer, end: Next) -> None:
    assert run_task(situation(task(name, params), answer)) == end


FAILURES: dict[str, tuple[str, object, Answer, tuple[str, str], bool]] = {
    "a 404 says what the server said": (
        "slack",
        SLACK,
        answered(404, "no_service"),
        ("HttpRefused", "status 404: no_service"),
        True,
    ),
    "a 500 repeats the key": ("slack", SLACK, answered(500), ("HttpUnavailable", "status 500"), False),
    "a 429 repeats the key": ("slack", SLACK, answered(429), ("HttpUnavailable", "status 429"), False),
    "a Secret that is not there": (
        "slack",
        SLACK,
        Answer(None, "SecretUnavailable", "secret slack is not there"),
        ("SecretUnavailable", "secret slack is not there"),
        True,
    ),
    "a mail that nobody accepts": (
        "email",
        MAIL,
        Answer(None, "MailRefused", "550 no such user"),
        ("MailRefused", "550 no such user"),
        True,
    ),
    "a mail that some accept is repeated, not sent anew": (
        "email",
        MAIL,
        Answer({"accepted": ["a@example.com"]}),
        ("MailRefused", "the server refused b@example.com and accepted a@example.com"),
        False,
    ),
}


@pytest.mark.parametrize(("name", "params", "answer", "said", "is_definite"), FAILURES.values(), ids=FAILURES)
def test_a_failure(name: str, params: object, answer: Answer, said: tuple[str, str], is_definite: bool) -> None:
    decided = run_task(situation(task(name, params), answer))
    assert failed(decided) == said
    assert isinstance(decided, Failed)
    assert decided.is_definite is is_definite


REFUSED = {
    "a name like another": (
        {"type": "notification.slack"},
        "UnknownTask",
        "no task is called 'notification.slack'; near are notifications.slack",
    ),
    "a name of a known family": (
        {"type": "notifications.carrier-pigeon-post-office"},
        "UnknownTask",
        "no task is called 'notifications.carrier-pigeon-post-office'; near are notifications.email, "
        "notifications.slack, notifications.webhook",
    ),
    "a name like no other": (
        {"type": "xyz"},
        "UnknownTask",
        "no task is called 'xyz'; there are build.image, notifications.email, notifications.slack",
    ),
    "a missing param": (
        task("slack", {"webhook": HOOK}),
        "InvalidInput",
        "task notifications.slack: params.message: Field required",
    ),
    "a param that is not one": (
        task("slack", {**SLACK, "channel": "#ops"}),
        "InvalidInput",
        "task notifications.slack: params.channel: there is no such field; allowed are webhook, message",
    ),
    "two addresses": (
        task("webhook", {"url": "https://x.example", "secret": HOOK, "message": "hi"}),
        "InvalidInput",
        "task notifications.webhook: params: exactly one of url and secret is needed",
    ),
    "nothing to say": (
        task("webhook", {"url": "https://x.example"}),
        "InvalidInput",
        "task notifications.webhook: params: exactly one of message and payload is needed",
    ),
    "a user without a password": (
        task("email", {**MAIL, "user": "bot"}),
        "InvalidInput",
        "task notifications.email: params: user and passwordSecret go together",
    ),
    "a subject of two lines": (
        task("email", {**MAIL, "subject": "a\nBcc: b@example.com"}),
        "InvalidInput",
        "task notifications.email: params.subject: String should match pattern",
    ),
}


@pytest.mark.parametrize(("body", "reason", "message"), REFUSED.values(), ids=REFUSED)
def test_a_refusal(body: dict[str, object], reason: str, message: str) -> None:
    said = failed(run_task(situation(body)))
    assert said[0] == reason
    assert said[1].startswith(message)


def test_after_a_crash_the_same_message_is_sent_under_the_same_key() -> None:
    course = drive(run_task, situation(task("slack", SLACK)), lambda call: answered(200, "ok"), crash_at=0)
    assert course.calls[0] == course.calls[1]


def test_a_message_that_was_sent_stays_sent() -> None:
    course = drive(undo_task, situation(task("slack", SLACK), undoes={}), lambda call: answered(200))
    assert finished(course) == {"note": "a message that was sent stays sent"}
    assert course.calls == []


class Faulty(TaskType):
    """A type whose author did not think."""

    def plan(self, situation: Situation) -> Next:
        raise LookupError("no such place")

    def observe(self, situation: Situation) -> Next:
        return None  # type: ignore[return-value]  # a mistake that Python lets pass


def test_a_fault_of_a_type_is_the_failure_of_its_step() -> None:
    run, undo = build_task({"faulty": Faulty}), build_undo_task({"faulty": Faulty})
    body = {"type": "faulty"}
    assert failed(run(situation(body))) == ("PluginFailed", "LookupError: no such place")
    assert failed(run(situation(body, answered(200)))) == ("PluginFailed", "Faulty decided nothing")
    assert failed(undo(situation(body))) == ("NotUndone", "a task of type faulty cannot be undone")
