"""The task broker against a real nats-server: tasks go out, results come back, and what waits is counted."""

import asyncio
from contextlib import aclosing

import pytest
from nats.aio.client import Client
from tests.cluster.nats import NatsServer
from tests.integration.queue.tasks import (
    ID,
    NAMESPACE,
    POOL,
    answer,
    connect,
    depth_of,
    ensure,
    eventually,
    next_delivery,
    publish,
)

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent.contract import RESULTS_STREAM, TASKS_STREAM, consumer_name
from vapora.agent.pull import PullInbox
from vapora.core.agentpool.broker import QueueDepth, TaskTooLarge
from vapora.core.agentpool.depth import Known, Unknown


async def take(client: Client, number: int) -> None:
    """Take tasks as an agent does, and keep them."""
    inbox = PullInbox(client, stream=TASKS_STREAM, consumer=consumer_name(NAMESPACE, POOL))
    await inbox.open()
    taken = await asyncio.gather(*(inbox.pull() for _ in range(number)))
    assert None not in taken


async def test_a_task_published_twice_under_one_id_is_one_task(broker: NatsBroker) -> None:
    await ensure(broker)
    await publish(broker)
    await publish(broker)
    assert await depth_of(broker) == QueueDepth(Known(1), Known(0))


async def test_ten_tasks_in_flight_and_none_waiting_is_queue_0(broker: NatsBroker, client: Client) -> None:
    await ensure(broker)
    for number in range(10):
        await publish(broker, f"u/s/{number}/1")
    assert await depth_of(broker) == QueueDepth(Known(10), Known(0))
    await take(client, 10)
    assert await depth_of(broker) == QueueDepth(Known(0), Known(10))


async def test_a_pool_without_tasks_has_depth_0(broker: NatsBroker) -> None:
    await ensure(broker)
    assert await broker.read_depths() == {(NAMESPACE, POOL): QueueDepth(Known(0), Known(0))}


async def test_a_missing_consumer_is_unknown_and_not_0(broker: NatsBroker) -> None:
    await publish(broker)
    depth = await depth_of(broker)
    assert depth.queued == Unknown("the consumer team-a_developer is missing")
    assert depth.in_flight == depth.queued


async def test_a_missing_stream_is_unknown_until_the_pool_is_made_again(broker: NatsBroker, client: Client) -> None:
    await ensure(broker)
    await client.jetstream().delete_stream(TASKS_STREAM)
    assert isinstance((await depth_of(broker)).queued, Unknown)
    await ensure(broker)
    await publish(broker)
    assert await depth_of(broker) == QueueDepth(Known(1), Known(0))


async def test_three_hundred_queues_are_read_together(broker: NatsBroker) -> None:
    pools = [f"pool-{number}" for number in range(300)]
    for pool in pools:
        await ensure(broker, pool)
        await publish(broker, f"u/{pool}/0/1", pool)
    depths = await broker.read_depths()
    assert len(depths) == 300
    assert set(depths.values()) == {QueueDepth(Known(1), Known(0))}


async def test_a_removed_pool_has_no_tasks_left(broker: NatsBroker) -> None:
    await ensure(broker)
    await publish(broker)
    await broker.remove_pool(NAMESPACE, POOL)
    await broker.remove_pool(NAMESPACE, POOL)
    assert await broker.read_depths() == {}


async def test_a_pool_may_change_how_often_a_task_is_given(broker: NatsBroker, client: Client) -> None:
    await ensure(broker, max_deliver=5)
    await ensure(broker, max_deliver=7)
    info = await client.jetstream().consumer_info(TASKS_STREAM, consumer_name(NAMESPACE, POOL))
    assert info.config.max_deliver == 7


async def test_a_task_larger_than_the_broker_takes_is_refused_for_good(broker: NatsBroker) -> None:
    await ensure(broker)
    with pytest.raises(TaskTooLarge):
        await publish(broker, input="x" * 2_000_000)


async def test_a_result_is_delivered_with_the_id_of_its_subject(broker: NatsBroker, client: Client) -> None:
    await answer(client)
    delivery = await next_delivery(broker)
    assert (delivery.namespace, delivery.id, delivery.error) == (NAMESPACE, ID, None)
    assert delivery.result == {"version": 1, "id": ID, "outcome": "success", "output": {"ok": True}}


async def test_an_acked_result_does_not_come_again(broker: NatsBroker, client: Client) -> None:
    await answer(client)
    await next_delivery(broker)
    await answer(client, "u/s/1/1")
    assert (await next_delivery(broker)).id == "u/s/1/1"
    await eventually(lambda: is_drained(broker))


async def is_drained(broker: NatsBroker) -> bool:
    return await broker.pending_results() == 0


async def test_a_result_that_was_not_acked_goes_to_the_next_reader(server: NatsServer, client: Client) -> None:
    async with connect(server) as first:
        await answer(client)
        async with aclosing(first.results()) as deliveries:
            assert (await anext(deliveries)).id == ID
        async with connect(server) as second:
            # At once: closing has handed it back.
            assert (await next_delivery(second, within=3)).id == ID


async def test_a_result_of_a_reader_that_died_counts_as_pending_and_comes_again(
    server: NatsServer, client: Client
) -> None:
    await ensure_streams_exist(server)
    # A reader that takes and says nothing more, as a killed process.
    inbox = PullInbox(client, stream=RESULTS_STREAM, consumer="vapora-operator")
    await inbox.open()
    await answer(client)
    assert await inbox.pull() is not None
    async with connect(server) as heir:
        assert await heir.pending_results() == 1
        assert (await next_delivery(heir)).id == ID
        await eventually(lambda: is_drained(heir))


async def ensure_streams_exist(server: NatsServer) -> None:
    async with connect(server):
        pass


async def test_what_this_process_holds_is_not_pending(broker: NatsBroker, client: Client) -> None:
    await answer(client)
    assert await broker.pending_results() == 1
    async with aclosing(broker.results()) as deliveries:
        await anext(deliveries)
        assert await broker.pending_results() == 0


BAD_RESULTS = {
    "no JSON": (b"{", "TaskResult"),
    "a version to come": (b'{"version": 2, "id": "0b2e3c1a/review/0/1", "outcome": "success"}', "version"),
    "a result of another task": (b'{"id": "u/s/0/9", "outcome": "success"}', "u/s/0/9"),
}


@pytest.mark.parametrize(("data", "said"), BAD_RESULTS.values(), ids=BAD_RESULTS.keys())
async def test_a_result_that_cannot_be_used_is_said_to_be(
    broker: NatsBroker, client: Client, data: bytes, said: str
) -> None:
    await answer(client, data=data)
    delivery = await next_delivery(broker)
    assert delivery.result is None
    assert delivery.id == ID
    assert said in str(delivery.error)


async def test_two_answers_to_one_task_are_one_result(broker: NatsBroker, client: Client) -> None:
    await answer(client)
    await answer(client)
    assert await broker.pending_results() == 1


async def test_a_task_that_no_agent_finishes_fails_as_undeliverable(broker: NatsBroker, client: Client) -> None:
    await ensure(broker, max_deliver=1, ack_wait=0.5)
    await publish(broker)
    await take(client, 1)
    delivery = await next_delivery(broker)
    assert (delivery.namespace, delivery.id) == (NAMESPACE, ID)
    assert delivery.result is not None
    assert delivery.result["outcome"] == "failure"
    assert delivery.result["error"] == {
        "code": "Undeliverable",
        "message": "given to agents of pool developer 1 times; none finished it",
        "retryable": True,
    }
    # The broker keeps such a task for ever; it must not count as queued.
    assert await depth_of(broker) == QueueDepth(Known(0), Known(0))


async def test_a_task_that_was_answered_but_never_acked_is_not_undeliverable(
    broker: NatsBroker, client: Client
) -> None:
    await ensure(broker, max_deliver=1, ack_wait=0.5)
    await publish(broker)
    await take(client, 1)
    await answer(client)
    delivery = await next_delivery(broker)
    assert delivery.result is not None
    assert delivery.result["outcome"] == "success"

    async def is_gone() -> bool:
        async with asyncio.timeout(20), aclosing(broker.results()) as deliveries:
            reading = asyncio.ensure_future(anext(deliveries))
            await eventually(lambda: is_drained(broker))
            reading.cancel()
            await asyncio.wait({reading})
            assert reading.cancelled()
        return await depth_of(broker) == QueueDepth(Known(0), Known(0))

    await eventually(is_gone)


async def test_a_waiting_task_is_withdrawn_also_by_another_process(server: NatsServer) -> None:
    async with connect(server) as first:
        await ensure(first)
        await publish(first, "u/s/0/1")
        await publish(first, "u/s/1/1")
    async with connect(server) as second:
        await ensure(second)
        await second.cancel(NAMESPACE, POOL, "u/s/0/1")
        delivery = await next_delivery(second)
        assert delivery.id == "u/s/0/1"
        assert delivery.result is not None
        assert delivery.result["outcome"] == "cancelled"
        assert await depth_of(second) == QueueDepth(Known(1), Known(0))


async def test_a_task_that_an_agent_holds_is_not_withdrawn(broker: NatsBroker, client: Client) -> None:
    await ensure(broker)
    await publish(broker)
    await take(client, 1)
    assert not await broker.withdraw(NAMESPACE, POOL, ID)
    assert await depth_of(broker) == QueueDepth(Known(0), Known(1))


async def test_withdrawing_a_task_that_never_was_changes_nothing(broker: NatsBroker) -> None:
    await ensure(broker)
    await publish(broker)
    assert not await broker.withdraw(NAMESPACE, POOL, "u/other/0/1")
    assert await depth_of(broker) == QueueDepth(Known(1), Known(0))
