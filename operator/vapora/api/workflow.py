"""The Workflow: one run of a graph of steps."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vapora.api.base import (
    ApiModel,
    Boolean,
    Duration,
    Integer,
    JsonMap,
    ObjectName,
    ObjectRef,
    Quantity,
    Text,
)
from vapora.api.itemsstatus import ItemsStatus
from vapora.api.steps import CompletionStep, OnFailure, Retry, Step
from vapora.api.workflowstatus import StepStatus, WorkflowStatus

__all__ = [
    "STEPS_MAX",
    "Concurrency",
    "ItemsStatus",
    "Logging",
    "Monitoring",
    "Rollback",
    "StepStatus",
    "WorkflowSpec",
    "WorkflowStatus",
    "Workspace",
]

STEPS_MAX = 1000


class Rollback(ApiModel):
    """What is undone when a step fails with onFailure rollback."""

    enabled: Boolean = True
    """Whether anything is undone."""
    on_partial_failure: Boolean = True
    """Whether steps that succeeded are undone too; false keeps what was reached."""
    preserve_successful: Boolean = False
    """Keeps every step that succeeded and undoes only what failed steps left half done."""


class Workspace(ApiModel):
    """A volume that all run steps of the workflow share."""

    size: Quantity
    """The size of the volume claim."""
    storage_class: ObjectName | None = None
    """Its storage class, instead of the cluster's default."""


class Concurrency(ApiModel):
    """Mutual exclusion among the workflows of a namespace."""

    key: Annotated[str, Field(min_length=1, max_length=253)]
    """Workflows with the same key exclude each other."""
    limit: Integer = Field(default=1, ge=1, le=1000)
    """How many of them may run at once."""
    on_busy: Literal["wait", "cancelOlder"] = "wait"
    """Whether a new one waits, or cancels the older ones."""


class Logging(ApiModel):
    """What is logged about the workflow."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    """The least level that is logged."""
    format: Literal["json", "text"] = "json"
    """How a line looks."""
    destinations: tuple[Literal["stdout", "file"], ...] = Field(default=(), max_length=8)
    """Where lines go (default stdout)."""
    retention_days: Integer = Field(default=30, ge=1, le=3650)
    """How long lines are kept where the operator keeps them."""


class Monitoring(ApiModel):
    """Whether the workflow is measured."""

    enabled: Boolean = True
    """Whether metrics and traces are made for it."""


class WorkflowSpec(ApiModel):
    """What is to be done."""

    description: Text | None = None
    """What the workflow is for."""
    type: Literal["batch", "sequential", "parallel"] = "batch"
    """batch: the graph; sequential: one step after another in list order; parallel: only explicit hard edges count."""
    template_ref: ObjectRef | None = None
    """The WorkflowTemplate whose steps are run, instead of steps."""
    params: JsonMap = Field(default_factory=dict)
    """Values by name; those of a template fill its parameters."""
    service_account_name: ObjectName = "default"
    """The account the steps act as."""
    steps: tuple[Step, ...] = Field(
        default=(), max_length=STEPS_MAX, json_schema_extra={"x-kubernetes-list-type": "atomic", "minItems": 1}
    )
    """The steps, with unique names."""
    max_parallel: Integer = Field(default=10, ge=1, le=1000)
    """Steps running at once, also items of one forEach unless it says less."""
    paused: Boolean = False
    """Starts nothing new while true; running steps finish."""
    deadline: Duration | None = None
    """The longest time from creation to the end; none by default."""
    fail_fast: Boolean = True
    """A workflow that cannot succeed starts nothing more and cancels running steps."""
    on_failure: OnFailure = "fail"
    """What a failed step means, unless the step says otherwise."""
    retry: Retry = Field(default_factory=Retry)
    """How failed steps are tried again, unless the step says otherwise."""
    rollback: Rollback = Field(default_factory=Rollback)
    """What is undone when a step fails with onFailure rollback."""
    rerun_on_change: Literal["Never", "Always"] = "Never"
    """Whether a changed spec of a finished workflow runs it again."""
    ttl_after_finished: Duration | None = None
    """How long it is kept after its end; for ever by default."""
    max_cost_cents: Integer | None = Field(default=None, ge=0)
    """The most all tasks together may cost, in cents; a task beyond it fails its step. No limit by default."""
    workspace: Workspace | None = None
    """A volume that all run steps share, to hand files on."""
    concurrency: Concurrency | None = None
    """Mutual exclusion among the workflows of a namespace."""
    logging: Logging | None = None
    """What is logged about the workflow."""
    monitoring: Monitoring | None = None
    """Whether the workflow is measured."""
    on_completion: tuple[CompletionStep, ...] = Field(
        default=(), max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """Steps that run in order after the others ended; they never change the outcome."""

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if bool(self.steps) == (self.template_ref is not None):
            raise ValueError("exactly one of steps and templateRef is needed")
        return self
