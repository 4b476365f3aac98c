"""Where the programs of the cluster come from."""

from tests.cluster.binaries.build import build_binaries
from tests.cluster.binaries.locate import Binaries, cache_folder, ensure_binaries, ensure_helm, locate_tool

__all__ = ["Binaries", "build_binaries", "cache_folder", "ensure_binaries", "ensure_helm", "locate_tool"]
