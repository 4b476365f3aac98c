"""The real node of an embedded cluster."""

from tests.cluster.node.machine import NAME, RealNode, find_obstacle

__all__ = ["NAME", "RealNode", "find_obstacle"]
