"""One operator for each file, under its own account, and a namespace for each test."""

from collections.abc import Iterator

import pytest
from tests.cluster.access import Cluster
from tests.integration.engine import install_definitions, operators
from tests.integration.workflow.site import Site, serving_http
from tests.integration.workflow.stage import TRUSTED, Stage


@pytest.fixture(scope="module")
def crew(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[list[Stage]]:
    """The stage of the last test, which knows the operator that runs now."""
    install_definitions(cluster)
    lease = f"lease-{request.module.__name__.rpartition('.')[2].replace('_', '-')}"
    cluster.create_namespace(lease)
    with operators(cluster, lease) as fleet:
        yield [Stage(cluster, lease, fleet, fleet.start("operator", *TRUSTED))]
    cluster.api.delete(f"/api/v1/namespaces/{lease}").raise_for_status()


@pytest.fixture
def here(crew: list[Stage], namespace: str) -> Stage:
    last = crew.pop()
    crew.append(Stage(last.cluster, namespace, last.fleet, last.operator))
    crew[0].prepare()
    return crew[0]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving_http() as served:
        yield served
