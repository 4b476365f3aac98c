"""The definition of a cluster: plain data that the task `provisioning.cluster` is given, no resource of its own."""

from typing import Annotated, Literal

from pydantic import Field

from vapora.api.base import ApiModel, Integer, Line, Quantity, Word

_Count = Annotated[Integer, Field(ge=1, le=10_000)]


class ClusterNetwork(ApiModel):
    """What connects pods, and what lets traffic in."""

    cni: Line | None = None
    """The network plug-in."""
    service_mesh: Line | None = None
    """The service mesh."""
    ingress_controller: Line | None = None
    """What lets traffic in."""


class ClusterStorageClass(ApiModel):
    """One class of volumes."""

    name: Line
    """Its name."""
    type: Line | None = None
    """What its disks are; it only informs."""


class ClusterStorage(ApiModel):
    """Where volumes come from."""

    provider: Line | None = None
    """What provides them."""
    replication_factor: _Count | None = None
    """How many copies are kept."""
    storage_classes: tuple[ClusterStorageClass, ...] = Field(default=(), max_length=64)
    """The classes there are."""


class ClusterTaint(ApiModel):
    """What keeps other pods off a node."""

    key: Line
    """Its key."""
    value: Line | None = None
    """Its value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    """What it does."""


class ClusterNodes(ApiModel):
    """Nodes that are alike."""

    role: Word
    """Their role: control-plane or worker."""
    count: _Count
    """The least number of them."""
    instance_type: Line | None = None
    """What kind of machine they are; it only informs."""
    resources: dict[str, Quantity] = Field(default_factory=dict, max_length=32)
    """What each of them has at least, by resource name."""
    labels: dict[str, Line] = Field(default_factory=dict, max_length=64)
    """Their labels."""
    taints: tuple[ClusterTaint, ...] = Field(default=(), max_length=64)
    """Their taints."""


class ClusterDefinition(ApiModel):
    """A cluster as it is wanted."""

    name: Word
    """Its name."""
    version: Line
    """The oldest version of Kubernetes that will do."""
    network: ClusterNetwork = Field(default_factory=ClusterNetwork)
    """What connects pods, and what lets traffic in."""
    storage: ClusterStorage = Field(default_factory=ClusterStorage)
    """Where volumes come from."""
    nodes: tuple[ClusterNodes, ...] = Field(min_length=1, max_length=256)
    """The nodes, in groups that are alike."""
    addons: tuple[Word, ...] = Field(default=(), max_length=64)
    """The add-ons that it needs."""
