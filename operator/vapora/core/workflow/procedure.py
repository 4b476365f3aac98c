"""Procedures: what a step does that acts outside, as a pure function from how it stands to what it does next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vapora.core.calls import Account, Answer, Call
from vapora.core.expressions import Expression
from vapora.core.workflow.failure import Failure

Json = Mapping[str, object]
Variables = Callable[[Expression], Json]
"""Gives what an expression may look at, beside what its field is about."""


def know_nothing(_: Expression) -> Json:
    """Is the variables of an expression that looks at nothing else."""
    return {}


@dataclass(frozen=True, slots=True)
class Decision:
    """Is one person's word on a step that waits for approval."""

    user: str
    is_approval: bool
    at: datetime
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """Is how one try of a step stands.

    `body` is the step's body as JSON with its references replaced. `memory` is what the last decision kept, durable
    before any call that changes something; `answer` is the answer to the call that was asked for last, None before the
    first and after a pause. `key` is the idempotency key of the effect. `undoes` is, where the procedure undoes a step,
    the memory that step ended with. `traceparent` ties what is done to the try's span.
    """

    namespace: str
    workflow: str
    uid: str
    step: str
    key: str
    account: Account
    body: Json
    started_at: datetime
    now: datetime
    memory: Json = field(default_factory=dict)
    answer: Answer | None = None
    undoes: Json | None = None
    decisions: tuple[Decision, ...] = ()
    variables: Variables = know_nothing
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """Wants a call made, and this kept in mind; the procedure is asked again with its answer."""

    call: Call
    memory: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rest:
    """Waits until a moment, or where that is None until something changes; `why` says for what."""

    until: datetime | None
    why: str
    memory: Json = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The step succeeded; `result` is what its outputs are taken from, `memory` what an undoing needs."""

    result: object = None
    memory: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The try failed; `memory` is what an undoing needs, for what it left half done."""

    failure: Failure
    memory: Json = field(default_factory=dict)
    is_definite: bool = True  # False: the next try repeats the same effect, whose outcome is not known


Next = Ask | Rest | Finished | Failed
Procedure = Callable[[Situation], Next]
