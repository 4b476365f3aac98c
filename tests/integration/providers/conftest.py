"""One operator for each file, stand-ins of foreign kinds, and a namespace for each test."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import ROOT, OperatorProcess, Operators, install_definitions, operators_of
from tests.integration.providers.things import CLAIMS, CLUSTERS, MACHINES, Things
from tests.integration.workflow.stage import TRUSTED

STAND_INS = ROOT / "tests" / "cluster" / "crds"
ACCOUNTS = Path(__file__).with_name("accounts.yaml")


@pytest.fixture(scope="module")
def crew(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[tuple[Operators, OperatorProcess]]:
    install_definitions(cluster)
    cluster.kubectl("apply", "-f", str(STAND_INS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(STAND_INS))
    for path in (CLUSTERS, MACHINES, CLAIMS):  # established is not served yet
        wait_until(partial(_is_served, cluster, path), f"{path} is served")
    with operators_of(cluster, request) as fleet:
        yield fleet, fleet.start("operator", *TRUSTED)


@pytest.fixture
def here(cluster: Cluster, namespace: str, crew: tuple[Operators, OperatorProcess]) -> Things:
    things = Things(cluster, namespace, *crew)
    things.prepare()
    things.kubectl("apply", "-f", str(ACCOUNTS))
    return things


def _is_served(cluster: Cluster, path: str) -> bool:
    return cluster.api.get(f"/apis/{path}").status_code == 200
