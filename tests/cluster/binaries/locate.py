"""Finding the programs of the cluster: given ones, cached ones, or built ones."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.cluster.binaries.build import build_binaries

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
NODE_NAMES = ("kubelet", "kube-proxy", "coredns")


@dataclasses.dataclass(frozen=True, slots=True)
class Binaries:
    """The paths of the programs that make a cluster."""

    etcd: Path
    apiserver: Path
    controller_manager: Path
    scheduler: Path
    kwok: Path

    @classmethod
    def of(cls, paths: Mapping[str, Path]) -> "Binaries":
        """Take each program from its path."""
        return cls(*(paths[name] for name in NAMES))


@dataclasses.dataclass(frozen=True, slots=True)
class NodeBinaries:
    """The paths of the programs that make a real node."""

    kubelet: Path
    proxy: Path
    coredns: Path


def ensure_binaries(say: Callable[[str], None] | None = None) -> Binaries:
    """Return the programs, building on first use what `KUBEBUILDER_ASSETS` does not hold."""
    return Binaries.of(_ensure(NAMES, say or _say))


def ensure_node_binaries() -> NodeBinaries:
    """Return the programs of a real node, as `ensure_binaries` does."""
    found = _ensure(NODE_NAMES, _say)
    return NodeBinaries(*(found[name] for name in NODE_NAMES))


def _ensure(names: Sequence[str], say: Callable[[str], None]) -> dict[str, Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    given = {name: Path(assets) / name for name in names if (Path(assets) / name).exists()} if assets else {}
    missing = [name for name in names if name not in given]
    built = build_binaries(cache_folder(), missing, say) if missing else {}
    return {**given, **built}


def ensure_helm() -> Path:
    """Return Helm: the one on PATH, or one that is built on first use."""
    on_path = shutil.which("helm")
    return Path(on_path) if on_path else build_binaries(cache_folder(), ["helm"], _say)["helm"]


def cache_folder() -> Path:
    """Return the folder outside the checkout that keeps what was built."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "vapora" / "cluster"


def locate_tool(name: str) -> Path:
    """Return a program that the development requirements bring into the virtual environment, such as kubectl."""
    beside = Path(sys.executable).with_name(name)
    if beside.exists():
        return beside
    on_path = shutil.which(name)
    if on_path is None:
        raise FileNotFoundError(f"{name} is neither beside {sys.executable} nor on PATH: run `make setup`")
    return Path(on_path)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
