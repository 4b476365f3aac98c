"""One operator for all files of this folder, Gateway API's stand-in, and a namespace for each test."""

from collections.abc import Iterator

import pytest
from tests.cluster.access import Cluster
from tests.integration.engine import ROOT, Operators, install_definitions, operators
from tests.integration.taskserv.services import Services

GATEWAY = ROOT / "tests" / "cluster" / "crds"


@pytest.fixture(scope="package")
def operator(cluster: Cluster) -> Iterator[Operators]:
    install_definitions(cluster)
    cluster.kubectl("apply", "-f", str(GATEWAY))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(GATEWAY))
    cluster.create_namespace("lease-taskserv")
    with operators(cluster, "lease-taskserv") as started:
        started.start()
        yield started
    cluster.api.delete("/api/v1/namespaces/lease-taskserv").raise_for_status()


@pytest.fixture
def here(cluster: Cluster, namespace: str, operator: Operators) -> Services:
    return Services(cluster, namespace)
