"""Tasks of the registry that tell somebody, against servers of their own, with the operator as a process."""

from collections.abc import Iterator

import pytest
from tests.integration.objects import Json
from tests.integration.workflow.site import LOCAL, Postbox, Site, serving_mail
from tests.integration.workflow.stage import AT_ONCE, ONCE, Stage


@pytest.fixture(scope="module")
def postbox() -> Iterator[Postbox]:
    with serving_mail() as box:
        yield box


def tell(type_: str, params: Json, **fields: object) -> Json:
    return {"name": "tell", "task": {"type": f"notifications.{type_}", "params": params}, **fields}


def mail(box: Postbox, *to: str) -> Json:
    head = {"host": LOCAL, "port": box.port, "starttls": False, "from": "vapora@example.com", "to": list(to)}
    return {**head, "subject": "${workflow.name} ended", "message": "All is well."}


def test_a_webhook_gets_a_message_or_any_json(here: Stage, site: Site) -> None:
    here.workflow("words", tell("webhook", {"url": site.url("/words"), "message": "${workflow.name} is done"}))
    here.workflow("json", tell("webhook", {"url": site.url("/json"), "payload": {"rows": "${n}"}}), params={"n": 3})
    status = here.ended("words", "Succeeded")
    here.ended("json", "Succeeded")
    [words], [payload] = site.received("/words"), site.received("/json")
    assert (words.body, payload.body) == ({"message": "words is done"}, {"rows": 3})
    uid = here.get("Workflow", "words")["metadata"]["uid"]
    assert (words.key, status["steps"]["tell"]["tries"]) == (f"{uid}/tell/0/1", 1)


def test_slack_is_called_at_the_address_that_stands_in_a_secret_which_is_never_shown(here: Stage, site: Site) -> None:
    url = site.answers("/services/T0/hidden", (500, "busy"), (200, "ok"))
    here.kubectl("create", "secret", "generic", "slack", f"--from-literal=url={url}")
    here.kubectl("create", "role", "slack", "--verb=get", "--resource=secrets", "--resource-name=slack")
    here.kubectl("create", "rolebinding", "slack", "--role=slack", f"--serviceaccount={here.namespace}:builder")
    params = {"webhook": {"name": "slack", "key": "url"}, "message": "done"}
    here.workflow("slack", tell("slack", params, retry=AT_ONCE), serviceAccountName="builder")
    status = here.ended("slack", "Succeeded")
    first, second = site.received("/services/T0/hidden")
    assert (first.body, first.key) == ({"text": "done"}, second.key)
    told = (str(status), str(here.events("slack")), here.operator.process.log.read_text())
    assert ["hidden" in text for text in told] == [False] * 3


def test_a_refusal_fails_the_step_with_the_servers_words(here: Stage, site: Site) -> None:
    url = site.answers("/refuses", (404, "no_such_channel"))
    here.workflow("no", tell("webhook", {"url": url, "message": "x"}, retry=ONCE))
    step = here.ended("no", "Failed")["steps"]["tell"]
    assert (step["reason"], "no_such_channel" in step["message"]) == ("HttpRefused", True)


def test_a_mail_is_sent_once(here: Stage, postbox: Postbox) -> None:
    here.workflow("mail", tell("email", mail(postbox, "ada@example.com", "grace@example.com")))
    here.ended("mail", "Succeeded")
    [sent] = [sent for sent in postbox.mails if sent["Subject"] == "mail ended"]
    assert sent["To"] == "ada@example.com, grace@example.com"
    assert sent.get_content().strip() == "All is well."


def test_a_mail_that_a_recipient_is_refused_fails_and_says_who(here: Stage, postbox: Postbox) -> None:
    postbox.refused.add("nobody@example.com")
    here.workflow("half", tell("email", mail(postbox, "ada@example.com", "nobody@example.com"), retry=ONCE))
    step = here.ended("half", "Failed")["steps"]["tell"]
    assert step["reason"] == "MailRefused"
    assert "nobody@example.com" in step["message"]


REFUSED: dict[str, tuple[Json, str]] = {
    "a name that is nearly right": (
        {"type": "notifications.slak"},
        "InvalidSpec: spec.steps[tell].task.type: no task is called 'notifications.slak'; near are notifications.slack",
    ),
    "a param that is missing": (
        {"type": "notifications.webhook", "params": {"url": "http://example.com"}},
        "InvalidSpec: spec.steps[tell].task: task notifications.webhook: params: ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_task_that_cannot_be_run_is_refused_before_anything_starts(here: Stage, case: str) -> None:
    task, words = REFUSED[case]
    here.workflow("odd", {"name": "first", "run": {"image": "busybox"}}, {"name": "tell", "task": task})
    here.await_said("Workflow", "odd", "Stalled", f"True {words}")
    assert here.created("pods") == []


def test_a_message_follows_the_end_and_a_rollback_passes_over_it(here: Stage, site: Site) -> None:
    fails = {"name": "fails", "run": {"image": "does-not-exist"}, "dependsOn": ["tell"]}
    fails["retry"] = {"maxAttempts": 1, "infrastructureAttempts": 1}
    after = tell("webhook", {"url": site.url("/after"), "message": "it failed"}, runOn="failure")
    spec = {"onFailure": "rollback", "onCompletion": [{**after, "name": "after"}]}
    here.workflow("bad", tell("webhook", {"url": site.url("/before"), "message": "begins"}), fails, **spec)
    here.ended("bad")
    assert (len(site.received("/before")), len(site.received("/after"))) == (1, 1)
