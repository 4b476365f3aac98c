"""Agents of pools as local processes: one for each Pod, for as long as there is the Pod.

This plays the kubelet for Pods with the label `vapora.dev/pool`: a process starts when its Pod is Ready, is started
anew when it ends by itself, gets SIGTERM when the Pod is deleted and SIGKILL when the grace period is over; only then
does the Pod go.
"""

import contextlib
import dataclasses
import json
import queue
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from tests.cluster.access import Cluster
from tests.cluster.process import ManagedProcess, Supervisor
from tests.cluster.simulation.pods import POOL_LABEL, base_env, is_true, read_command, read_env

PROCESS_ANNOTATION = "sim.vapora.dev/process"
HEALTH_PORT = "VAPORA_HEALTH_PORT"
_CHECKOUT = Path(__file__).parents[3]
_FIRST_RESTART_SECONDS = 0.25
_LONGEST_RESTART_SECONDS = 30.0
_STEADY_SECONDS = 10.0
_MERGE = {"Content-Type": "application/merge-patch+json"}
_STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}


@dataclasses.dataclass(slots=True)
class AgentProcess:
    """The process that stands for a Pod; times are of the monotonic clock."""

    namespace: str
    pod: str
    uid: str
    pool: str
    argv: list[str]
    env: dict[str, str]
    process: ManagedProcess | None = None
    started_at: float = 0.0
    restarts: int = 0
    backoff: float = _FIRST_RESTART_SECONDS
    start_at: float | None = None
    kill_at: float | None = None
    is_stopping: bool = False

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.is_running else None

    @property
    def log(self) -> Path | None:
        return self.process.log if self.process is not None else None

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}"

    @property
    def next_at(self) -> float | None:
        return min((at for at in (self.start_at, self.kill_at) if at is not None), default=None)


class AgentProcesses:
    """All agents of a cluster. One thread watches the Pods, another acts."""

    def __init__(
        self, cluster: Cluster, supervisor: Supervisor, *, env: Mapping[str, str], images: Mapping[str, str]
    ) -> None:
        self._images = dict(images)
        self._cluster = cluster
        self._supervisor = supervisor
        self._env = dict(env)
        self._agents: dict[str, AgentProcess] = {}
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="agents-watch", daemon=True)
        self._actor = threading.Thread(target=self._act, name="agents", daemon=True)
        self.without_command: dict[str, str] = {}

    def start(self) -> None:
        """Follow the Pods from now on."""
        self._watcher.start()
        self._actor.start()

    def stop(self) -> None:
        """Stop following and kill the processes; their Pods stay as they are."""
        self._stopped.set()
        self._inbox.put(("stop", None))
        if self._actor.ident is not None:
            self._actor.join()

    def join(self) -> None:
        """Wait for the end of the watch, which comes with the end of the API server."""
        if self._watcher.ident is not None:
            self._watcher.join(10)

    def running(self, namespace: str | None = None, pool: str | None = None) -> list[AgentProcess]:
        """Return the agents whose process runs now, of one namespace and pool where given."""
        return [
            agent
            for agent in list(self._agents.values())
            if agent.pid is not None and namespace in (None, agent.namespace) and pool in (None, agent.pool)
        ]

    def _watch(self) -> None:
        with self._cluster.client(user_agent="vapora-agent-processes") as client:
            while not self._stopped.is_set():
                try:
                    self._follow(client)
                except (httpx.HTTPError, json.JSONDecodeError):
                    self._stopped.wait(0.2)

    def _follow(self, client: httpx.Client) -> None:
        listing = client.get("/api/v1/pods", params={"labelSelector": POOL_LABEL}).raise_for_status().json()
        self._inbox.put(("pods", listing["items"]))
        params = {
            "labelSelector": POOL_LABEL,
            "watch": "true",
            "resourceVersion": listing["metadata"]["resourceVersion"],
            "timeoutSeconds": "290",
        }
        with client.stream("GET", "/api/v1/pods", params=params, timeout=httpx.Timeout(30, read=None)) as lines:
            for line in lines.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR" or self._stopped.is_set():
                    return
                self._inbox.put(("gone" if event["type"] == "DELETED" else "pod", event["object"]))

    def _act(self) -> None:
        with self._cluster.client(user_agent="vapora-agent-processes") as client:
            while True:
                due = min((at for agent in self._agents.values() if (at := agent.next_at) is not None), default=None)
                what, value = "tick", None
                with contextlib.suppress(queue.Empty):
                    what, value = self._inbox.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
                if what == "stop":
                    break
                with contextlib.suppress(httpx.HTTPError):
                    self._handle(client, what, value)
        for agent in self._agents.values():
            if agent.process is not None:
                agent.process.kill()

    def _handle(self, client: httpx.Client, what: str, value: Any) -> None:
        if what == "pods":
            present = {pod["metadata"]["uid"] for pod in value}
            for lost in [agent for uid, agent in self._agents.items() if uid not in present]:
                self._end(client, lost, grace=0)
            for pod in value:
                self._see(client, pod)
        elif what == "pod":
            self._see(client, value)
        elif what == "gone":
            agent = self._agents.get(value["metadata"]["uid"])
            if agent is not None:
                self._end(client, agent, value["spec"].get("terminationGracePeriodSeconds", 30))
        elif what == "exit":
            self._take_exit(client, *value)
        now = time.monotonic()
        for agent in list(self._agents.values()):
            if agent.kill_at is not None and now >= agent.kill_at and agent.process is not None:
                agent.kill_at = None
                agent.process.signal(signal.SIGKILL)
            if agent.start_at is not None and now >= agent.start_at:
                self._run(client, agent)

    def _see(self, client: httpx.Client, pod: dict[str, Any]) -> None:
        agent = self._agents.get(pod["metadata"]["uid"])
        is_deleted = pod["metadata"].get("deletionTimestamp") is not None
        if agent is None:
            if not is_deleted and pod["status"].get("phase") == "Running" and is_true(pod, "Ready"):
                self._begin(client, pod)
        elif is_deleted:
            self._end(client, agent, pod["metadata"].get("deletionGracePeriodSeconds", 30))
        elif pod["status"].get("phase") in {"Succeeded", "Failed"}:
            self._end(client, agent, pod["spec"].get("terminationGracePeriodSeconds", 30))

    def _begin(self, client: httpx.Client, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        own = {**read_env(pod), **self._env, "VAPORA_POD": metadata["name"]}
        if HEALTH_PORT in own:  # all Pods share this machine's ports
            own[HEALTH_PORT] = "0"
        argv = read_command(pod, own, self._images)
        if not argv:
            self.without_command[f"{metadata['namespace']}/{metadata['name']}"] = "no command and no annotation"
            return
        agent = AgentProcess(
            namespace=metadata["namespace"],
            pod=metadata["name"],
            uid=metadata["uid"],
            pool=metadata["labels"][POOL_LABEL],
            argv=argv,
            env={**base_env(self._supervisor.folder), **own},
        )
        self._agents[agent.uid] = agent
        self._run(client, agent)

    def _run(self, client: httpx.Client, agent: AgentProcess) -> None:
        agent.start_at = None
        agent.started_at = time.monotonic()
        try:
            agent.process = self._supervisor.start(
                f"agent-{agent.namespace}-{agent.pod}",
                agent.argv,
                env=agent.env,
                cwd=_CHECKOUT,
                on_exit=lambda process: self._inbox.put(("exit", (agent, process.exit_code))),
            )
        except OSError:
            agent.process = None
            self._inbox.put(("exit", (agent, 127)))
            return
        annotations = {PROCESS_ANNOTATION: str(agent.process.pid)}
        body = {"metadata": {"uid": agent.uid, "annotations": annotations}}
        client.patch(agent.path, json=body, headers=_MERGE)

    def _end(self, client: httpx.Client, agent: AgentProcess, grace: float) -> None:
        now = time.monotonic()
        if not agent.is_stopping:
            agent.is_stopping = True
            agent.start_at = None
            agent.kill_at = now + grace
            if agent.process is not None:
                agent.process.signal(signal.SIGTERM)
        elif agent.kill_at is not None:
            agent.kill_at = min(agent.kill_at, now + grace)
        if agent.pid is None:
            self._forget(client, agent)

    def _take_exit(self, client: httpx.Client, agent: AgentProcess, code: int) -> None:
        if self._agents.get(agent.uid) is not agent:
            return
        if agent.is_stopping:
            self._forget(client, agent)
            return
        now = time.monotonic()
        if now - agent.started_at > _STEADY_SECONDS:
            agent.backoff = _FIRST_RESTART_SECONDS
        agent.start_at = now + agent.backoff
        agent.backoff = min(2 * agent.backoff, _LONGEST_RESTART_SECONDS)
        agent.restarts += 1
        self._report_restart(client, agent, code)

    def _report_restart(self, client: httpx.Client, agent: AgentProcess, code: int) -> None:
        answer = client.get(agent.path)
        if answer.status_code != httpx.codes.OK:
            return
        statuses = answer.json()["status"].get("containerStatuses", [])
        for status in statuses[:1]:
            exit_code = code if code >= 0 else 128 - code
            status["restartCount"] = agent.restarts
            status["lastState"] = {"terminated": {"exitCode": exit_code, "reason": "Error" if code else "Completed"}}
        client.patch(f"{agent.path}/status", json={"status": {"containerStatuses": statuses}}, headers=_STRATEGIC)

    def _forget(self, client: httpx.Client, agent: AgentProcess) -> None:
        del self._agents[agent.uid]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": agent.uid}}
        client.request("DELETE", agent.path, json=options)
