"""The WorkflowTemplate: a reusable graph with parameters, optionally on a schedule."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic.types import StringConstraints

from vapora.api.base import (
    ApiModel,
    Boolean,
    Conditions,
    Duration,
    Integer,
    Line,
    StatusLine,
    StatusModel,
    Text,
    Timestamp,
)
from vapora.api.workflow import WorkflowSpec

ParameterName = Annotated[str, StringConstraints(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]


class Parameter(ApiModel):
    """One parameter of a template."""

    name: ParameterName
    """Its name, used as `${params.name}`."""
    type: Literal["string", "integer", "number", "boolean", "array", "object"] = "string"
    """The type of its values (default string)."""
    default: JsonValue = None
    """Its value where none is given."""
    enum: tuple[JsonValue, ...] = Field(default=(), max_length=256)
    """The only values allowed."""
    required: Boolean = False
    """Whether a value must be given where there is no default (default false)."""
    description: Text | None = None
    """What it is for."""


class Keep(ApiModel):
    """How many finished runs are kept."""

    succeeded: Integer = Field(default=3, ge=0, le=1000)
    """Runs that succeeded."""
    failed: Integer = Field(default=3, ge=0, le=1000)
    """Runs that did not."""


class Schedule(ApiModel):
    """When the template runs by itself."""

    cron: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """Five fields, as in cron."""
    time_zone: Line = "UTC"
    """The time zone the fields are read in."""
    concurrency: Literal["Allow", "Forbid", "Replace"] = "Forbid"
    """Whether a run starts beside an earlier one, after it has ended, or in its place (default Forbid: after it)."""
    starting_deadline: Duration | None = None
    """How late a missed slot may still start; without it only the latest one does, however late."""
    keep: Keep = Field(default_factory=Keep)
    """How many finished runs are kept."""
    suspend: Boolean = False
    """Starts no runs while true; slots that pass meanwhile are not made up for."""


class WorkflowTemplateSpec(ApiModel):
    """A reusable graph."""

    parameters: tuple[Parameter, ...] = Field(
        default=(), max_length=128, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The parameters, with unique names."""
    workflow: WorkflowSpec
    """The Workflow each run is made from."""
    schedule: Schedule | None = None
    """When it runs by itself."""

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.workflow.template_ref is not None:
            raise ValueError("workflow.templateRef is not allowed: a template holds its own steps")
        return self


class Run(StatusModel):
    """One run of a template."""

    name: StatusLine
    """The Workflow's name."""
    outcome: StatusLine | None = None
    """Its phase when it ended."""
    started_at: Timestamp | None = None
    """When it started."""
    finished_at: Timestamp | None = None
    """When it ended."""


class WorkflowTemplateStatus(StatusModel):
    """What the operator says about a WorkflowTemplate."""

    observed_generation: Integer | None = None
    """The generation of the spec this status is about."""
    conditions: Conditions = ()
    """Ready, Reconciling, Stalled, Suspended."""
    last_scheduled_at: Timestamp | None = None
    """The slot of the last scheduled run."""
    next_scheduled_at: Timestamp | None = None
    """The next slot to start; it lies in the past while it waits for an earlier run."""
    recent: tuple[Run, ...] = Field(default=(), max_length=20, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    """The latest finished runs."""
    active: tuple[StatusLine, ...] = Field(
        default=(), max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The runs that go on."""
