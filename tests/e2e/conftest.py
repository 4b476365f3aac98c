"""The operator as it is installed: its image on a real node, with its account, its broker and its agents as pods."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.access import Cluster
from tests.cluster.existing import ExistingCluster
from tests.cluster.node import find_obstacle
from tests.cluster.real import RealCluster, ensure_real_node
from tests.e2e.world import World

_ROOT = Path(__file__).parents[2]
_OVERLAY = _ROOT / "kustomize" / "overlays" / "dev"
_SYSTEM = "vapora-system"


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """An embedded cluster with a real node, or the one chosen by --kubeconfig or --context, which has our images."""
    kubeconfig, context = request.config.getoption("--kubeconfig"), request.config.getoption("--context")
    if kubeconfig or context:
        with ExistingCluster(kubeconfig, context) as existing:
            yield existing
        return
    obstacle = find_obstacle()
    if obstacle:
        pytest.skip(obstacle)
    with RealCluster(images=ensure_real_node()) as real:
        yield real


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Iterator[None]:
    """The development overlay, applied, its pods ready; what they said is shown where they do not become so."""
    cluster.kubectl("apply", "-k", str(_OVERLAY))
    for workload in ("statefulset/vapora-nats", "deployment/vapora-operator"):
        done = cluster.kubectl("rollout", "status", workload, "-n", _SYSTEM, "--timeout=180s", check=False)
        if done.returncode:
            pods = cluster.kubectl("describe", "pods", "-n", _SYSTEM).stdout
            logs = cluster.kubectl("logs", "-n", _SYSTEM, workload, "--all-containers", check=False).stdout
            pytest.fail(f"{workload} does not become ready\n{pods[-6000:]}\n{logs[-6000:]}")
    yield
    if isinstance(cluster, ExistingCluster):
        cluster.kubectl("delete", "-k", str(_OVERLAY), "--ignore-not-found", "--wait=false")


@pytest.fixture
def here(cluster: Cluster, installed: None) -> Iterator[World]:
    """A namespace of its own, which goes with the test."""
    name = f"e2e-{secrets.token_hex(3)}"
    cluster.create_namespace(name)
    world = World(cluster, name)
    yield world
    cluster.api.delete(f"/api/v1/namespaces/{name}").raise_for_status()
