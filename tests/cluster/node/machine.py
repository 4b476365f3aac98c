"""A real node: containerd, kubelet, kube-proxy and a name server on this machine.

They live in namespaces of processes, mounts and network that the kernel dissolves when the first process in them ends,
and that one ends with its supervisor: processes, mounts, interfaces and iptables rules are gone then, come what may.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cluster.binaries import NodeBinaries
from tests.cluster.binaries.build import available_memory
from tests.cluster.node import settings
from tests.cluster.node.cgroups import claim_cgroup, remove_cgroup
from tests.cluster.node.network import connect
from tests.cluster.process import ManagedProcess, Supervisor
from tests.cluster.waiting import wait_until

NAME = "node-0"
_PROGRAMS = (
    "containerd",
    "ctr",
    "runc",
    "iptables",
    "conntrack",
    "ip",
    "sysctl",
    "unshare",
    "nsenter",
    "buildah",
    "debootstrap",
)
_PLUGINS = tuple(map(Path, ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")))
_MEMORY_NEEDED = 4 * 2**30  # its images are in memory, 0.9 GiB of them
# Where Debian has what only root may run.
_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))


def find_obstacle(path: str = _PATH) -> str | None:
    """Say why no real node can run on this machine; None where one can."""
    if sys.platform != "linux":
        return "a real node needs Linux"
    if os.geteuid() != 0:
        return "a real node needs root"
    missing = [name for name in _PROGRAMS if shutil.which(name, path=path) is None]
    missing += [] if _find_plugins() else ["the CNI plugins"]
    if missing:
        return f"a real node needs {', '.join(missing)}: `make setup-node` installs them on Debian"
    memory = available_memory()
    if memory is not None and memory < _MEMORY_NEEDED:
        return f"a real node needs {_MEMORY_NEEDED // 2**30} GiB of memory, {memory / 2**30:.1f} are free"
    return None


def _find_plugins() -> Path | None:
    return next((folder for folder in _PLUGINS if (folder / "bridge").exists()), None)


class RealNode:
    """The node's namespaces, and what runs in them."""

    def __init__(self, supervisor: Supervisor, binaries: NodeBinaries) -> None:
        self._supervisor = supervisor
        self._binaries = binaries
        self._folder = supervisor.folder / "node"
        self._folder.mkdir()
        self.cgroup = claim_cgroup()
        self.processes: dict[str, ManagedProcess] = {}
        self._first = self._boot()
        self.network = connect(self._first)
        self.run("sh", "-c", settings.WIRE.format(network=self.network))

    def _boot(self) -> int:
        """Start the first process of the node's namespaces and return its id."""
        flags = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL")
        process = self._start("node", "unshare", *flags, "sh", "-c", settings.BOOT, "boot", str(self._folder))
        booted = self._folder / "booted"
        wait_until(lambda: booted.exists() or not process.is_running, "the node's namespaces are there", every=0.01)
        if not process.is_running:
            raise OSError(f"the node's namespaces cannot be made: {process.tail()}")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(children[0])

    def start(self, kubeconfig: Callable[[str], Path], images: Path) -> None:
        """Start everything, with the images of an archive; `kubeconfig` gives the file for one of its programs."""
        plugins = _find_plugins()
        if plugins is None:
            raise FileNotFoundError("the CNI plugins are not installed")
        toml = settings.write_containerd(self._folder, plugins, self.network)
        containerd = self._enter("containerd", "containerd", f"--config={toml}")
        wait_until(
            lambda: not containerd.is_running or self._run("ctr", "version").returncode == 0,
            "containerd answers",
            within=60,
        )
        self.run("ctr", "-n", "k8s.io", "images", "import", str(images))
        kubelet = settings.write_kubelet(self._folder, self.network, self.cgroup)
        flags = (f"--node-ip={self.network.node}", f"--hostname-override={NAME}")
        program = str(self._binaries.kubelet)
        self._enter("kubelet", program, f"--config={kubelet}", f"--kubeconfig={kubeconfig('kubelet')}", *flags)
        self._enter(
            "kube-proxy",
            str(self._binaries.proxy),
            f"--kubeconfig={kubeconfig('kube-proxy')}",
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",
            f"--cluster-cidr={self.network.pods}",
            f"--hostname-override={NAME}",
            "--healthz-bind-address=127.0.0.1:10256",
        )
        corefile = settings.write_corefile(self._folder, self.network, kubeconfig("coredns"))
        self._enter("coredns", str(self._binaries.coredns), f"-conf={corefile}")

    def run(self, *argv: str) -> str:
        """Run a command on the node and return what it said; RuntimeError with its words where it fails."""
        done = self._run(*argv)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)} failed on the node: {done.stderr.strip()}")
        return done.stdout

    def stop(self) -> None:
        """End everything on the node; its folder is the supervisor's."""
        first = self.processes.get("node")
        if first is not None and first.is_running:
            os.kill(self._first, signal.SIGKILL)
            first.wait(30)
        remove_cgroup(self.cgroup)

    def _run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        command = [*self._entering(), *argv]
        return subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, check=False, timeout=300
        )

    def _enter(self, name: str, *argv: str) -> ManagedProcess:
        return self._start(name, *self._entering(), *argv)

    def _entering(self) -> Sequence[str]:
        return ("nsenter", f"--target={self._first}", "--mount", "--net", "--pid", "--ipc", "--uts", "--")

    def _start(self, name: str, *argv: str) -> ManagedProcess:
        process = self._supervisor.start(name, argv, env=self._environment())
        self.processes[name] = process
        return process

    def _environment(self) -> dict[str, str]:
        return {"PATH": _PATH, "HOME": str(self._folder), "TMPDIR": "/tmp"}
