"""The steps of a Workflow and what each kind of step does."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, WithJsonSchema, model_validator

from vapora.api.base import (
    ApiModel,
    Arguments,
    Boolean,
    CountOrExpression,
    CountOrPercentage,
    DnsLabel,
    Duration,
    DurationOrExpression,
    Environment,
    Expression,
    Image,
    Integer,
    JsonMap,
    Line,
    LongText,
    Number,
    ObjectName,
    ObjectRef,
    OutputName,
    QuantityOrExpression,
    RawObject,
    SecretKeyRef,
    Text,
    Word,
)

BODY_KINDS = ("run", "agent", "workflow", "http", "approval", "wait", "apply", "scale", "task")
"""The kinds of step; exactly one stands in a step, as the field of that name."""


def _read_abort_as_fail(value: object) -> object:
    return "fail" if value == "abort" else value


OnFailure = Annotated[
    Literal["fail", "continue", "rollback"],
    BeforeValidator(_read_abort_as_fail),
    WithJsonSchema({"type": "string", "enum": ["fail", "continue", "rollback", "abort"]}),
]
"""What a failed step does to its workflow; `abort` is read as fail."""


class StepResources(ApiModel):
    """What the step's container requests and may use at most."""

    requests: dict[str, QuantityOrExpression] = Field(default_factory=dict, max_length=32)
    """What the scheduler reserves, by resource name."""
    limits: dict[str, QuantityOrExpression] = Field(default_factory=dict, max_length=32)
    """What the container may use at most, by resource name."""


class RunBody(ApiModel):
    """Runs a container to its end."""

    image: Image
    """The container's image."""
    command: Arguments = ()
    """The program, instead of the image's entry point."""
    args: Arguments = ()
    """Its arguments, instead of the image's."""
    env: Environment = Field(default_factory=dict)
    """Environment variables; `secret:<name>:<key>` takes the value from a Secret."""
    env_from: tuple[RawObject, ...] = Field(default=(), max_length=64)
    """Whole ConfigMaps and Secrets as environment, as in a container."""
    resources: StepResources = Field(default_factory=StepResources)
    """What the container requests and may use at most."""
    working_dir: Text | None = None
    """The folder the program starts in, instead of the image's."""
    service_account_name: ObjectName | None = None
    """The account the pod runs as, instead of the workflow's."""
    node_selector: dict[str, Line] = Field(default_factory=dict, max_length=64)
    """Labels a node must have."""
    tolerations: tuple[RawObject, ...] = Field(default=(), max_length=64)
    """Taints the pod tolerates, as in a pod."""
    volumes: tuple[RawObject, ...] = Field(default=(), max_length=64)
    """Volumes, as in a pod."""
    volume_mounts: tuple[RawObject, ...] = Field(default=(), max_length=64)
    """Where the volumes are mounted, as in a container."""
    ml: Literal["auto", "required", "never"] = "auto"
    """Whether this is machine learning that gets a GPU Job: auto looks, required decides, never forbids."""
    gpu_wait: DurationOrExpression | None = None
    """How long a GPU that is only preferred is waited for before the step runs without (default 5m)."""
    executor: Literal["Pod", "Job", "simulate"] | None = None
    """What runs the container; without it a Pod, for machine learning a Job. simulate runs nothing (development)."""
    queue_name: ObjectName | None = None
    """The Kueue queue the Job waits in."""
    pod_template: RawObject | None = None
    """Any further fields of the pod, merged over what the operator makes."""


class AgentBody(ApiModel):
    """Gives a task to an agent of a pool and waits for its result."""

    role: Word | None = None
    """Any pool of this role may take it."""
    pool: ObjectName | None = None
    """This pool takes it."""
    capabilities: tuple[Word, ...] = Field(default=(), max_length=32)
    """The pool has all of these."""
    task_type: Word | None = None
    """The kind of work under which pools learn; without it derived from title and description."""
    title: Line | None = None
    """The task in a line."""
    description: LongText | None = None
    """The task in full."""
    input: JsonValue = None
    """What the agent works on, any JSON."""
    output_schema: RawObject | None = None
    """The JSON schema the agent's output must meet."""
    max_cost_cents: Integer | None = Field(default=None, ge=0)
    """The most the task may cost, in cents."""
    independent_of: tuple[DnsLabel, ...] = Field(default=(), max_length=64)
    """Steps whose pool may not take this one: nobody reviews their own work."""

    @model_validator(mode="after")
    def _check_selector(self) -> Self:
        if self.pool is not None and (self.role is not None or self.capabilities):
            raise ValueError("pool stands alone: allowed is either pool, or role and capabilities")
        if self.pool is None and self.role is None and not self.capabilities:
            raise ValueError("nobody is named: one of role, pool, capabilities is needed")
        return self


class WorkflowBody(ApiModel):
    """Runs a WorkflowTemplate as a child Workflow."""

    template_ref: ObjectRef
    """The WorkflowTemplate."""
    params: JsonMap = Field(default_factory=dict)
    """Its parameters."""


class HeaderFromSecret(ApiModel):
    """A header whose value stands in a Secret."""

    name: Line
    """The header's name."""
    secret_key_ref: SecretKeyRef
    """Where its value stands."""


class HttpBody(ApiModel):
    """Calls an HTTP address."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """The method (default GET)."""
    url: Annotated[str, Field(min_length=1, max_length=4096)]
    """The address."""
    headers: dict[str, Text] = Field(default_factory=dict, max_length=64)
    """Headers by name."""
    headers_from: tuple[HeaderFromSecret, ...] = Field(default=(), max_length=64)
    """Headers whose value stands in a Secret."""
    body: JsonValue = None
    """What is sent: text as it is, anything else as JSON."""
    expect: Expression | None = None
    """What makes an answer a success, over `response` (default: a status below 400)."""
    timeout: DurationOrExpression | None = None
    """The longest wait for one answer."""


class Approvers(ApiModel):
    """Who may approve."""

    users: tuple[Line, ...] = Field(default=(), max_length=256)
    """User names."""
    groups: tuple[Line, ...] = Field(default=(), max_length=256)
    """Groups of users."""
    minimum: Integer = Field(default=1, ge=1, le=100)
    """How many different people must approve (default 1)."""


class ApprovalBody(ApiModel):
    """Waits until people approve."""

    message: Text = ""
    """What is asked."""
    approvers: Approvers | None = None
    """Who may approve; without it anyone who may change the Workflow."""
    timeout: DurationOrExpression | None = None
    """The longest wait; none by default."""
    on_timeout: Literal["fail", "approve"] = "fail"
    """What the timeout means (default fail); approve only without approvers."""

    @model_validator(mode="after")
    def _check_timeout(self) -> Self:
        if self.approvers is not None and self.on_timeout == "approve":
            raise ValueError("onTimeout approve is allowed only without approvers")
        return self


class WaitObject(ApiModel):
    """An object that is read as the workflow's account."""

    api_version: Line
    """Its apiVersion."""
    kind: Word
    """Its kind."""
    name: ObjectName
    """Its name in the workflow's namespace."""


class WaitBody(ApiModel):
    """Waits for a time, or until an object is in a state."""

    for_: DurationOrExpression | None = Field(default=None, alias="for")
    """How long."""
    until: Expression | None = None
    """What must be true, over `object`."""
    object: WaitObject | None = None
    """The object that is looked at."""
    every: DurationOrExpression | None = None
    """How often it is looked at (default 10s)."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.for_ is None) == (self.until is None):
            raise ValueError("exactly one of for and until is needed")
        if self.until is not None and self.object is None:
            raise ValueError("until needs an object to look at")
        return self


class ApplyBody(ApiModel):
    """Applies objects and waits until they are ready."""

    manifests: tuple[RawObject, ...] = Field(min_length=1, max_length=200)
    """The objects; Secrets are refused."""

    @model_validator(mode="after")
    def _check_kinds(self) -> Self:
        if any(manifest.get("kind") == "Secret" for manifest in self.manifests):
            raise ValueError("a Secret is not applied from a Workflow: make it beforehand and refer to it")
        return self


class ScaleBody(ApiModel):
    """Sets the size of a pool or a service."""

    pool: ObjectName | None = None
    """The AgentPool."""
    taskserv: ObjectName | None = None
    """The Taskserv."""
    replicas: CountOrExpression
    """The size."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.pool is None) == (self.taskserv is None):
            raise ValueError("exactly one of pool and taskserv is needed")
        return self


class TaskBody(ApiModel):
    """Runs a task of the registry, such as `provisioning.taskserv`."""

    type: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=128)]
    """The task's name in the registry."""
    params: JsonMap = Field(default_factory=dict)
    """Its parameters."""


Body = RunBody | AgentBody | WorkflowBody | HttpBody | ApprovalBody | WaitBody | ApplyBody | ScaleBody | TaskBody


class StepBody(ApiModel):
    """What a step does: exactly one of the fields."""

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

    name: DnsLabel
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

    name: DnsLabel
    """The step's name, unique in the workflow."""
    description: Text | None = None
    """What it is for."""
    depends_on: tuple[DnsLabel, ...] = Field(default=(), max_length=64)
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
