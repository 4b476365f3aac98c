"""A task broker that cannot be used is a problem that is named, and nothing is lost by it."""

import asyncio
import time
from contextlib import aclosing

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from tests.cluster.nats import NatsServer
from tests.integration.queue.tasks import answer, connect, depth_of, ensure, eventually, publish

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent.contract import TASKS_STREAM, task_subject
from vapora.core.agentpool.broker import BrokerUnavailable, QueueDepth
from vapora.core.agentpool.depth import Known


async def test_a_broker_that_is_down_is_a_problem_and_not_a_crash(server: NatsServer) -> None:
    server.stop()
    async with connect(server) as broker:
        assert "Connect call failed" in str(broker.problem)
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="Connect call failed"):
            await publish(broker)
        assert time.monotonic() - started < 4
        server.start()
        await eventually(lambda: is_usable(broker))
        await ensure(broker)
        await publish(broker)
        assert await depth_of(broker) == QueueDepth(Known(1), Known(0))


async def is_usable(broker: NatsBroker) -> bool:
    return broker.problem is None


async def test_a_broker_that_comes_back_still_has_tasks_and_results(server: NatsServer, client: Client) -> None:
    async with connect(server) as broker:
        await ensure(broker)
        await publish(broker)
        await answer(client, "u/s/1/1")
        async with aclosing(broker.results()) as deliveries:
            first = await anext(deliveries)
            server.kill()
            await eventually(lambda: is_lost(broker))
            with pytest.raises(BrokerUnavailable):
                await broker.read_depths()
            await first.ack()
            server.start()
            await eventually(lambda: is_usable(broker))
            assert await depth_of(broker) == QueueDepth(Known(1), Known(0))
            await answer_anew(server, "u/s/2/1")
            async with asyncio.timeout(20):
                # The ack was lost with the broker, so the first may come again; the second comes in any case.
                ids = set()
                while "u/s/2/1" not in ids:
                    delivery = await anext(deliveries)
                    await delivery.ack()
                    ids.add(delivery.id)
            assert ids <= {"u/s/1/1", "u/s/2/1"}


async def is_lost(broker: NatsBroker) -> bool:
    return broker.problem is not None


async def answer_anew(server: NatsServer, task_id: str) -> None:
    plain = await nats.connect(server.url)
    await answer(plain, task_id)
    await plain.close()


async def test_a_stream_of_somebody_else_is_a_problem_that_is_named(server: NatsServer, client: Client) -> None:
    await client.jetstream().add_stream(StreamConfig(name=TASKS_STREAM, subjects=[task_subject("a", "b")]))
    async with connect(server) as broker:
        assert "VAPORA_TASKS keeps messages by" in str(broker.problem)
        with pytest.raises(BrokerUnavailable):
            await publish(broker)
        await client.jetstream().delete_stream(TASKS_STREAM)
        await eventually(lambda: is_usable(broker))


ADDRESSES = {
    "a port that is no number": "nats://host:port",
    "a host that does not exist": "nats://user:secret@nowhere.invalid:4222",
    "nothing": "",
}


@pytest.mark.parametrize("url", ADDRESSES.values(), ids=ADDRESSES.keys())
async def test_a_bad_address_is_a_problem_that_tells_no_secret(url: str) -> None:
    broker = NatsBroker(url, timeout_seconds=3)
    await broker.connect()
    try:
        assert "cannot use" in str(broker.problem)
        assert "secret" not in str(broker.problem)
    finally:
        await broker.close()
