"""One operator with a queue for each file, Gateway API's stand-in, and a namespace for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.integration.engine import ROOT, OperatorProcess, Operators, install_definitions, operators_of
from tests.integration.provisioning.fleet import Fleet
from tests.integration.workflow.stage import TRUSTED

from vapora.adapters.nats_broker import NatsBroker

STAND_INS = ROOT / "tests" / "cluster" / "crds"


@pytest.fixture(scope="module")
def crew(
    cluster: Cluster, nats: NatsServer, request: pytest.FixtureRequest
) -> Iterator[tuple[Operators, OperatorProcess]]:
    install_definitions(cluster)
    cluster.kubectl("apply", "-f", str(STAND_INS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(STAND_INS))
    with operators_of(cluster, request) as started:
        yield started, started.start("operator", "--nats-url", nats.url, *TRUSTED)


@pytest.fixture
def here(cluster: Cluster, namespace: str, crew: tuple[Operators, OperatorProcess]) -> Iterator[Fleet]:
    """The namespace of the test; its pools go before it, so that no queue is left."""
    fleet = Fleet(cluster, namespace, *crew)
    fleet.prepare()
    fleet.kubectl("apply", "-f", str(ROOT / "tests" / "integration" / "provisioning" / "accounts.yaml"))
    yield fleet
    fleet.kubectl("delete", "agentpools", "--all", "--timeout=30s")


@pytest.fixture
async def broker(nats: NatsServer) -> AsyncIterator[NatsBroker]:
    broker = NatsBroker(nats.url)
    await broker.connect()
    yield broker
    await broker.close()
