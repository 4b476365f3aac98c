"""`python -m tests.cluster up|down|status|exec`: the embedded cluster by hand."""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.cluster.binaries import cache_folder, ensure_binaries
from tests.cluster.embedded import EmbeddedCluster
from tests.cluster.node import find_obstacle
from tests.cluster.real import RealCluster, ensure_real_node
from tests.cluster.waiting import wait_until

_CHECKOUT = Path(__file__).parents[2]
_START_SECONDS = 120.0
_HEALTH_SECONDS = 2.0


class RunningCluster:
    """What a cluster in the background says of itself: a file beside a lock that its process holds."""

    def __init__(self, name: str) -> None:
        folder = cache_folder() / "running"
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = folder / f"{name}.log"
        self._state = folder / f"{name}.json"
        self._lock = folder / f"{name}.lock"

    def read(self) -> dict[str, str] | None:
        """Return its kubeconfig, URL, broker, folder and process id, or None where none runs."""
        with contextlib.suppress(BlockingIOError), self._hold():
            self._state.unlink(missing_ok=True)
            return None
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            state: dict[str, str] = json.loads(self._state.read_text())
            return state
        return None

    @contextlib.contextmanager
    def announced(self, cluster: EmbeddedCluster) -> Iterator[None]:
        """Say that the cluster runs for as long as the context is open."""
        state = {
            "kubeconfig": str(cluster.kubeconfig),
            "url": cluster.url,
            "nats": "" if isinstance(cluster, RealCluster) else cluster.nats.url,
            "folder": str(cluster.folder),
            "pid": str(os.getpid()),
        }
        with self._hold():
            self._state.write_text(json.dumps(state))
            try:
                yield
            finally:
                self._state.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _hold(self) -> Iterator[None]:
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield


def up(running: RunningCluster, *, foreground: bool, audit: bool, node: str) -> int:
    """Start a cluster, in the background unless asked otherwise, and print its kubeconfig's path."""
    state = running.read()
    if state is None and foreground:
        return _serve(running, audit=audit, node=node)
    if state is None:
        ensure_binaries()
        if node == "real":
            ensure_real_node()
        flags = ["--foreground", f"--node={node}", *(["--audit"] if audit else [])]
        with running.log.open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "tests.cluster", "--name", running.name, "up", *flags],
                cwd=_CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: running.read() or server.poll() is not None, "the cluster is up", within=_START_SECONDS)
        state = running.read()
    if state is None:
        sys.stderr.write(running.log.read_text())
        return 1
    sys.stdout.write(f"{state['kubeconfig']}\n")
    return 0


def _serve(running: RunningCluster, *, audit: bool, node: str) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    chosen = RealCluster(images=ensure_real_node(), audit=audit) if node == "real" else EmbeddedCluster(audit=audit)
    with chosen as cluster, running.announced(cluster):
        sys.stdout.write(f"{cluster.kubeconfig}\n")
        sys.stdout.flush()
        while not stop.wait(_HEALTH_SECONDS):
            cluster.control_plane.check()
    return 0


def down(running: RunningCluster) -> int:
    """End the cluster and return when it is gone."""
    state = running.read()
    if state is not None:
        os.kill(int(state["pid"]), signal.SIGTERM)
        wait_until(lambda: running.read() is None and not Path(state["folder"]).exists(), "the cluster is gone")
    return 0


def status(running: RunningCluster) -> int:
    """Print what runs; 1 where nothing does."""
    state = running.read()
    if state is None:
        sys.stdout.write("no cluster runs\n")
        return 1
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in state.items()))
    return 0


def execute(running: RunningCluster, command: Sequence[str]) -> int:
    """Run a command with KUBECONFIG and VAPORA_NATS_URL of the running cluster, else of a temporary one."""
    state = running.read()
    if state is not None:
        return _run(command, state["kubeconfig"], state["nats"])
    with EmbeddedCluster() as cluster:
        return _run(command, str(cluster.kubeconfig), cluster.nats.url)


def _run(command: Sequence[str], kubeconfig: str, nats: str) -> int:
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    broker = {"VAPORA_NATS_URL": nats} if nats else {}  # beside a real node there is none: it is installed there
    env = {**os.environ, "KUBECONFIG": kubeconfig, **broker, "PATH": tools}
    return subprocess.run(command, env=env, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--name", default="default", help="which cluster, where several run")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start a cluster and print the path of its kubeconfig")
    starting.add_argument("--foreground", action="store_true", help="run until it is interrupted")
    starting.add_argument("--audit", action="store_true", help="keep an audit log of the writes")
    starting.add_argument("--node", choices=("simulated", "real"), default="simulated", help="real: runs containers")
    commands.add_parser("down", help="end it")
    commands.add_parser("status", help="say what runs")
    running_a_command = commands.add_parser("exec", help="run a command against it, or against a temporary one")
    running_a_command.add_argument("words", nargs=argparse.REMAINDER, metavar="-- command")
    chosen = parser.parse_args()
    running = RunningCluster(chosen.name)
    if chosen.command == "up":
        obstacle = find_obstacle() if chosen.node == "real" else None
        if obstacle:
            parser.error(obstacle)
        return up(running, foreground=chosen.foreground, audit=chosen.audit, node=chosen.node)
    if chosen.command == "exec":
        words = chosen.words[1:] if chosen.words[:1] == ["--"] else chosen.words
        return execute(running, words) if words else parser.error("exec needs a command")
    return down(running) if chosen.command == "down" else status(running)


if __name__ == "__main__":
    sys.exit(main())
