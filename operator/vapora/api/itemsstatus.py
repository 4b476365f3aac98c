"""How far the items of a forEach are, as the status says it."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.types import StringConstraints

from vapora.api.base import Boolean, Integer, JsonMap, Message, Number, StatusLine, StatusModel, Timestamp

StepState = Literal[
    "Waiting",
    "Ready",
    "Starting",
    "Running",
    "Retrying",
    "WaitingApproval",
    "Succeeded",
    "Skipped",
    "Failed",
    "Cancelled",
    "Compensating",
    "Compensated",
    "CompensationFailed",
]
ReasonWord = Annotated[str, StringConstraints(max_length=128)]


class Assignment(StatusModel):
    """Which pool a task was given to, and why."""

    pool: StatusLine
    """The pool."""
    score: Number | None = None
    """Its score."""
    base: Number | None = None
    """The part of success and load."""
    expertise: Number | None = None
    """The part of recent success at this kind of work."""
    confidence: Number | None = None
    """The part of how much is known."""
    executions: Integer | None = None
    """How many executions that rests on."""
    task_type: StatusLine | None = None
    """The kind of work."""
    reason: Message | None = None
    """The decision in a sentence."""
    runner_up: StatusLine | None = None
    """The second best pool."""
    runner_up_score: Number | None = None
    """Its score."""
    provider: StatusLine | None = None
    """The language model's provider that was chosen for it."""
    model: StatusLine | None = None
    """The model."""
    provider_reason: Message | None = None
    """Why that provider."""
    reserved_cents: Integer | None = None
    """What is reserved for the task until its result says what it cost, in cents."""
    budget_cents: Integer | None = None
    """The most that the task may cost, as its agent is told."""


class ActiveItem(StatusModel):
    """One item of a forEach that has not ended."""

    i: Integer
    """Its index."""
    state: StepState | None = None
    """Its state (default Running)."""
    kind: StatusLine | None = None
    """The kind of the object that does its work; absent for an agent's task."""
    try_: Integer = Field(default=0, alias="try")
    """The children or effects ever started for it."""
    attempt: Integer = 0
    """The tries of the work itself."""
    infrastructure_attempt: Integer | None = None
    """The tries the cluster failed."""
    at: Timestamp | None = None
    """When the present try started."""
    until: Timestamp | None = None
    """When the present try times out."""
    pending_until: Timestamp | None = None
    """Until when the present try must run."""
    next: Timestamp | None = None
    """When the next try starts."""
    effect: Integer | None = None
    """The number of its present effect outside the cluster."""
    effect_open: Boolean | None = None
    """Whether it is unknown what became of that effect."""
    calls: Integer | None = None
    """The number of its present call to the outside."""
    memory: JsonMap | None = None
    """What it keeps in mind to go on and to be undone."""
    memory_ref: StatusLine | None = None
    """The ConfigMap that holds it, where it is large."""
    reason: ReasonWord | None = None
    """Why it waits."""
    assignment: Assignment | None = None
    """The pool its task went to."""
    cost_cents: Integer | None = None
    """What its tries have cost, in cents."""


class OpenItems(StatusModel):
    """Ended items of a forEach of whose last effect the outcome is not known: a further try repeats it."""

    items: Annotated[str, StringConstraints(max_length=65536)]
    """Their indices, as ranges."""
    effect: Integer | None = None
    """The number of that effect."""
    calls: Integer | None = None
    """The number of the last call to the outside."""
    memory: JsonMap | None = None
    """What they keep in mind to go on, where it does not stand in `memories`."""
    assignment: Assignment | None = None
    """The pool their tasks went to."""


class FailedItem(StatusModel):
    """One item of a forEach that failed for good."""

    i: Integer
    """Its index."""
    reason: ReasonWord | None = None
    """Why it failed."""
    message: Message | None = None
    """Why it failed, as a sentence."""
    known_cause: Message | None = None
    """How often this failure was seen before, and what solved it last."""


class ItemsStatus(StatusModel):
    """How far a forEach is: ended items as ranges, the others one by one."""

    total: Integer | None = None
    """How many items there are."""
    succeeded: Annotated[str, StringConstraints(max_length=65536)] | None = None
    """The indices that succeeded, as ranges such as `0-17,19`."""
    cancelled: Annotated[str, StringConstraints(max_length=65536)] | None = None
    """The indices that were cancelled, as ranges."""
    former_tries: Integer | None = None
    """The most tries that an item had in an earlier run."""
    again: Annotated[str, StringConstraints(max_length=65536)] | None = None
    """The indices that start anew, as ranges."""
    memories: dict[str, JsonMap] = Field(default_factory=dict, max_length=10_000)
    """What undoing ended items needs, by index."""
    memory_refs: tuple[StatusLine, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The ConfigMaps that hold those for which there is no room here."""
    failed_indices: Annotated[str, StringConstraints(max_length=65536)] | None = None
    """The indices that failed, as ranges."""
    failed: tuple[FailedItem, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """Items that failed for good, with the cause."""
    active: tuple[ActiveItem, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """Items that run or wait for their next try."""
    open: dict[str, OpenItems] = Field(default_factory=dict, max_length=10_000)
    """Ended items of whose last effect the outcome is not known, by the first of those that stand alike."""
    pools: tuple[StatusLine, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The pools that items were given to, where another step has to be done by none of them."""
    open_refs: tuple[StatusLine, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The ConfigMaps that hold those for which there is no room here."""
