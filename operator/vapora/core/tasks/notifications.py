"""The tasks `notifications.*`: one message to Slack, to a webhook, by mail."""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from vapora.api.base import Boolean, Integer, Line, LongText, SecretKeyRef
from vapora.core.calls import HttpCall, MailCall, SecretRef
from vapora.core.procedures.answers import fail_call
from vapora.core.procedures.http import DEFAULT_TIMEOUT, judge_answer
from vapora.core.tasks.registry import TaskType
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.procedure import Ask, Failed, Finished, Next, Situation

Address = Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$", max_length=320)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$", max_length=253)]


class Notification(TaskType):
    """A message that was sent stays sent: there is nothing to undo."""

    def observe(self, situation: Situation) -> Next:
        """Judges an HTTP answer by its status."""
        assert situation.answer is not None  # noqa: S101  # observe is asked with an answer
        return judge_answer(situation.answer)

    def compensate(self, situation: Situation) -> Next:  # noqa: ARG002  # nothing depends on it
        """Has nothing to do."""
        return Finished({"note": "a message that was sent stays sent"})


class Slack(Notification):
    """Posts a message to a Slack channel, through an incoming webhook."""

    webhook: SecretKeyRef
    """The Secret with the webhook's address."""
    message: Annotated[str, Field(min_length=1, max_length=32768)]
    """The message, in Slack's markup."""

    def plan(self, situation: Situation) -> Next:
        """Posts {text: message}."""
        return Ask(_build_post(situation.key, {"text": self.message}, secret=self.webhook))


class Webhook(Notification):
    """Posts JSON to an address."""

    url: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """The address."""
    secret: SecretKeyRef | None = None
    """The Secret with the address, where it is one."""
    message: LongText | None = None
    """A text, posted as {message}."""
    payload: JsonValue = None
    """What is posted instead, any JSON."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.url is None) == (self.secret is None):
            raise ValueError("exactly one of url and secret is needed")
        if (self.message is None) == (self.payload is None):
            raise ValueError("exactly one of message and payload is needed")
        return self

    def plan(self, situation: Situation) -> Next:
        """Posts the payload."""
        payload: JsonValue = {"message": self.message} if self.payload is None else self.payload
        return Ask(_build_post(situation.key, payload, url=self.url or "", secret=self.secret))


class Email(Notification):
    """Sends a mail through an SMTP server."""

    host: Host
    """The server's name."""
    port: Integer = Field(default=587, ge=1, le=65535)
    """Its port."""
    from_: Address = Field(alias="from")
    """The sender."""
    to: tuple[Address, ...] = Field(min_length=1, max_length=100)
    """The recipients."""
    subject: Annotated[Line, Field(min_length=1, pattern=r"^[^\r\n]*$")]
    """The subject."""
    message: LongText
    """The text."""
    starttls: Boolean = True
    """Whether the connection is encrypted before anything is said."""
    user: Line = ""
    """The user that logs in; without one nobody does."""
    password_secret: SecretKeyRef | None = None
    """The Secret with the password."""

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if bool(self.user) != (self.password_secret is not None):
            raise ValueError("user and passwordSecret go together")
        return self

    def plan(self, situation: Situation) -> Next:
        """Sends the mail."""
        secret = self.password_secret
        return Ask(
            MailCall(
                host=self.host,
                port=self.port,
                sender=self.from_,
                recipients=self.to,
                subject=self.subject,
                text=self.message,
                key=situation.key,
                starttls=self.starttls,
                user=self.user,
                password=SecretRef(secret.name, secret.key) if secret else None,
                timeout=DEFAULT_TIMEOUT,
            )
        )

    def observe(self, situation: Situation) -> Next:
        """Succeeds once every recipient is accepted; where some are, the same mail is repeated, not another sent."""
        assert situation.answer is not None  # noqa: S101  # observe is asked with an answer
        if situation.answer.is_failure:
            return fail_call(situation.answer)
        value = situation.answer.value if isinstance(situation.answer.value, dict) else {}
        accepted = value.get("accepted", [])
        refused = [address for address in self.to if address not in accepted]
        if refused:
            message = f"the server refused {', '.join(refused)} and accepted {', '.join(accepted) or 'nobody'}"
            return Failed(Failure("MailRefused", message), is_definite=not accepted)
        return Finished({"accepted": accepted})


def _build_post(key: str, payload: JsonValue, *, url: str = "", secret: SecretKeyRef | None = None) -> HttpCall:
    ref = SecretRef(secret.name, secret.key) if secret else None
    headers = {"Content-Type": "application/json"}
    body = json.dumps(payload) if isinstance(payload, str) else payload  # a call sends text as it is
    return HttpCall("POST", url, key, headers=headers, secret_url=ref, body=body, timeout=DEFAULT_TIMEOUT)
