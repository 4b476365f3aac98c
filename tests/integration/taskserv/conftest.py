"""One operator for each file, Gateway API's stand-in, and a namespace for each test."""

from collections.abc import Iterator

import pytest
from tests.cluster.access import Cluster
from tests.integration.engine import ROOT, Operators, install_definitions, operators_of
from tests.integration.taskserv.services import Services

GATEWAY = ROOT / "tests" / "cluster" / "crds"


@pytest.fixture(scope="module")
def operator(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Operators]:
    install_definitions(cluster)
    cluster.kubectl("apply", "-f", str(GATEWAY))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(GATEWAY))
    with operators_of(cluster, request) as started:
        started.start()
        yield started


@pytest.fixture
def here(cluster: Cluster, namespace: str, operator: Operators) -> Services:
    return Services(cluster, namespace)
