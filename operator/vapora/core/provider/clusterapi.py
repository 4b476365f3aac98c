"""The Provider type `clusterapi`: a cluster is a Cluster with a topology, a server a MachineDeployment of one."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from vapora.api.base import ApiModel, DnsLabel, JsonMap, Line
from vapora.core.plan import Manifest
from vapora.core.provider.types import ProviderProblem, ProviderType, Wanted, build_metadata
from vapora.core.views import child, number, rows, text

_GROUP = "cluster.x-k8s.io"
_CONTROL_PLANE = "control-plane"


class MachineTemplate(ApiModel):
    """Says what the machines of servers are."""

    cluster_name: DnsLabel
    """The cluster that they join."""
    version: Line | None = None
    """Their version of Kubernetes."""
    bootstrap: JsonMap
    """How they join it: {configRef} or {dataSecretName}."""
    infrastructure_ref: JsonMap
    """The template of the machines at the infrastructure's provider."""


class ClusterApi(ProviderType):
    """Asks Cluster API, in the Provider's namespace."""

    says_ready: ClassVar[bool] = True

    version: Annotated[str, Field(pattern=r"^v[0-9]+[a-z0-9]*$")] = "v1beta1"
    """The version of its API."""
    cluster_class: DnsLabel | None = None
    """The ClusterClass of clusters."""
    worker_class: DnsLabel = "default-worker"
    """The class of their workers in it."""
    variables: tuple[JsonMap, ...] = Field(default=(), max_length=64)
    """The variables of their topology: {name, value}."""
    machine: MachineTemplate | None = None
    """What the machines of servers are."""

    def build(self, wanted: Wanted) -> Manifest:
        """Builds a Cluster or a MachineDeployment."""
        return self._build_cluster(wanted) if wanted.target == "cluster" else self._build_server(wanted)

    def list_kinds(self) -> tuple[tuple[str, str], ...]:
        """Returns its kinds in the version that it speaks."""
        return tuple((f"{_GROUP}/{self.version}", kind) for kind in ("Cluster", "MachineDeployment"))

    def _build_cluster(self, wanted: Wanted) -> Manifest:
        if self.cluster_class is None:
            raise ProviderProblem("InvalidInput", "params.clusterClass of the Provider: clusters need one")
        groups = rows(wanted.definition, "nodes")
        masters = sum(number(group, "count") for group in groups if text(group, "role") == _CONTROL_PLANE)
        workers = [group for group in groups if text(group, "role") != _CONTROL_PLANE]
        deployments = [
            {
                "class": self.worker_class,
                "name": f"{text(group, 'role')}-{place}".lower().replace("_", "-"),
                "replicas": number(group, "count"),
                **({"metadata": {"labels": labels}} if (labels := dict(child(group, "labels"))) else {}),
            }
            for place, group in enumerate(workers)
        ]
        version = text(wanted.definition, "version")
        topology: dict[str, object] = {
            "class": self.cluster_class,
            "version": version if version.startswith("v") else f"v{version}",
            "controlPlane": {"replicas": masters or 1},
            "workers": {"machineDeployments": deployments},
        }
        if self.variables:
            topology["variables"] = [dict(variable) for variable in self.variables]
        return self._build("Cluster", wanted, {"topology": topology})

    def _build_server(self, wanted: Wanted) -> Manifest:
        if self.machine is None:
            raise ProviderProblem("InvalidInput", "params.machine of the Provider: servers need it")
        labels = {f"{_GROUP}/deployment-name": wanted.item}
        machine: dict[str, object] = {
            "clusterName": self.machine.cluster_name,
            "bootstrap": dict(self.machine.bootstrap),
            "infrastructureRef": dict(self.machine.infrastructure_ref),
        }
        if self.machine.version:
            machine["version"] = self.machine.version
        spec = {
            "clusterName": self.machine.cluster_name,
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": machine},
        }
        return self._build("MachineDeployment", wanted, spec)

    def _build(self, kind: str, wanted: Wanted, spec: Manifest) -> Manifest:
        metadata = build_metadata(wanted, wanted.item)
        return {"apiVersion": f"{_GROUP}/{self.version}", "kind": kind, "metadata": metadata, "spec": spec}
