"""The AgentPool: interchangeable agents of one role behind a queue."""

from typing import Literal, Self

from pydantic import Field, model_validator

from vapora.api.base import (
    ApiModel,
    Arguments,
    Boolean,
    Conditions,
    Duration,
    Environment,
    Image,
    Integer,
    JsonMap,
    Line,
    Message,
    Number,
    Percent,
    RawObject,
    Resources,
    SecretKeyRef,
    SecretRef,
    StatusLine,
    StatusModel,
    Timestamp,
    Word,
)

REPLICAS_MAX = 10_000


class AgentTemplate(ApiModel):
    """The pod of one agent."""

    image: Image
    """The agent's image."""
    command: Arguments = ()
    """The program, instead of the image's entry point."""
    args: Arguments = ()
    """Its arguments, instead of the image's."""
    env: Environment = Field(default_factory=dict)
    """Environment variables; `secret:<name>:<key>` takes the value from a Secret."""
    env_from: tuple[RawObject, ...] = Field(default=(), max_length=64)
    """Whole ConfigMaps and Secrets as environment, as in a container."""
    resources: Resources = Field(default_factory=Resources)
    """What the agent requests and may use at most."""
    pod_template: RawObject | None = None
    """Any further fields of the pod, merged over what the operator makes."""


class Trigger(ApiModel):
    """A queue or a number that the pool's size follows."""

    type: Literal["nats", "redisStream", "redisList", "postgres", "prometheus", "http", "workflow"]
    """What is read."""
    params: JsonMap = Field(default_factory=dict)
    """Where and how it is read."""
    auth_ref: SecretRef | None = None
    """The Secret with the credentials."""


class Scaling(ApiModel):
    """How the pool's size follows its queue."""

    mode: Literal["queue", "hpa", "none"] = "queue"
    """Who owns the size: the operator by the queue, an HPA, or spec.replicas."""
    min: Integer = Field(default=1, ge=0, le=REPLICAS_MAX)
    """The smallest size."""
    max: Integer = Field(default=10, ge=1, le=REPLICAS_MAX)
    """The largest size."""
    scale_up_above: Integer = Field(default=10, ge=0, le=1_000_000)
    """Grows while the queue is longer than this."""
    scale_down_below: Integer = Field(default=2, ge=0, le=1_000_000)
    """Shrinks while the queue is shorter than this."""
    up_step: Integer = Field(default=2, ge=1, le=REPLICAS_MAX)
    """By how many agents it grows at once."""
    down_step: Integer = Field(default=1, ge=1, le=REPLICAS_MAX)
    """By how many agents it shrinks at once."""
    rule: Literal["step", "target"] = "step"
    """step: by thresholds and steps; target: by tasks per agent."""
    target_per_replica: Integer | None = Field(default=None, ge=1, le=1_000_000)
    """Tasks per agent that rule target aims at."""
    interval: Duration = "5s"
    """The shortest time between two changes."""
    scale_down_stabilization: Duration = "60s"
    """How long the queue must have been short before the pool shrinks."""
    triggers: tuple[Trigger, ...] = Field(
        default=(), max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """What is read besides the pool's own queue."""
    on_unknown: Literal["hold", "min", "max", "replicas"] = "hold"
    """The size while the queue cannot be read."""
    on_unknown_replicas: Integer | None = Field(default=None, ge=0, le=REPLICAS_MAX)
    """The size with onUnknown replicas."""
    warm: Integer = Field(default=0, ge=0, le=REPLICAS_MAX)
    """Idle agents kept beyond what the queue needs."""
    predict: Boolean = False
    """Starts agents ahead of the steps that will need them."""
    cpu_target_percent: Percent | None = None
    """The CPU use that mode hpa aims at."""

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.scale_down_below > self.scale_up_above + 1:
            limits = f"scaleDownBelow {self.scale_down_below} and scaleUpAbove {self.scale_up_above}"
            raise ValueError(f"{limits} ask for both at a queue of {self.scale_up_above + 1}")
        if self.rule == "target" and self.target_per_replica is None:
            raise ValueError("rule target needs targetPerReplica")
        if self.on_unknown == "replicas" and self.on_unknown_replicas is None:
            raise ValueError("onUnknown replicas needs onUnknownReplicas")
        return self


class Drain(ApiModel):
    """How agents leave."""

    timeout: Duration = "10m"
    """How long an agent that leaves may finish or hand back its tasks."""


class Budget(ApiModel):
    """What the pool may spend."""

    weekly_cents: Integer | None = Field(default=None, ge=0)
    """Cents in a week (UTC); no limit by default."""
    monthly_cents: Integer | None = Field(default=None, ge=0)
    """Cents in a month (UTC); no limit by default."""
    alert_at: Number = Field(default=0.8, ge=0, le=1)
    """The share, spent and reserved, from which the cheaper provider is used."""
    at_limit: Literal["hold", "cheaper", "allow"] = "hold"
    """Over the limit: hold tasks back, go on with the cheapest provider, or go on as before."""


class TokenPrice(ApiModel):
    """What a million tokens cost, in cents."""

    input: Number = Field(default=0, ge=0)
    """Tokens read."""
    output: Number = Field(default=0, ge=0)
    """Tokens written."""


class ModelProvider(ApiModel):
    """A language model the agents may use."""

    name: Word
    """The provider's name."""
    model: Line | None = None
    """The model's name."""
    quality: Number = Field(default=0.5, ge=0, le=1)
    """How good its answers are, 0 to 1 (default 0.5); quality * 100 / (cents of a task + 1) ranks it."""
    cents_per_million_tokens: TokenPrice = Field(default_factory=TokenPrice)
    """What it costs."""
    secret: SecretKeyRef | None = None
    """The Secret with its key; agents have it as VAPORA_PROVIDER_<NAME>_KEY."""


class AgentPoolSpec(ApiModel):
    """A set of interchangeable agents."""

    role: Word
    """The role its agents play."""
    capabilities: tuple[Word, ...] = Field(default=(), max_length=64)
    """What its agents can do."""
    replicas: Integer | None = Field(default=None, ge=0, le=REPLICAS_MAX)
    """With mode none the wanted size; with mode queue only the first one."""
    max_concurrent: Integer = Field(default=1, ge=1, le=1000)
    """Tasks one agent works on at a time."""
    template: AgentTemplate
    """The pod of one agent."""
    scaling: Scaling | None = None
    """How the size follows the queue; without it the size is replicas (mode none)."""
    drain: Drain = Field(default_factory=Drain)
    """How agents leave."""
    budget: Budget | None = None
    """What the pool may spend; no limit by default."""
    providers: tuple[ModelProvider, ...] = Field(
        default=(), max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The language models its agents may use."""
    paused: Boolean = False
    """Gives its agents no new task while true."""


class LastDecision(StatusModel):
    """The last decision about the size."""

    at: Timestamp | None = None
    """When it was made."""
    action: Literal["scale_up", "scale_down", "no_change"] | None = None
    """What was done."""
    from_: Integer | None = Field(default=None, alias="from")
    """The size before."""
    to: Integer | None = None
    """The size after."""
    reason: Message | None = None
    """Its arithmetic: what was read, what was wanted, which limit cut it."""
    queue: Integer | None = None
    """The length of the queue it rests on."""
    trigger: StatusLine | None = None
    """The trigger that decided."""


class Forecast(StatusModel):
    """What running workflows are about to need of the pool."""

    tasks: Integer | None = None
    """The tasks at work or waiting, when the time is over."""
    within_seconds: Integer | None = None
    """The time that it looks ahead: what a new agent takes to be ready."""
    error: Number | None = None
    """The error of such forecasts, 0 to 1, weighed by their tasks; absent until enough of them came true or not."""
    used: Boolean | None = None
    """Whether agents are started by it: not before its error is known, nor while that is above 0.5."""


class Spend(StatusModel):
    """What was spent, in cents."""

    week_cents: Integer | None = None
    """This week."""
    month_cents: Integer | None = None
    """This month."""
    reserved_cents: Integer | None = None
    """What is reserved for tasks under way."""
    tier: StatusLine | None = None
    """What follows from it where there is a budget: normal, cheaper (the cheaper provider) or held (no new tasks)."""
    at: Timestamp | None = None
    """When these numbers last changed."""


class Expertise(StatusModel):
    """How good the pool is at one kind of work."""

    task_type: StatusLine
    """The kind of work."""
    executions: Integer = 0
    """How many executions are known."""
    recent_success_rate: Number | None = None
    """The share of them that succeeded."""
    expertise: Number | None = None
    """The share that succeeded, recent ones counting more."""
    confidence: Number | None = None
    """How much is known, 0 to 1."""
    trend: StatusLine | None = None
    """Improving, Declining or Stable."""


class AgentPoolStatus(StatusModel):
    """What the operator says about an AgentPool."""

    observed_generation: Integer | None = None
    """The generation of the spec this status is about."""
    replicas: Integer | None = None
    """The agents that exist."""
    ready_replicas: Integer | None = None
    """The agents that take tasks."""
    desired_replicas: Integer | None = None
    """The size that is wanted."""
    busy: Integer | None = None
    """The agents that work on a task."""
    queued: Integer | None = None
    """The tasks that wait; absent while unknown."""
    in_flight: Integer | None = None
    """The tasks being worked on; absent while unknown."""
    selector: StatusLine | None = None
    """The label selector of its pods, for the scale subresource."""
    last_decision: LastDecision | None = None
    """The last decision about the size."""
    low_since: Timestamp | None = None
    """Since when the queue has been short."""
    last_scaled_at: Timestamp | None = None
    """When the size last changed."""
    first_replicas: Integer | None = None
    """The spec.replicas that the first size came from; with mode queue or hpa another one changes nothing."""
    forecast: Forecast | None = None
    """What is foreseen, with scaling.predict."""
    spend: Spend | None = None
    """What was spent."""
    success_rate: Number | None = None
    """The share that succeeded of its latest executions, of all kinds of work."""
    expertise: tuple[Expertise, ...] = Field(
        default=(), max_length=10, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """How good it is at the ten kinds of work it does most."""
    conditions: Conditions = ()
    """Ready, Reconciling, Stalled, ScalingActive, ScaleIgnored, MetricsAvailable, Paused, WithinBudget."""
