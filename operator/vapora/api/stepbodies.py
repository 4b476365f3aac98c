"""What each kind of step does."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from vapora.api.base import (
    ApiModel,
    Arguments,
    CountOrExpression,
    DurationOrExpression,
    Environment,
    Expression,
    Image,
    Integer,
    JsonMap,
    Line,
    LongText,
    NameOrExpression,
    ObjectName,
    ObjectRef,
    QuantityOrExpression,
    RawObject,
    SecretKeyRef,
    StepName,
    Text,
    Word,
)


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
    result_config_map: NameOrExpression | None = None
    """The ConfigMap with the result, key by key, where the termination message holds no JSON object."""
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
    """The most the step, or each of its items, may cost with all its tries, in cents."""
    independent_of: tuple[StepName, ...] = Field(default=(), max_length=64)
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

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name in (*self.users, *self.groups):
            if "${" in name:
                raise ValueError(f"{name!r} is no name: who may approve is not computed by ${{...}}")
        return self


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


BODY_KINDS = ("run", "agent", "workflow", "http", "approval", "wait", "apply", "scale", "task")
"""The kinds of step; exactly one stands in a step, as the field of that name."""

Body = RunBody | AgentBody | WorkflowBody | HttpBody | ApprovalBody | WaitBody | ApplyBody | ScaleBody | TaskBody
