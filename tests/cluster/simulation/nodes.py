"""The simulated nodes."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from tests.cluster.binaries.build import KUBERNETES_VERSION
from tests.cluster.manifests import Json


@dataclasses.dataclass(frozen=True, slots=True)
class NodePool:
    """Nodes of one make: `<name>-0` and so on."""

    name: str
    count: int = 1
    cpu: str = "64"
    memory: str = "256Gi"
    pods: int = 1_000
    gpus: int = 0
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()


GENERAL = NodePool("general", count=6, labels={"vapora.dev/node": "general"})
GPU = NodePool(
    "gpu",
    count=2,
    gpus=8,
    labels={
        "vapora.dev/node": "gpu",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
        "nvidia.com/gpu.memory": "81920",
        "nvidia.com/gpu.count": "8",
    },
    taints=({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},),
)
DEFAULT_NODES = (GENERAL, GPU)


def _machines(name: str, count: int, kind: str, cpu: int, **labels: str) -> NodePool:
    """Say what one group of a cluster's definition asks for."""
    role = f"node-role.kubernetes.io/{'control-plane' if name == 'control-plane' else 'worker'}"
    return NodePool(
        name,
        count=count,
        cpu=str(cpu),
        memory=f"{2 * cpu}Gi",
        labels={role: "", "node.kubernetes.io/instance-type": kind, **labels},
        taints=({"key": role, "effect": "NoSchedule"},) if name == "control-plane" else (),
    )


# The eleven nodes that the published definition of a cluster names, and twelve more: its pools do not fit on those.
FLEET_NODES = (
    _machines("control-plane", 3, "t3.medium", 2),
    _machines("agents", 5, "t3.large", 4, workload="agents", tier="compute"),
    _machines("data", 3, "t3.xlarge", 8, workload="data", tier="storage"),
    _machines("more-agents", 12, "t3.xlarge", 8, workload="agents", tier="compute"),
)


def build_nodes(pools: Sequence[NodePool]) -> Iterator[Json]:
    """Make the Node of each member of each pool."""
    for pool in pools:
        for index in range(pool.count):
            yield _build_node(pool, f"{pool.name}-{index}")


def _build_node(pool: NodePool, name: str) -> Json:
    resources: dict[str, str] = {"cpu": pool.cpu, "memory": pool.memory, "pods": str(pool.pods)}
    resources["ephemeral-storage"] = "1Ti"
    if pool.gpus:
        resources["nvidia.com/gpu"] = str(pool.gpus)
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": pool.name,
        **pool.labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [dict(taint) for taint in pool.taints]},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "simulated",
                "kernelVersion": "simulated",
                "kubeProxyVersion": "",
                "kubeletVersion": KUBERNETES_VERSION,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "simulated",
                "systemUUID": "",
            },
        },
    }
