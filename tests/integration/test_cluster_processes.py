"""The processes around the embedded cluster: they start together, side by side, and none outlives its parent."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nats as nats_client
import pytest
from tests.cluster import EmbeddedCluster, NatsServer, NodePool, Supervisor, wait_until
from tests.cluster.binaries import build_binaries, ensure_binaries
from tests.cluster.node import find_obstacle
from tests.cluster.objects import await_phase, build_pod, create_pod, read_pod

_CHECKOUT = Path(__file__).parents[2]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that nobody has waited for yet is dead all the same.
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def test_two_clusters_run_side_by_side_and_leave_nothing() -> None:
    small = (NodePool("small"),)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: EmbeddedCluster(nodes=small, agents=False).start(), range(2))
    try:
        create_pod(first, "default", build_pod("worker"))
        create_pod(second, "default", build_pod("worker", sim={"exit-code": "1"}))
        await_phase(first, "default", "worker", "Succeeded")
        await_phase(second, "default", "worker", "Failed")
        pids = [process.pid for cluster in (first, second) for process in cluster.control_plane.processes.values()]
        assert all(is_alive(pid) for pid in pids)
    finally:
        first.close()
        second.close()
    assert not [pid for pid in pids if is_alive(pid)]
    assert not first.folder.exists()
    assert not second.folder.exists()


_PARENT = """
import json, sys
from tests.cluster import EmbeddedCluster, NodePool
cluster = EmbeddedCluster(nodes=[NodePool("small")]).start()
pids = [process.pid for process in cluster.control_plane.processes.values()]
print(json.dumps({"pids": pids, "folder": str(cluster.folder)}), flush=True)
sys.stdin.read()
"""


def test_no_process_and_no_file_outlives_a_killed_parent() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], cwd=_CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        said = json.loads(parent.stdout.readline())
        assert len(said["pids"]) == 5
        assert all(is_alive(pid) for pid in said["pids"])
        parent.kill()
    wait_until(lambda: not [pid for pid in said["pids"] if is_alive(pid)], "every process has ended", within=10)
    wait_until(lambda: not Path(said["folder"]).exists(), "the folder is removed", within=10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
def test_no_process_outlives_a_killed_supervisor() -> None:
    with Supervisor() as supervisor:
        sleeper = supervisor.start("sleeper", ["sleep", "600"])
        supervisor_pid = int(Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(supervisor_pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(sleeper.pid), "the sleeper has ended", within=5)
        assert sleeper.wait(5) == -signal.SIGKILL
    assert not supervisor.folder.exists()


def test_a_program_that_is_not_there_says_so() -> None:
    with Supervisor() as supervisor, pytest.raises(OSError, match="no-such-program"):
        supervisor.start("nothing", ["no-such-program"])


async def test_the_broker_comes_back_on_its_port_with_its_data() -> None:
    server = NatsServer()
    with server:
        url = server.url
        client = await nats_client.connect(url)
        stream = client.jetstream()
        await stream.add_stream(name="KEPT", subjects=["kept.>"])
        await stream.publish("kept.one", b"first")
        await client.close()
        for end in (server.stop, server.kill):
            await asyncio.to_thread(end)
            assert not server.is_running
            with pytest.raises(OSError, match="onnect"):
                await asyncio.open_connection("127.0.0.1", server.port)
            await asyncio.to_thread(server.start)
            assert server.url == url
        client = await nats_client.connect(url)
        assert (await client.jetstream().get_msg("KEPT", 1)).data == b"first"
        await client.close()


_AGENT = """
import os, signal, sys, time
def stop(*_):
    open(os.environ["TRACE"], "a").write(f"{os.environ['VAPORA_POD']} stopped\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open(os.environ["TRACE"], "a").write(f"{os.environ['VAPORA_POD']} started {os.environ['VAPORA_NATS_URL']}\\n")
while True:
    time.sleep(60)
"""


class Pool:
    """A Deployment whose Pods have agent processes."""

    def __init__(self, cluster: EmbeddedCluster, namespace: str, trace: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.trace = trace

    def scale(self, replicas: int) -> None:
        env = [{"name": "TRACE", "value": str(self.trace)}, {"name": "VAPORA_NATS_URL", "value": "nats://nats:4222"}]
        container = {"name": "agent", "image": "example/agent:1", "command": ["python", "-c", _AGENT], "env": env}
        labels = {"vapora.dev/pool": "developer"}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        }
        metadata = {"name": "developer", "namespace": self.namespace}
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
        self.cluster.kubectl("apply", "-f", "-", input=json.dumps(deployment))

    def await_agents(self, count: int) -> list[int]:
        """Wait until there are as many processes as Pods and return the process ids."""

        def settled() -> bool:
            pods = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/pods").json()["items"]
            names = {pod["metadata"]["name"] for pod in pods}
            agents = self.cluster.agents.running(self.namespace, "developer")
            return len(names) == count and {agent.pod for agent in agents} == names

        wait_until(settled, f"{count} pods have {count} processes")
        return [agent.pid for agent in self.cluster.agents.running(self.namespace) if agent.pid is not None]

    def traced(self, word: str) -> list[str]:
        return [line for line in self.trace.read_text().splitlines() if word in line] if self.trace.exists() else []


@pytest.fixture
def pool(cluster: EmbeddedCluster, namespace: str, tmp_path: Path) -> Pool:
    return Pool(cluster, namespace, tmp_path / "trace")


def test_there_are_as_many_agent_processes_as_pods(pool: Pool) -> None:
    pool.scale(3)
    assert all(is_alive(pid) for pid in pool.await_agents(3))
    wait_until(lambda: len(pool.traced("started")) == 3, "three agents run")
    assert all(line.endswith(pool.cluster.nats.url) for line in pool.traced("started"))
    pool.scale(1)
    pool.await_agents(1)
    assert len(pool.traced("stopped")) == 2
    pool.scale(0)
    pool.await_agents(0)
    assert len(pool.traced("stopped")) == 3


def test_an_agent_that_dies_is_started_anew_in_its_pod(pool: Pool) -> None:
    pool.scale(1)
    (pid,) = pool.await_agents(1)
    wait_until(lambda: pool.traced("started"), "the agent runs")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(pool.traced("started")) == 2, "the agent runs again")
    (agent,) = pool.cluster.agents.running(pool.namespace)
    assert agent.pid != pid
    status = read_pod(pool.cluster, pool.namespace, agent.pod)["status"]["containerStatuses"][0]
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 137)


def test_a_pod_stays_until_its_agent_has_ended_and_no_longer_than_the_grace_period(
    cluster: EmbeddedCluster, namespace: str
) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
    )
    pod = build_pod(
        "stubborn",
        sim={"exec": json.dumps(["python", "-c", stubborn])},
        labels={"vapora.dev/pool": "stubborn"},
        restartPolicy="Always",
        terminationGracePeriodSeconds=1,
    )
    create_pod(cluster, namespace, pod)

    def has_said(word: str) -> bool:
        agents = cluster.agents.running(namespace)
        return bool(agents and agents[0].log is not None and word in agents[0].log.read_text())

    wait_until(lambda: has_said("on"), "the agent ignores SIGTERM from now on")
    (agent,) = cluster.agents.running(namespace)
    pid = agent.pid
    assert pid is not None
    cluster.api.delete(f"/api/v1/namespaces/{namespace}/pods/stubborn").raise_for_status()
    assert read_pod(cluster, namespace, "stubborn")["status"]["phase"] == "Running"
    wait_until(lambda: read_pod(cluster, namespace, "stubborn") is None, "the pod is gone", within=5)
    assert not is_alive(pid)


def test_the_command_starts_runs_and_ends_a_cluster() -> None:
    name = f"test-{os.getpid()}"

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "tests.cluster", "--name", name, *words]
        return subprocess.run(line, cwd=_CHECKOUT, capture_output=True, text=True, check=False, timeout=120)

    try:
        up = command("up")
        assert up.returncode == 0, up.stderr
        kubeconfig = Path(up.stdout.strip())
        assert kubeconfig.exists()
        assert str(kubeconfig) in command("status").stdout
        assert "general-0" in command("exec", "--", "kubectl", "get", "nodes").stdout
    finally:
        assert command("down").returncode == 0
    assert not kubeconfig.parent.exists()
    assert command("status").returncode == 1


_FAKE_GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.99.0; exit; fi
while [ "$1" != -o ]; do shift; done
echo "$2" >> "$BUILT"
sleep 0.2
echo binary > "$2"
"""


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go toolchain that only writes down what it was asked to build."""
    (tmp_path / "bin").mkdir()
    go = tmp_path / "bin" / "go"
    go.write_text(_FAKE_GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("BUILT", str(tmp_path / "built"))
    return tmp_path / "built"


def test_two_builders_at_once_build_each_program_once(built: Path, tmp_path: Path) -> None:
    said: list[str] = []
    together = threading.Barrier(2)

    def build(_: int) -> frozenset[Path]:
        together.wait()
        return frozenset(build_binaries(tmp_path / "cache", ["etcd", "kwok"], said.append).values())

    with ThreadPoolExecutor(2) as threads:
        (paths,) = set(threads.map(build, range(2)))
    assert sorted(path.name for path in paths if path.exists()) == ["etcd", "kwok"]
    assert len(built.read_text().splitlines()) == 2
    assert any("about" in line and "min" in line for line in said)


def test_a_build_without_room_says_how_much_it_needs(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=10**6))
    with pytest.raises(OSError, match="the build needs 6 GiB"):
        build_binaries(tmp_path / "cache", ["etcd"], lambda _: None)
    assert not built.exists()


def test_given_programs_are_used_as_they_are(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"]
    for name in names:
        (tmp_path / name).touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert ensure_binaries().apiserver == tmp_path / "kube-apiserver"
    assert not built.exists()


def test_a_machine_that_can_run_no_real_node_is_told_what_it_lacks(tmp_path: Path) -> None:
    said = find_obstacle(path=str(tmp_path))
    if os.geteuid() != 0:
        assert said == "a real node needs root"
    else:
        assert said is not None
        assert said.startswith("a real node needs containerd, ctr, runc, ")
        assert said.endswith("`make setup-node` installs them on Debian")
