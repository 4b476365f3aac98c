"""Where the programs of the cluster come from."""

from tests.cluster.binaries.locate import Binaries, ensure_binaries, locate_tool

__all__ = ["Binaries", "ensure_binaries", "locate_tool"]
