"""The embedded cluster: a real Kubernetes API with simulated nodes, a NATS server, and agents as local processes."""

from tests.cluster.access import Cluster
from tests.cluster.embedded import EmbeddedCluster
from tests.cluster.nats import NatsServer
from tests.cluster.process import ManagedProcess, Supervisor, free_port
from tests.cluster.real import RealCluster
from tests.cluster.simulation.agents import AgentProcess, AgentProcesses
from tests.cluster.simulation.nodes import DEFAULT_NODES, FLEET_NODES, GENERAL, GPU, NodePool
from tests.cluster.waiting import until, wait_until

__all__ = [
    "DEFAULT_NODES",
    "FLEET_NODES",
    "GENERAL",
    "GPU",
    "AgentProcess",
    "AgentProcesses",
    "Cluster",
    "EmbeddedCluster",
    "ManagedProcess",
    "NatsServer",
    "NodePool",
    "RealCluster",
    "Supervisor",
    "free_port",
    "until",
    "wait_until",
]
