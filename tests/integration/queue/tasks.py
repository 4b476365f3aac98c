"""The queue of one pool: its tasks are published, its results answered and read, its depth waited for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from nats.aio.client import Client
from tests.cluster.nats import NatsServer

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent.contract import RESULTS_STREAM, TaskResult, result_subject
from vapora.core.agentpool.broker import Delivery, QueueDepth
from vapora.core.agentpool.depth import Known

NAMESPACE, POOL = "team-a", "developer"
ID = "0b2e3c1a/review/0/1"
EMPTY = QueueDepth(Known(0), Known(0))


@asynccontextmanager
async def connect(server: NatsServer) -> AsyncIterator[NatsBroker]:
    broker = NatsBroker(server.url, timeout_seconds=3)
    await broker.connect()
    try:
        yield broker
    finally:
        await broker.close()


async def ensure(broker: NatsBroker, pool: str = POOL, *, max_deliver: int = 5, ack_wait: float = 30) -> None:
    await broker.ensure_pool(NAMESPACE, pool, max_deliver=max_deliver, ack_wait=ack_wait)


async def publish(broker: NatsBroker, task_id: str = ID, pool: str = POOL, **fields: object) -> None:
    task = {"version": 1, "id": task_id, "namespace": NAMESPACE, "attempt": 1, **fields}
    await broker.publish(task, namespace=NAMESPACE, pool=pool, message_id=task_id)


async def answer(client: Client, task_id: str = ID, data: bytes | None = None) -> None:
    """Publish a result as an agent does."""
    payload = TaskResult(id=task_id, outcome="success", output={"ok": True}).to_json() if data is None else data
    subject = result_subject(NAMESPACE, task_id)
    await client.jetstream().publish(subject, payload, stream=RESULTS_STREAM, headers={"Nats-Msg-Id": task_id})


async def collect(broker: NatsBroker, number: int, *, within: float = 30) -> list[Delivery]:
    """Read and ack results until there are `number`."""
    found: list[Delivery] = []
    async with asyncio.timeout(within), aclosing(broker.results()) as deliveries:
        while len(found) < number:
            found.append(await anext(deliveries))
            await found[-1].ack()
    return found


async def next_delivery(broker: NatsBroker, *, within: float = 30) -> Delivery:
    """Read and ack the next result."""
    return (await collect(broker, 1, within=within))[0]


async def next_result(broker: NatsBroker) -> dict[str, object]:
    """Read and ack the next result, which must be one that can be used."""
    delivery = await next_delivery(broker)
    assert delivery.result is not None, delivery.error
    return dict(delivery.result)


async def depth_of(broker: NatsBroker, pool: str = POOL) -> QueueDepth:
    return (await broker.read_depths())[NAMESPACE, pool]


async def until_depth(broker: NatsBroker, wanted: QueueDepth) -> None:
    async def is_there() -> bool:
        return await depth_of(broker) == wanted

    await eventually(is_there)


async def eventually(probe: Callable[[], Awaitable[bool]], *, within: float = 20) -> None:
    async with asyncio.timeout(within):
        while True:
            if await probe():
                return
            await asyncio.sleep(0.02)
