"""What the operator says about a Taskserv."""

from typing import Literal

from pydantic import Field

from vapora.api.base import Boolean, Conditions, Integer, Message, StatusLine, StatusModel, Timestamp

TaskservPhase = Literal["Pending", "Waiting", "Deploying", "Healthy", "Degraded", "RollingBack", "Failed"]


class Revision(StatusModel):
    """One revision of a service."""

    revision: StatusLine
    """Its number."""
    version: StatusLine | None = None
    """Its version."""
    image: StatusLine | None = None
    """Its image."""
    at: Timestamp | None = None
    """When it was made."""
    outcome: StatusLine | None = None
    """What became of it: Healthy, or Failed with the cause."""


class Rollback(StatusModel):
    """Why another revision runs than the spec asks for."""

    instead: StatusLine
    """The revision that the spec asks for."""
    by: Literal["spec", "request", "failure"]
    """Who wanted it: spec.rollbackTo, a request, or the failure of the other one."""
    reason: StatusLine | None = None
    """Why, as a reason."""
    message: Message | None = None
    """Why, in a sentence."""


class Rollout(StatusModel):
    """How a new revision gets on."""

    revision: StatusLine
    """Its number."""
    former: StatusLine | None = None
    """The good revision before it."""
    moved: Integer | None = None
    """How much of it was seen at most."""
    moved_at: Timestamp | None = None
    """When it last moved on."""
    healthy_at: Timestamp | None = None
    """Since when it is healthy."""
    step: Integer | None = None
    """How many shares of a canary are done."""
    held_at: Timestamp | None = None
    """Since when all of the present share runs."""


class Retiring(StatusModel):
    """A Deployment that is not served any more and goes in a moment."""

    track: StatusLine
    """Which one it is: blue or green."""
    since: Timestamp
    """Since when."""


class TaskservStatus(StatusModel):
    """What the operator says about a Taskserv."""

    phase: TaskservPhase | None = None
    """Where the service stands."""
    observed_generation: Integer | None = None
    """The generation of the spec this status is about."""
    version: StatusLine | None = None
    """The version that runs."""
    last_good_version: StatusLine | None = None
    """The last version that was healthy."""
    pinned_revision: StatusLine | None = None
    """The revision that runs instead of the spec's until version or template change."""
    last_good_revision: StatusLine | None = None
    """The revision that was healthy last."""
    rollback: Rollback | None = None
    """Why pinnedRevision runs."""
    rollout: Rollout | None = None
    """How a new revision gets on, until it has been healthy for the progress deadline."""
    track: StatusLine | None = None
    """Which of the two Deployments is served; without it the first one, blue."""
    retiring: Retiring | None = None
    """The Deployment that goes in a moment."""
    autoscaled: Boolean | None = None
    """Whether an HPA owns the replicas."""
    handled_rollback_to: Message | None = None
    """The value of spec.rollbackTo that was carried out."""
    replicas: Integer | None = None
    """The replicas that exist."""
    ready_replicas: Integer | None = None
    """The replicas that are ready."""
    revisions: tuple[Revision, ...] = Field(
        default=(), max_length=100, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The revisions that are kept, the newest first."""
    waiting_on: Message | None = None
    """What it waits for."""
    message: Message | None = None
    """The first failing cause."""
    handled_request: Message | None = None
    """The last request annotation that was carried out."""
    deploying_since: Timestamp | None = None
    """Since when the present revision is being deployed."""
    conditions: Conditions = ()
    """Ready, Reconciling, Stalled, Degraded, DependenciesReady, ResourcesSufficient, RolledBack,
    FieldConflict, Exposed, ConfigObserved."""
