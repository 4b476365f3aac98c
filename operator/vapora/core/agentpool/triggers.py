"""The triggers of a pool: what is read where, from their params in the spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from vapora.api.agentpool import AgentPoolSpec, Trigger
from vapora.core.agentpool.readings import NATS, WORKFLOW
from vapora.core.calls import Account
from vapora.core.views import child, text

REDIS_STREAM, REDIS_LIST, POSTGRES = "redisStream", "redisList", "postgres"
PROMETHEUS, HTTP = "prometheus", "http"
_REDIS, _WEB = ("redis", "rediss"), ("http", "https")
# By type: the params, of which all are needed, and the schemes of the URL.
_PARAMS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    NATS: ((), ()),
    WORKFLOW: ((), ()),
    REDIS_STREAM: (("url", "stream", "group"), _REDIS),
    REDIS_LIST: (("url", "list"), _REDIS),
    POSTGRES: (("url", "query"), ("postgres", "postgresql")),
    PROMETHEUS: (("url", "query"), _WEB),
    HTTP: (("url", "jmespath"), _WEB),
}
_SUBJECTS = {REDIS_STREAM: "stream", REDIS_LIST: "list", POSTGRES: "query", PROMETHEUS: "query", HTTP: "jmespath"}


class TriggerUnreadable(Exception):
    """Says why a trigger gave no number, without anything secret."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Is one number to read outside; `subject` is the list, the stream, the query or the expression.

    With `secret_key` that key of the Secret is the password or token; else `username`, `password` and `token` are.
    """

    trigger: str
    type: str
    url: str
    subject: str
    group: str = ""
    secret: str = ""
    secret_key: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Is what a Secret gives; what it has not is empty."""

    username: str = ""
    password: str = ""
    token: str = ""


def find_trigger_problem(spec: AgentPoolSpec) -> str | None:
    """Says what is wrong with the params of the first trigger that is not as its type needs it; None where all are."""
    for place, trigger in enumerate(spec.scaling.triggers if spec.scaling else ()):
        if problem := _find_problem(trigger):
            return f"scaling.triggers[{place}].{problem}"
    return None


def list_probes(spec: AgentPoolSpec) -> tuple[Probe, ...]:
    """Returns what is to be read outside, beside the pool's own queue and the workflows."""
    triggers = spec.scaling.triggers if spec.scaling and spec.scaling.mode == "queue" else ()
    return tuple(_build_probe(label, trigger) for label, trigger in _label(triggers) if trigger.type in _SUBJECTS)


def has_own_queue(spec: AgentPoolSpec, *, has_broker: bool) -> bool:
    """Says whether the pool's own queue counts: always with a broker, and without one unless others are named."""
    triggers = spec.scaling.triggers if spec.scaling else ()
    return has_broker or not triggers or any(trigger.type == NATS for trigger in triggers)


def find_account(namespace: str, spec: AgentPoolSpec) -> Account:
    """Returns the service account that the agents run as: with its rights the Secrets of the triggers are read."""
    pod = child(spec.template.pod_template or {}, "spec")
    return Account(namespace, text(pod, "serviceAccountName") or "default")


def _label(triggers: Sequence[Trigger]) -> Iterator[tuple[str, Trigger]]:
    """A type that stands once needs no number."""
    types = [trigger.type for trigger in triggers]
    for place, trigger in enumerate(triggers):
        yield (trigger.type if types.count(trigger.type) == 1 else f"{trigger.type}[{place}]"), trigger


def _build_probe(label: str, trigger: Trigger) -> Probe:
    auth = trigger.auth_ref
    return Probe(
        trigger=label,
        type=trigger.type,
        url=text(trigger.params, "url"),
        subject=text(trigger.params, _SUBJECTS[trigger.type]),
        group=text(trigger.params, "group"),
        secret=auth.name if auth else "",
        secret_key=(auth.key or "") if auth else "",
    )


def _find_problem(trigger: Trigger) -> str | None:
    names, schemes = _PARAMS[trigger.type]
    takes = f"{trigger.type} takes {', '.join(names) or 'none'}"
    for name in trigger.params:
        if name not in names:
            return f"params.{name}: there is no such param; {takes}"
    for name in names:
        if not text(trigger.params, name).strip():
            found = "nothing" if name not in trigger.params else repr(trigger.params[name])[:60]
            return f"params.{name}: a text is needed, found {found}; {takes}"
    if not names:
        return f"authRef: {trigger.type} takes none" if trigger.auth_ref else None
    return _find_url_problem(text(trigger.params, "url"), schemes)


def _find_url_problem(url: str, schemes: Sequence[str]) -> str | None:
    """The URL itself is not repeated: it may have a password in it."""
    wanted = f"a URL is needed such as {schemes[0]}://host"
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return f"params.url: {wanted}"
    if not is_sound:
        return f"params.url: {wanted}"
    return "params.url: it holds a password, which belongs into a Secret (authRef)" if parts.password else None
