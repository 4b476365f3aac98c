"""The embedded cluster."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from tests.cluster.access import Cluster
from tests.cluster.audit import AuditLog
from tests.cluster.binaries import Binaries, ensure_binaries
from tests.cluster.control_plane import ControlPlane
from tests.cluster.manifests import Json, build_storage_classes, write_kubeconfig
from tests.cluster.nats import NatsServer
from tests.cluster.process import Supervisor
from tests.cluster.simulation.agents import AgentProcesses
from tests.cluster.simulation.nodes import DEFAULT_NODES, NodePool, build_nodes
from tests.cluster.simulation.pods import is_true
from tests.cluster.waiting import wait_until


class EmbeddedCluster(Cluster):
    """A real API server, controller manager, scheduler and etcd with simulated nodes, in a temporary folder.

    Nothing of it outlives this process. `nats` is an own broker unless a running one is given. `definitions` is a
    folder of custom resource definitions to begin with. `agents` says whether Pods of agent pools have a local process,
    `agent_env` what these get beside the Pod's own environment, `agent_images` which command line stands for the images
    that begin so.
    """

    def __init__(
        self,
        *,
        nodes: Sequence[NodePool] = DEFAULT_NODES,
        audit: bool = False,
        nats: NatsServer | None = None,
        agents: bool = True,
        definitions: Path | None = None,
        agent_env: Mapping[str, str] | None = None,
        agent_images: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._nodes = nodes
        self._audit = audit
        self._given_nats = nats
        self._definitions = definitions
        self._with_agents = agents
        self._agent_env = dict(agent_env or {})
        self._agent_images = dict(agent_images or {})
        self._supervisor: Supervisor | None = None

    def start(self) -> Self:
        """Start it and return when its nodes are ready; the programs are built first where they are not there yet."""
        binaries = ensure_binaries()
        supervisor = Supervisor("vapora-cluster-")
        self._supervisor = supervisor
        try:
            self._start(supervisor, self._make_control_plane(supervisor, binaries))
        except BaseException:
            self.close()
            raise
        return self

    def _make_control_plane(self, supervisor: Supervisor, binaries: Binaries) -> ControlPlane:
        return ControlPlane(supervisor, binaries, audit=self._audit)

    def _start(self, supervisor: Supervisor, plane: ControlPlane) -> None:
        self.folder = supervisor.folder
        self.control_plane = plane
        plane.start()
        self.url, self.token, self.ca = plane.url, plane.admin.token, plane.ca
        self.kubeconfig = self.folder / "kubeconfig"
        write_kubeconfig(self.kubeconfig, url=self.url, ca=self.ca, token=self.token)
        self._await_ready()
        if self._definitions is not None:
            # Before the controllers: the garbage collector learns of later kinds only every 30 s.
            self._create_definitions(self._definitions)
        plane.start_controllers()
        self._start_nodes(supervisor)
        wait_until(self._is_usable, "the nodes are ready and the default service account is there", within=60)
        self._start_agents(supervisor)

    def _start_nodes(self, supervisor: Supervisor) -> None:
        for storage_class in build_storage_classes():
            self.api.post("/apis/storage.k8s.io/v1/storageclasses", json=storage_class).raise_for_status()
        for node in build_nodes(self._nodes):
            self.api.post("/api/v1/nodes", json=node).raise_for_status()

    def _start_agents(self, supervisor: Supervisor) -> None:
        self.nats = self._given_nats or NatsServer(supervisor)
        self.nats.start()
        env = {"VAPORA_NATS_URL": self.nats.url, **self._agent_env}
        self.agents = AgentProcesses(self, supervisor, env=env, images=self._agent_images)
        if self._with_agents:
            self.agents.start()

    def close(self) -> None:
        """End every process and remove the folder."""
        if self._supervisor is None:
            return
        if hasattr(self, "agents"):
            self.agents.stop()
        self._close_clients()
        self._supervisor.close()
        self._supervisor = None
        if hasattr(self, "agents"):
            self.agents.join()

    def audit_position(self) -> int:
        return self._audit_log().position()

    def audit_events(self, since: int = 0) -> Iterator[Json]:
        return self._audit_log().events(since)

    def _audit_log(self) -> AuditLog:
        if not self._audit:
            raise RuntimeError("this cluster keeps no audit log: EmbeddedCluster(audit=True)")
        return AuditLog(self.control_plane.audit_log)

    def _await_ready(self) -> None:
        def is_ready() -> bool:
            self.control_plane.check()
            try:
                return self.api.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(is_ready, "the API server is ready", within=60)

    def _create_definitions(self, folder: Path) -> None:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for file in sorted(folder.glob("*.yaml")):
            body = file.read_bytes()
            self.api.post(path, content=body, headers={"Content-Type": "application/yaml"}).raise_for_status()
        wait_until(
            lambda: all(is_true(item, "Established") for item in self.api.get(path).json()["items"]),
            "the definitions are established",
            every=0.2,  # the answer is large
        )

    def _is_usable(self) -> bool:
        self.control_plane.check()
        nodes = self.api.get("/api/v1/nodes", params={"resourceVersion": "0"}).json()["items"]
        account = self.api.get("/api/v1/namespaces/default/serviceaccounts/default")
        return account.status_code == 200 and all(_is_ready(node) for node in nodes)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)


def _is_ready(node: dict[str, Any]) -> bool:
    taints = node["spec"].get("taints", [])
    return is_true(node, "Ready") and not any(taint["key"].startswith("node.kubernetes.io/") for taint in taints)
