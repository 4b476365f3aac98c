"""A nats-server for each test, the operator's connection to it, a plain one, and agents."""

from collections.abc import AsyncIterator, Iterator

import nats
import pytest
from nats.aio.client import Client
from tests.cluster.nats import NatsServer
from tests.cluster.process import Supervisor
from tests.integration.queue.fleet import Fleet
from tests.integration.queue.tasks import connect

from vapora.adapters.nats_broker import NatsBroker


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer() as running:
        yield running


@pytest.fixture
async def broker(server: NatsServer) -> AsyncIterator[NatsBroker]:
    async with connect(server) as connected:
        yield connected


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Client]:
    plain = await nats.connect(server.url, allow_reconnect=False)
    try:
        yield plain
    finally:
        await plain.close()


@pytest.fixture
def fleet(server: NatsServer) -> Iterator[Fleet]:
    """Agents that end with the test."""
    with Supervisor("vapora-fleet-") as supervisor:
        yield Fleet(server, supervisor)
