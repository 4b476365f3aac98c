"""The embedded cluster with a real node in place of simulated ones."""

from collections.abc import Sequence
from pathlib import Path

from tests.cluster.binaries import Binaries, ensure_node_binaries
from tests.cluster.control_plane import ControlPlane
from tests.cluster.embedded import EmbeddedCluster
from tests.cluster.manifests import Json
from tests.cluster.node import NAME, RealNode, find_obstacle
from tests.cluster.node.images import build_images
from tests.cluster.node.ours import describe_images
from tests.cluster.process import Supervisor


def ensure_real_node() -> Path:
    """Make what a real node needs, where it is not there yet, and return the archive of this repository's images."""
    ensure_node_binaries()
    return build_images(*describe_images())


class RealCluster(EmbeddedCluster):
    """An embedded cluster whose one node runs containers: root, Linux and containerd are needed.

    `images` is an archive of what the node can run, as it reaches no registry. Pods find Services by name; from this
    machine the addresses of pods and Services are reached.
    """

    def __init__(self, *, images: Path, audit: bool = False, definitions: Path | None = None) -> None:
        super().__init__(nodes=(), audit=audit, agents=False, definitions=definitions)
        self._images = images

    def _make_control_plane(self, supervisor: Supervisor, binaries: Binaries) -> ControlPlane:
        obstacle = find_obstacle()
        if obstacle:
            raise OSError(obstacle)
        self.node = RealNode(supervisor, ensure_node_binaries())
        return ControlPlane(supervisor, binaries, audit=self._audit, network=self.node.network)

    def _start_nodes(self, supervisor: Supervisor) -> None:
        for body in build_dns(self.node.network.dns, self.node.network.node):
            plural = "services" if body["kind"] == "Service" else "endpointslices"
            group = "/api/v1" if body["kind"] == "Service" else "/apis/discovery.k8s.io/v1"
            self.api.post(f"{group}/namespaces/kube-system/{plural}", json=body).raise_for_status()
        self.node.start(self.control_plane.kubeconfig, self._images)
        self.control_plane.processes.update(self.node.processes)

    def _is_usable(self) -> bool:
        return self.api.get(f"/api/v1/nodes/{NAME}").status_code == 200 and super()._is_usable()

    def _start_agents(self, supervisor: Supervisor) -> None:
        """Leave them to the node, and the broker too."""

    def close(self) -> None:
        """End every process, and remove the folder and what the node has left."""
        if hasattr(self, "node"):
            self.node.stop()
        super().close()


def build_dns(address: str, server: str) -> Sequence[Json]:
    """Make the Service by which pods find the name server, which is no pod."""
    metadata = {"name": "kube-dns", "namespace": "kube-system"}
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    return (
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": address, "ports": ports}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [server]}],
            "ports": ports,
        },
    )
