"""What the operator says about a Taskserv."""

from typing import Literal

from pydantic import Field

from vapora.api.base import Conditions, Integer, Message, StatusLine, StatusModel, Timestamp

TaskservPhase = Literal["Pending", "Waiting", "Deploying", "Healthy", "Degraded", "RollingBack", "Failed"]


class Revision(StatusModel):
    """One revision of a service."""

    revision: StatusLine
    """Its name."""
    version: StatusLine | None = None
    """Its version."""
    image: StatusLine | None = None
    """Its image."""
    at: Timestamp | None = None
    """When it was made."""
    outcome: StatusLine | None = None
    """What became of it."""


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
    """The revision that rollbackTo holds."""
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
    """Ready, Reconciling, Stalled, Degraded, DependenciesReady, ResourcesSufficient."""
