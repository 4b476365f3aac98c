"""The Taskserv: a service the fleet needs."""

from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator
from pydantic.types import StringConstraints

from vapora.api.base import (
    TYPE_NAME,
    ApiModel,
    Arguments,
    Boolean,
    CountOrPercentage,
    DnsLabel,
    Duration,
    Environment,
    Expression,
    Image,
    Integer,
    Line,
    ObjectName,
    Percent,
    Quantity,
    RawObject,
    Resources,
    SecretKeyRef,
    Text,
    require_one,
)
from vapora.api.taskservstatus import TaskservStatus

__all__ = [
    "Build",
    "Canary",
    "Dependency",
    "DisruptionBudget",
    "Gateway",
    "HealthCheck",
    "MinimumResources",
    "ServiceScaling",
    "Source",
    "Storage",
    "TaskservSpec",
    "TaskservStatus",
    "Tls",
    "TopologySpread",
    "Upgrade",
]

Port = Annotated[Integer, Field(ge=1, le=65535)]
PORT_NAME_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
PortName = Annotated[str, StringConstraints(pattern=PORT_NAME_PATTERN, min_length=1, max_length=15)]
PortRef = Annotated[
    Port | PortName,
    WithJsonSchema(
        {
            TYPE_NAME: "port name or number",
            "x-kubernetes-int-or-string": True,
            "pattern": PORT_NAME_PATTERN,
            "maxLength": 15,
            "minimum": 1,
            "maximum": 65535,
        }
    ),
]
Version = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Source(ApiModel):
    """Where the service's code stands."""

    repository: Text | None = None
    """The repository's address."""
    branch: Line | None = None
    """The branch."""
    path: Text | None = None
    """The folder in the repository."""


class Build(ApiModel):
    """How the service's image is built."""

    runtime: Line | None = None
    """The language or tool chain."""
    command: Text | None = None
    """The command that builds the program."""
    binary_path: Text | None = None
    """Where the program stands afterwards."""
    dockerfile: Text | None = None
    """The Dockerfile."""


class Storage(ApiModel):
    """A volume that each replica keeps."""

    size: Quantity
    """Its size; fixed once the service is deployed."""
    storage_class: ObjectName | None = None
    """Its storage class, instead of the cluster's default; fixed like the size."""
    mount_path: Text = "/data"
    """Where it is mounted."""


class TopologySpread(ApiModel):
    """How replicas are spread over the cluster."""

    topology_key: Line = "kubernetes.io/hostname"
    """The label of nodes that tells places apart (default kubernetes.io/hostname)."""
    max_skew: Integer = Field(default=1, ge=1, le=100)
    """How uneven it may be (default 1)."""
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"
    """What happens where it cannot be kept (default ScheduleAnyway)."""


class DisruptionBudget(ApiModel):
    """How many replicas a drain may take at once."""

    model_config = require_one("minAvailable", "maxUnavailable")

    min_available: CountOrPercentage | None = None
    """How many must stay."""
    max_unavailable: CountOrPercentage | None = None
    """How many may go."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.min_available is None) == (self.max_unavailable is None):
            raise ValueError("exactly one of minAvailable and maxUnavailable is needed")
        return self


class HealthCheck(ApiModel):
    """How the service is asked whether it is well."""

    model_config = require_one("path", "tcp", "command", "grpc")

    path: Annotated[str, StringConstraints(pattern="^/", max_length=1024)] | None = None
    """An HTTP path that answers with a status below 400."""
    tcp: Boolean | None = None
    """A port that accepts connections."""
    command: Arguments | None = None
    """A command in the container that exits with 0."""
    grpc: Boolean | None = None
    """A port that speaks the gRPC health protocol."""
    port: PortRef | None = None
    """The port, by name or number (default: the port `http`, else the first one)."""
    interval: Duration = "10s"
    """How often it is asked."""
    timeout: Duration = "5s"
    """The longest wait for an answer."""
    failure_threshold: Integer = Field(default=3, ge=1, le=1000)
    """How many failures in a row make it unhealthy."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if sum((self.path is not None, bool(self.tcp), bool(self.command), bool(self.grpc))) != 1:
            raise ValueError("exactly one of path, tcp, command, grpc is needed")
        return self


class Dependency(ApiModel):
    """A service this one needs."""

    name: ObjectName
    """Its name."""
    namespace: DnsLabel | None = None
    """Its namespace, if it is another one."""
    kind: Literal["Taskserv", "Service"] = "Taskserv"
    """What it is (default Taskserv)."""
    required: Boolean = True
    """Whether the first deploy waits for it (default true); else it only comes first."""
    condition: Literal["Ready", "Healthy"] = "Healthy"
    """What is waited for (default Healthy)."""
    version: Line | None = None
    """The versions that are good enough, such as `>=1.2`."""


class MinimumResources(ApiModel):
    """What one node must be able to offer."""

    cpu: Quantity | None = None
    """How much CPU."""
    memory: Quantity | None = None
    """How much memory."""
    disk: Quantity | None = None
    """How much ephemeral storage."""


class ServiceScaling(ApiModel):
    """An HPA that owns the replicas."""

    min: Integer = Field(default=1, ge=1, le=1000)
    """The fewest replicas."""
    max: Integer = Field(ge=1, le=1000)
    """The most replicas."""
    target_cpu_percent: Percent | None = None
    """The CPU use it aims at."""
    target_memory_percent: Percent | None = None
    """The memory use it aims at."""

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Canary(ApiModel):
    """How a canary grows."""

    steps: tuple[Percent, ...] = Field(default=(10, 50, 100), min_length=1, max_length=20)
    """The shares, in percent (default 10, 50, 100): of the traffic with a gateway, else of the replicas."""
    every: Duration = "1m"
    """How long each share is watched."""
    analysis: Expression | None = None
    """What must hold while a share is watched, over the new one's `metrics`: replicas, available, ready, restarts."""


class Upgrade(ApiModel):
    """How a new version replaces the old one."""

    strategy: Literal["rolling", "recreate", "canary", "bluegreen"] = "rolling"
    """How it is replaced."""
    canary: Canary | None = None
    """How a canary grows."""
    auto_rollback: Boolean = True
    """Goes back to the last good version when the new one fails."""
    progress_deadline: Duration = "10m"
    """How long the new version may make no progress."""


class Gateway(ApiModel):
    """The Gateway that carries the hosts' traffic."""

    name: ObjectName
    """Its name."""
    namespace: DnsLabel | None = None
    """Its namespace, if it is another one."""


class Tls(ApiModel):
    """The certificate of the hosts."""

    secret_name: ObjectName
    """The Secret that holds it."""


class TaskservSpec(ApiModel):
    """A service."""

    type: Literal["service", "stateful", "job"] = "service"
    """service: a Deployment; stateful: a StatefulSet; job: one Job."""
    version: Version | None = None
    """The version; `${version}` in image stands for it."""
    description: Text | None = None
    """What the service is for."""
    source: Source | None = None
    """Where its code stands."""
    build: Build | None = None
    """How its image is built."""
    image: Image
    """The container's image."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled, instead of Kubernetes' default."""
    command: Arguments = ()
    """The program, instead of the image's entry point."""
    args: Arguments = ()
    """Its arguments, instead of the image's."""
    replicas: Integer | None = Field(default=None, ge=0, le=1000)
    """How many run; without it one. An HPA made by scaling owns the number instead."""
    ports: dict[PortName, Port] = Field(default_factory=dict, max_length=32)
    """The ports by name."""
    resources: Resources = Field(default_factory=Resources)
    """What the container requests and may use at most."""
    environment: Environment = Field(default_factory=dict)
    """Environment variables; `secret:<name>:<key>` takes the value from a Secret."""
    env_from: tuple[RawObject, ...] = Field(default=(), max_length=64)
    """Whole ConfigMaps and Secrets as environment, as in a container."""
    secrets: dict[str, SecretKeyRef] = Field(default_factory=dict, max_length=256)
    """Environment variables whose value stands in a Secret."""
    storage: Storage | None = None
    """A volume that each replica keeps."""
    topology_spread: tuple[TopologySpread, ...] = Field(default=(), max_length=8)
    """How replicas are spread over the cluster."""
    disruption_budget: DisruptionBudget | None = None
    """How many replicas a drain may take at once."""
    health_check: HealthCheck | None = None
    """How it is asked whether it is well; without it a running pod is."""
    dependencies: tuple[Dependency, ...] = Field(
        default=(), max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The services it needs."""
    conflicts_with: tuple[ObjectName, ...] = Field(default=(), max_length=64)
    """Taskservs that must not be there with it."""
    minimum_resources: MinimumResources | None = None
    """What one node must be able to offer."""
    scaling: ServiceScaling | None = None
    """An HPA that owns the replicas."""
    upgrade: Upgrade = Field(default_factory=Upgrade)
    """How a new version replaces the old one."""
    exposure: Literal["private", "internal", "public"] = "private"
    """Who may reach it: its namespace, the cluster, or everyone by hosts."""
    hosts: tuple[Annotated[str, StringConstraints(max_length=253)], ...] = Field(default=(), max_length=32)
    """The host names it answers to."""
    gateway: Gateway | None = None
    """The Gateway that carries the hosts' traffic."""
    tls: Tls | None = None
    """The certificate of the hosts."""
    revision_history: Integer = Field(default=10, ge=1, le=100)
    """How many revisions are kept to go back to."""
    pod_template: RawObject | None = None
    """Any further fields of the pod, merged over what the operator makes."""
    rollback_to: Line | None = None
    """The version or revision to go back to; it holds until version or template change."""
