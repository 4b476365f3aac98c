"""The Provider: where servers and clusters come from."""

from pydantic import Field

from vapora.api.base import (
    ApiModel,
    Boolean,
    Conditions,
    Integer,
    JsonMap,
    Line,
    ObjectName,
    SecretRef,
    StatusLine,
    StatusModel,
    Timestamp,
    Word,
)

INVENTORY_MAX = 1000


class ProviderLimits(ApiModel):
    """What the provider's interface bears."""

    requests_per_second: Integer = Field(default=10, ge=1, le=1000)
    """Requests in a second."""
    batch_size: Integer = Field(default=5, ge=1, le=1000)
    """Operations at once."""


class ProviderSpec(ApiModel):
    """A source of servers and clusters."""

    type: Word
    """The adapter that speaks with it: local, clusterapi, crossplane, command, or one that is installed beside them."""
    params: JsonMap = Field(default_factory=dict)
    """The adapter's settings."""
    credentials: SecretRef | None = None
    """The Secret with the credentials."""
    service_account_name: ObjectName = "default"
    """The account that its inventory is read as."""
    limits: ProviderLimits = Field(default_factory=ProviderLimits)
    """What its interface bears."""
    shared_resources: tuple[Line, ...] = Field(default=(), max_length=64)
    """What its servers share, made before the first and removed after the last; for types that write records."""
    requires_network: Boolean = False
    """Whether servers need a network of their own."""
    network_before_servers: Boolean = False
    """Whether that network must exist before the first server."""


class Server(StatusModel):
    """One thing the provider has."""

    name: StatusLine
    """Its name."""
    kind: StatusLine | None = None
    """What it is: server, taskserv or cluster."""
    state: StatusLine | None = None
    """How it is."""


class ProviderStatus(StatusModel):
    """What the operator says about a Provider."""

    observed_generation: Integer | None = None
    """The generation of the spec this status is about."""
    conditions: Conditions = ()
    """Ready, Reconciling, Stalled."""
    inventory: tuple[Server, ...] = Field(
        default=(), max_length=INVENTORY_MAX, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """What it has."""
    in_use: Integer | None = None
    """How many operations go on."""
    throttled: Integer | None = None
    """How many operations its limits hold back."""
    refreshed_at: Timestamp | None = None
    """When the inventory was last read."""
