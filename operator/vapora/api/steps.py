"""The steps of a Workflow: when and how each runs."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, WithJsonSchema, model_validator

from vapora.api.base import (
    ApiModel,
    Boolean,
    CountOrPercentage,
    Duration,
    DurationOrExpression,
    Expression,
    Integer,
    Line,
    Number,
    OutputName,
    StepName,
    Text,
    Word,
    require_one,
)
from vapora.api.stepbodies import (
    BODY_KINDS,
    AgentBody,
    ApplyBody,
    ApprovalBody,
    Body,
    HttpBody,
    RunBody,
    ScaleBody,
    TaskBody,
    WaitBody,
    WorkflowBody,
)

__all__ = [
    "BODY_KINDS",
    "AgentBody",
    "ApplyBody",
    "ApprovalBody",
    "Body",
    "Compensate",
    "CompletionStep",
    "Edge",
    "ForEach",
    "HttpBody",
    "OnFailure",
    "OutputFrom",
    "Retry",
    "RetryOn",
    "RunBody",
    "ScaleBody",
    "Step",
    "StepBody",
    "TaskBody",
    "WaitBody",
    "WorkflowBody",
]


def _read_abort_as_fail(value: object) -> object:
    return "fail" if value == "abort" else value


OnFailure = Annotated[
    Literal["fail", "continue", "rollback"],
    BeforeValidator(_read_abort_as_fail),
    WithJsonSchema({"type": "string", "enum": ["fail", "continue", "rollback", "abort"]}),
]
"""What a failed step does to its workflow; `abort` is read as fail."""


class StepBody(ApiModel):
    """What a step does: exactly one of the fields."""

    model_config = require_one(*BODY_KINDS)

    run: RunBody | None = None
    """Runs a container to its end."""
    agent: AgentBody | None = None
    """Gives a task to an agent and waits for its result."""
    workflow: WorkflowBody | None = None
    """Runs a WorkflowTemplate as a child Workflow."""
    http: HttpBody | None = None
    """Calls an HTTP address."""
    approval: ApprovalBody | None = None
    """Waits until people approve."""
    wait: WaitBody | None = None
    """Waits for a time, or until an object is in a state."""
    apply: ApplyBody | None = None
    """Applies objects and waits until they are ready."""
    scale: ScaleBody | None = None
    """Sets the size of a pool or a service."""
    task: TaskBody | None = None
    """Runs a task of the registry."""

    def _get_bodies(self) -> list[tuple[str, Body]]:
        pairs: list[tuple[str, Body | None]] = [(kind, getattr(self, kind)) for kind in BODY_KINDS]
        return [(kind, body) for kind, body in pairs if body is not None]


class Compensate(StepBody):
    """What a rollback runs for the step: one body, or nothing."""

    model_config = require_one(*BODY_KINDS, "none")

    none: Literal[True] | None = None
    """Nothing needs to be undone."""

    @model_validator(mode="after")
    def _check_one_body(self) -> Self:
        if len(self._get_bodies()) + (self.none is not None) != 1:
            raise ValueError(f"exactly one of {', '.join(BODY_KINDS)}, none is needed")
        return self

    @property
    def body(self) -> tuple[str, Body] | None:
        """The kind and the body, None where nothing needs to be undone."""
        return next(iter(self._get_bodies()), None)


class Edge(ApiModel):
    """What a step waits for."""

    name: StepName
    """The step that is waited for."""
    type: Literal["hard", "soft", "optional"] = "hard"
    """hard: it succeeded; soft: it ended; optional: order only, if it exists and runs (default hard)."""
    condition: Expression | None = None
    """What must also be true when it ended."""


class ForEach(ApiModel):
    """Runs the step once for each item."""

    items: tuple[JsonValue, ...] | None = Field(default=None, max_length=10_000)
    """The items, any JSON."""
    items_from: Line | None = None
    """One `${...}` that gives the list of items."""
    max_parallel: Integer | None = Field(default=None, ge=1, le=1000)
    """Items running at once (default: the workflow's maxParallel)."""
    failure_tolerance: CountOrPercentage = 0
    """How many items, or which share of them, may fail (default 0)."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.items is None) == (self.items_from is None):
            raise ValueError("exactly one of items and itemsFrom is needed")
        return self


class RetryOn(ApiModel):
    """Which failures are tried again."""

    exit_codes: tuple[Annotated[Integer, Field(ge=0, le=255)], ...] = Field(default=(), max_length=64)
    """Only these exit codes."""
    reasons: tuple[Word, ...] = Field(default=(), max_length=64)
    """Only these reasons."""


class Retry(ApiModel):
    """How often and when a failed step is tried again."""

    max_attempts: Integer = Field(default=3, ge=1, le=100)
    """Tries in all while the work itself fails, the first one included (default 3)."""
    backoff: Literal["exponential", "linear"] = "exponential"
    """How the delay grows (default exponential: it doubles)."""
    initial_delay: Duration = "5s"
    """The delay after the first failure (default 5s)."""
    max_delay: Duration = "300s"
    """The longest delay (default 300s)."""
    jitter: Number = Field(default=0, ge=0, le=1)
    """The share of the delay that varies (default 0)."""
    infrastructure_attempts: Integer = Field(default=5, ge=1, le=100)
    """Tries while the cluster is at fault: eviction, lost nodes, image pulls (default 5)."""
    retry_on: RetryOn | None = None
    """Which failures are tried again (default: all)."""


class OutputFrom(ApiModel):
    """An output computed from the step's result."""

    name: OutputName
    """The output's name."""
    from_: Expression = Field(alias="from")
    """Its value, over `result`."""


class Step(StepBody):
    """One node of the graph: exactly one body, and when and how it runs."""

    name: StepName
    """The step's name, unique in the workflow."""
    description: Text | None = None
    """What it is for."""
    depends_on: tuple[StepName, ...] = Field(default=(), max_length=64)
    """Steps that must have succeeded before."""
    edges: tuple[Edge, ...] = Field(default=(), max_length=64)
    """Steps that are waited for in another way."""
    when: Expression | None = None
    """The step is skipped unless this is true."""
    for_each: ForEach | None = None
    """Runs the step once for each item; `${item}` and `${index}` name it."""
    timeout: DurationOrExpression | None = None
    """The longest time one try may run (default 300s for a task, none for others)."""
    pending_timeout: DurationOrExpression | None = None
    """The longest time until a try runs; none by default."""
    critical: Boolean = False
    """No pool is tried out on this step (default false)."""
    on_failure: OnFailure | None = None
    """What its failure means (default: the workflow's onFailure)."""
    retry: Retry | None = None
    """How it is tried again (default: the workflow's retry)."""
    pause_before: Boolean = False
    """Waits for an approval before the step starts (default false)."""
    outputs: tuple[OutputName, ...] = Field(default=(), max_length=64)
    """Fields of the result that later steps may use."""
    outputs_from: tuple[OutputFrom, ...] = Field(default=(), max_length=64)
    """Outputs computed from the result."""
    compensate: Compensate | None = None
    """What a rollback runs (default: by the kind of step)."""
    irreversible: Boolean = False
    """It cannot be undone: a rollback past it asks first (default false)."""
    at_most_once: Boolean = False
    """Fails with OutcomeUnknown instead of repeating an effect whose outcome a crash has hidden (default false)."""

    @model_validator(mode="after")
    def _check_one_body(self) -> Self:
        if len(self._get_bodies()) != 1:
            raise ValueError(f"exactly one of {', '.join(BODY_KINDS)} is needed")
        return self

    @property
    def body(self) -> tuple[str, Body]:
        """The kind and the body."""
        return self._get_bodies()[0]

    @property
    def body_kind(self) -> str:
        """One of `BODY_KINDS`."""
        return self.body[0]


class CompletionStep(Step):
    """A step that runs when the others have ended; it never changes the outcome."""

    run_on: Literal["success", "failure", "always"] = "always"
    """After which outcome it runs (default always)."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.depends_on or self.edges:
            raise ValueError("onCompletion runs in list order: dependsOn and edges are not allowed")
        return self
