"""What the tests of the engine on a real API server share."""

import json
import os
import random
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from tests.cluster.access import Cluster
from tests.cluster.process import ManagedProcess, Supervisor
from tests.cluster.waiting import wait_until
from tests.fakes.meter import FakeMeter
from tests.integration.moved import note_metrics

from vapora.adapters.clock import SystemClock
from vapora.adapters.kube_client import WATCH_SILENCE, KubernetesApi
from vapora.adapters.kube_config import load_configuration

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "crds"
ACCOUNT = ("vapora-system", "vapora-operator")
VAPORA = ("-m", "vapora")


def install_definitions(cluster: Cluster) -> None:
    """Apply our definitions and wait until the API server serves them."""
    cluster.kubectl("apply", "-f", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))


def install_account(cluster: Cluster, lease_namespace: str) -> Path:
    """Install the operator's ServiceAccount and roles, the Lease's where the test wants it; return its kubeconfig."""
    cluster.kubectl("apply", "-f", str(ROOT / "kustomize" / "base" / "namespace.yaml"))
    for name in ("service-account", "cluster-role", "tenant-role"):
        apply = ("apply", "-n", ACCOUNT[0], "-f", str(ROOT / "kustomize" / "base" / "operator" / f"{name}.yaml"))
        cluster.kubectl(*apply)
    lease_role = ROOT / "kustomize" / "base" / "operator" / "lease-role.yaml"
    cluster.kubectl("apply", "-n", lease_namespace, "-f", str(lease_role))
    return cluster.user_kubeconfig(*ACCOUNT)


@asynccontextmanager
async def connected(
    cluster: Cluster, *, kubeconfig: Path | None = None, server: str | None = None, watch_silence: float = WATCH_SILENCE
) -> AsyncIterator[KubernetesApi]:
    """Our client of the cluster's API, as the administrator or as the given kubeconfig says, perhaps by another way."""
    configuration = await load_configuration(str(kubeconfig or cluster.kubeconfig), None)
    if server is not None:
        configuration.host = server
    api = KubernetesApi(configuration, SystemClock(), FakeMeter(), random.random, watch_silence=watch_silence)
    try:
        yield api
    finally:
        await api.close()


class OperatorProcess:
    """A running `vapora operator`."""

    def __init__(self, process: ManagedProcess) -> None:
        self.process = process

    @property
    def logs(self) -> list[dict]:
        """What it has logged so far."""
        lines = self.process.log.read_text().splitlines() if self.process.log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    @property
    def port(self) -> int | None:
        return next((line["port"] for line in self.logs if "port" in line), None)

    @property
    def is_leader(self) -> bool:
        return any(line.startswith("vapora_leader 1") for line in self.metrics())

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False)

    def metrics(self) -> list[str]:
        return self.get("/metrics").text.splitlines()

    def is_ready(self) -> bool:
        if not self.process.is_running:
            raise AssertionError(f"the operator ended: {self.process.tail()}")
        return self.port is not None and self.get("/readyz").status_code == 200


@contextmanager
def operators(cluster: Cluster, lease_namespace: str) -> Iterator["Operators"]:
    """Starts operators that end with the block, as the account and roles that kustomize installs."""
    with Supervisor("vapora-operator-") as supervisor:
        started = Operators(cluster, lease_namespace, supervisor, install_account(cluster, lease_namespace))
        try:
            yield started
        finally:
            started.note_metrics()


@contextmanager
def operators_of(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator["Operators"]:
    """`operators`, with a namespace for their Lease that has the name of the tests' module and goes with the block.

    Each module ends its operators before the next begins: two that hold different Leases would act on one cluster.
    """
    lease = f"lease-{request.module.__name__.rpartition('.')[2].replace('_', '-')}"
    cluster.create_namespace(lease)
    with operators(cluster, lease) as started:
        yield started
    cluster.api.delete(f"/api/v1/namespaces/{lease}").raise_for_status()


class Operators:
    """Starts operators for a cluster, with a Lease of their own, as the one of whom the kubeconfig tells."""

    def __init__(self, cluster: Cluster, lease_namespace: str, supervisor: Supervisor, kubeconfig: Path) -> None:
        self._cluster = cluster
        self._lease_namespace = lease_namespace
        self._supervisor = supervisor
        self._kubeconfig = kubeconfig
        self._launched: list[OperatorProcess] = []

    def note_metrics(self) -> None:
        """Remember what the metrics of those say that still run."""
        for operator in self._launched:
            if operator.process.is_running and operator.port is not None:
                with suppress(httpx.TransportError):
                    note_metrics(operator.metrics())

    def launch(
        self,
        name: str = "operator",
        *flags: str,
        kubeconfig: Path | None = None,
        program: Sequence[str] = VAPORA,
        variables: Mapping[str, str] | None = None,
    ) -> OperatorProcess:
        """Start one, whatever comes of it; `program` is what Python runs, `variables` are more of its environment."""
        command = [
            sys.executable,
            *program,
            "operator",
            "--kubeconfig",
            str(kubeconfig or self._kubeconfig),
        ]
        command += ["--http-host", "127.0.0.1", "--http-port", "0", "--lease-namespace", self._lease_namespace]
        command += ["--identity", name, "--log-format", "json", *flags]
        env = {
            name: value for name, value in os.environ.items() if not name.startswith("VAPORA_") and name != "KUBECONFIG"
        }
        self._launched.append(OperatorProcess(self._supervisor.start(name, command, env={**env, **(variables or {})})))
        return self._launched[-1]

    def start(
        self,
        name: str = "operator",
        *flags: str,
        kubeconfig: Path | None = None,
        program: Sequence[str] = VAPORA,
        variables: Mapping[str, str] | None = None,
    ) -> OperatorProcess:
        """Start one and wait until it is ready."""
        operator = self.launch(name, *flags, kubeconfig=kubeconfig, program=program, variables=variables)
        wait_until(operator.is_ready, f"{name} is ready", within=30)
        return operator

    def release_lease(self) -> None:
        """Delete the Lease, so that nobody waits until that of a killed operator has expired."""
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{self._lease_namespace}/leases/vapora-operator"
        self._cluster.api.delete(leases).raise_for_status()
