"""The pytest plugin: a cluster for each worker, a namespace for each test, a broker."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.access import Cluster
from tests.cluster.embedded import EmbeddedCluster
from tests.cluster.existing import ExistingCluster
from tests.cluster.nats import NatsServer

_DEFINITIONS = Path(__file__).parents[2] / "crds"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster")
    group.addoption("--kubeconfig", help="use the cluster of this kubeconfig instead of an embedded one")
    group.addoption("--context", help="use the cluster of this context of the kubeconfig instead of an embedded one")


@pytest.fixture(scope="session")
def nats() -> Iterator[NatsServer]:
    """A nats-server with JetStream, the one that the cluster's agents use."""
    with NatsServer() as server:
        yield server


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, nats: NatsServer) -> Iterator[Cluster]:
    """An embedded cluster with an audit log, or the one chosen by --kubeconfig or --context."""
    kubeconfig, context = request.config.getoption("--kubeconfig"), request.config.getoption("--context")
    chosen: ExistingCluster | EmbeddedCluster = EmbeddedCluster(audit=True, nats=nats, definitions=_DEFINITIONS)
    if kubeconfig or context:
        chosen = ExistingCluster(kubeconfig, context)
    with chosen:
        yield chosen


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A new namespace, deleted after the test."""
    name = f"t-{secrets.token_hex(4)}"
    cluster.create_namespace(name)
    yield name
    cluster.api.delete(f"/api/v1/namespaces/{name}").raise_for_status()
