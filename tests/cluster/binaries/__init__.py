"""Where the programs of the cluster come from."""

from tests.cluster.binaries.build import build_binaries
from tests.cluster.binaries.locate import (
    Binaries,
    NodeBinaries,
    cache_folder,
    ensure_binaries,
    ensure_helm,
    ensure_node_binaries,
    locate_tool,
)

__all__ = [
    "Binaries",
    "NodeBinaries",
    "build_binaries",
    "cache_folder",
    "ensure_binaries",
    "ensure_helm",
    "ensure_node_binaries",
    "locate_tool",
]
