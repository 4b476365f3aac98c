"""Local processes that never outlive the one that started them."""

from tests.cluster.process.ports import free_port
from tests.cluster.process.supervision import ManagedProcess, Supervisor

__all__ = ["ManagedProcess", "Supervisor", "free_port"]
