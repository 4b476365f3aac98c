"""Agents on the SDK against a real nats-server: as processes where they are killed, else in the test's own loop."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager

import httpx
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import until
from tests.integration.fleet import Fleet, running_fleet

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent import Agent, AgentSettings, Result, Task
from vapora.agent.contract import (
    RESULTS_STREAM,
    TASKS_STREAM,
    Control,
    TaskResult,
    consumer_name,
    control_subject,
    heartbeat_subject,
    result_subject,
    task_subject,
)
from vapora.agent.pull import PullInbox
from vapora.core.agentpool.broker import Delivery, QueueDepth
from vapora.core.agentpool.depth import Known

NAMESPACE, POOL = "team-a", "developer"
ID = "0b2e3c1a/review/0/1"
EMPTY = QueueDepth(Known(0), Known(0))


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer() as running:
        yield running


@pytest.fixture
def fleet(server: NatsServer) -> Iterator[Fleet]:
    with running_fleet(server) as fleet:
        yield fleet


@pytest.fixture
async def broker(server: NatsServer) -> AsyncIterator[NatsBroker]:
    broker = NatsBroker(server.url)
    await broker.connect()
    try:
        yield broker
    finally:
        await broker.close()


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Client]:
    plain = await nats.connect(server.url, allow_reconnect=False)
    try:
        yield plain
    finally:
        await plain.close()


async def ensure(broker: NatsBroker, *, ack_wait: float = 30, max_deliver: int = 5) -> None:
    await broker.ensure_pool(NAMESPACE, POOL, max_deliver=max_deliver, ack_wait=ack_wait)


async def publish(broker: NatsBroker, task_id: str = ID, **fields: object) -> None:
    task = {"version": 1, "id": task_id, "namespace": NAMESPACE, "attempt": 1, **fields}
    await broker.publish(task, namespace=NAMESPACE, pool=POOL, message_id=task_id)


async def collect(broker: NatsBroker, number: int, *, within: float = 30) -> list[Delivery]:
    """Read and ack results until there are `number`."""
    found: list[Delivery] = []
    async with asyncio.timeout(within), aclosing(broker.results()) as deliveries:
        while len(found) < number:
            found.append(await anext(deliveries))
            await found[-1].ack()
    return found


async def collect_one(broker: NatsBroker) -> dict[str, object]:
    delivery = (await collect(broker, 1))[0]
    assert delivery.result is not None, delivery.error
    return dict(delivery.result)


async def depth(broker: NatsBroker) -> QueueDepth:
    return (await broker.read_depths())[NAMESPACE, POOL]


async def eventually(probe: Callable[[], Awaitable[bool]], *, within: float = 20) -> None:
    async with asyncio.timeout(within):
        while True:
            if await probe():
                return
            await asyncio.sleep(0.02)


async def until_depth(broker: NatsBroker, wanted: QueueDepth) -> None:
    async def is_there() -> bool:
        return await depth(broker) == wanted

    await eventually(is_there)


@asynccontextmanager
async def serving(agent: Agent, server: NatsServer, **settings: object) -> AsyncIterator[asyncio.Task[None]]:
    """Run an agent in this loop, and stop it at the end."""
    environment = AgentSettings(server.url, NAMESPACE, POOL, "here", **settings)  # type: ignore[arg-type]  # named ones
    async with asyncio.TaskGroup() as group:
        work = group.create_task(agent.serve(environment))
        try:
            yield work
        finally:
            agent.stop()


@asynccontextmanager
async def listening(client: Client, subject: str) -> AsyncIterator[asyncio.Queue[dict[str, object]]]:
    heard: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    async def hear(message: Msg) -> None:
        heard.put_nowait(json.loads(message.data))

    subscription = await client.subscribe(subject, cb=hear)
    await client.flush()
    yield heard
    await subscription.unsubscribe()


async def hear_until(
    heard: asyncio.Queue[dict[str, object]], is_it: Callable[[dict[str, object]], bool]
) -> dict[str, object]:
    async with asyncio.timeout(20):
        while True:
            if is_it(message := await heard.get()):
                return message


class Gate:
    """An agent whose tasks wait until they are let through."""

    def __init__(self) -> None:
        self.agent = Agent(role="gate", version="7")
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.open = asyncio.Event()
        self.agent.task()(self._handle)

    async def _handle(self, task: Task) -> Result:
        self.begun.append(task.id)
        await task.progress(0.5, "waiting")
        await self.open.wait()
        self.ended.append(task.id)
        return Result(output=task.input)


async def test_a_task_is_done_and_its_result_comes_back(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker)
    fleet.start("p-1", namespace=NAMESPACE, pool=POOL, example="echo.py")
    await publish(broker, input={"a": [1, None]})
    result = await collect_one(broker)
    assert result["outcome"] == "success"
    assert result["output"] == {"a": [1, None]}
    assert result["agent"] == {"pod": "p-1", "version": ""}
    await until_depth(broker, EMPTY)


async def test_an_agent_that_is_there_before_its_queue_takes_its_tasks(broker: NatsBroker, fleet: Fleet) -> None:
    process = fleet.start("p-1", namespace=NAMESPACE, pool=POOL)
    await until(lambda: "consumer not found" in process.tail(), "the agent has looked for its queue")
    await ensure(broker)
    await publish(broker)
    assert (await collect_one(broker))["outcome"] == "success"


async def test_a_task_of_a_killed_agent_is_done_once_by_another(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker, ack_wait=1)
    victim = fleet.start("victim", namespace=NAMESPACE, pool=POOL)
    await publish(broker, input={"seconds": 1})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    victim.signal(signal.SIGKILL)
    victim.wait(10)
    fleet.start("heir", namespace=NAMESPACE, pool=POOL)
    assert (await collect_one(broker))["agent"] == {"pod": "heir", "version": ""}
    assert [(work.task_id, work.pod) for work in fleet.read_work()] == [(ID, "heir")]


async def test_a_task_whose_result_is_there_is_not_done_again(broker: NatsBroker, client: Client, fleet: Fleet) -> None:
    await ensure(broker, ack_wait=1)
    await publish(broker)
    # An agent that published its result and died before it acked.
    inbox = PullInbox(client, stream=TASKS_STREAM, consumer=consumer_name(NAMESPACE, POOL))
    await inbox.open()
    assert await inbox.pull() is not None
    payload = TaskResult(id=ID, outcome="success", output="the first").to_json()
    await client.jetstream().publish(result_subject(NAMESPACE, ID), payload, headers={"Nats-Msg-Id": ID})
    await client.close()

    fleet.start("heir", namespace=NAMESPACE, pool=POOL)
    await until_depth(broker, EMPTY)
    assert fleet.read_work() == []
    assert (await collect_one(broker))["output"] == "the first"


async def test_a_task_that_a_killed_broker_gives_out_as_new_is_not_done_again(
    broker: NatsBroker, client: Client, fleet: Fleet
) -> None:
    # What a broker leaves behind when it is killed before it has kept an ack: a result, and its task as if never given.
    await ensure(broker)
    payload = TaskResult(id=ID, outcome="success").to_json()
    await client.jetstream().publish(result_subject(NAMESPACE, ID), payload, headers={"Nats-Msg-Id": ID})
    await publish(broker)
    fleet.start("heir", namespace=NAMESPACE, pool=POOL)
    await until_depth(broker, EMPTY)
    assert fleet.read_work() == []


async def test_a_long_task_stays_with_its_agent(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker, ack_wait=1)
    for pod in ("p-1", "p-2"):
        fleet.start(pod, namespace=NAMESPACE, pool=POOL)
    await publish(broker, input={"seconds": 3})
    await collect(broker, 1)
    await until_depth(broker, EMPTY)
    assert len(fleet.read_work()) == 1


async def test_an_agent_takes_no_more_than_it_can_work_on(broker: NatsBroker, server: NatsServer) -> None:
    await ensure(broker)
    for number in range(5):
        await publish(broker, f"u/s/{number}/1")
    gate = Gate()
    async with serving(gate.agent, server, max_concurrent=2):
        await until_depth(broker, QueueDepth(Known(3), Known(2)))
        await eventually(lambda: is_length(gate.begun, 2))
        gate.open.set()
        await collect(broker, 5)
    assert sorted(gate.ended) == [f"u/s/{number}/1" for number in range(5)]


async def is_length(found: list[str], length: int) -> bool:
    return len(found) == length


async def test_sigterm_lets_a_task_end_and_takes_no_more(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker)
    process = fleet.start("p-1", namespace=NAMESPACE, pool=POOL)
    await publish(broker, "u/s/0/1", input={"seconds": 1.5})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    await publish(broker, "u/s/1/1")
    process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 20) == 0
    assert [work.task_id for work in fleet.read_work()] == ["u/s/0/1"]
    assert (await collect_one(broker))["outcome"] == "success"
    assert await depth(broker) == QueueDepth(Known(1), Known(0))


async def test_an_idle_agent_leaves_at_once(broker: NatsBroker, client: Client, fleet: Fleet) -> None:
    await ensure(broker)
    async with listening(client, heartbeat_subject(NAMESPACE, POOL, "*")) as heard:
        process = fleet.start("p-1", namespace=NAMESPACE, pool=POOL)
        await hear_until(heard, lambda beat: beat["pod"] == "p-1")
        process.signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 3) == 0


async def test_a_task_that_does_not_end_in_time_is_handed_back_at_once(broker: NatsBroker, fleet: Fleet) -> None:
    # With this ack wait, only a task that was handed back can come again within the test's time.
    await ensure(broker, ack_wait=600)
    process = fleet.start("slow", namespace=NAMESPACE, pool=POOL, VAPORA_DRAIN_SECONDS="5")
    await publish(broker, input={"seconds": 2})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 10) == 0
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    fleet.start("heir", namespace=NAMESPACE, pool=POOL)
    await collect(broker, 1)
    assert [work.pod for work in fleet.read_work()] == ["heir"]


async def test_a_second_signal_hands_back_without_waiting(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker, ack_wait=600)
    process = fleet.start("p-1", namespace=NAMESPACE, pool=POOL)
    await publish(broker, input={"seconds": 600})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    process.signal(signal.SIGTERM)
    await until(lambda: "draining" in process.tail(), "the agent drains")
    process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 10) == 0
    assert fleet.read_work() == []


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_task_survives_a_restart_of_the_broker(
    server: NatsServer, broker: NatsBroker, fleet: Fleet, end: str
) -> None:
    await ensure(broker)
    fleet.start("p-1", namespace=NAMESPACE, pool=POOL)
    await publish(broker, input={"seconds": 1.5})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    getattr(server, end)()
    await until(fleet.read_work, "the task is done while the broker is away")
    server.start()
    assert (await collect_one(broker))["outcome"] == "success"
    await until_depth(broker, EMPTY)
    await publish(broker, "u/s/1/1")
    assert (await collect_one(broker))["id"] == "u/s/1/1"
    assert [work.task_id for work in fleet.read_work()] == [ID, "u/s/1/1"]


async def test_an_agent_that_starts_before_the_broker_works_when_it_is_there(
    server: NatsServer, broker: NatsBroker, fleet: Fleet
) -> None:
    await ensure(broker)
    await publish(broker)
    server.stop()
    process = fleet.start("p-1", namespace=NAMESPACE, pool=POOL)
    await until(lambda: "no broker" in process.tail(), "the agent has looked for the broker")
    server.start()
    assert (await collect_one(broker))["outcome"] == "success"


NO_TASKS = {
    "no JSON": b"{",
    "a version to come": json.dumps({"version": 2, "id": ID, "namespace": NAMESPACE}).encode(),
    "a task of another namespace": json.dumps({"id": ID, "namespace": "team-b"}).encode(),
}


@pytest.mark.parametrize("data", NO_TASKS.values(), ids=NO_TASKS.keys())
async def test_a_message_that_is_no_task_fails_under_its_id_and_harms_nobody(
    broker: NatsBroker, client: Client, fleet: Fleet, data: bytes
) -> None:
    await ensure(broker)
    await client.jetstream().publish(task_subject(NAMESPACE, POOL), data, headers={"Nats-Msg-Id": ID})
    await publish(broker, "u/s/1/1")
    process = fleet.start("p-1", namespace=NAMESPACE, pool=POOL)
    deliveries = {delivery.id: delivery for delivery in await collect(broker, 3)}
    failure = deliveries[ID].result
    assert failure is not None
    assert failure["outcome"] == "failure"
    assert isinstance(failure["error"], dict)
    assert failure["error"]["code"] == "InvalidEnvelope"
    assert "an agent of pool developer refused" in str(deliveries[""].error)
    done = deliveries["u/s/1/1"].result
    assert done is not None
    assert done["outcome"] == "success"
    assert process.is_running
    await until_depth(broker, EMPTY)


async def test_a_message_without_an_id_goes_to_the_dead_letters(
    broker: NatsBroker, client: Client, fleet: Fleet
) -> None:
    await ensure(broker)
    await client.jetstream().publish(task_subject(NAMESPACE, POOL), b"hello")
    fleet.start("p-1", namespace=NAMESPACE, pool=POOL)
    delivery = (await collect(broker, 1))[0]
    assert (delivery.result, delivery.namespace) == (None, NAMESPACE)
    assert "an agent of pool developer refused message 1" in str(delivery.error)
    await until_depth(broker, EMPTY)


async def test_a_task_in_hand_is_cancelled(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker)
    fleet.start("p-1", namespace=NAMESPACE, pool=POOL)
    await publish(broker, input={"seconds": 600})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    await broker.cancel(NAMESPACE, POOL, ID)
    assert (await collect_one(broker))["outcome"] == "cancelled"
    await until_depth(broker, EMPTY)
    assert fleet.read_work() == []


async def test_cancelling_one_task_leaves_the_others(broker: NatsBroker, server: NatsServer) -> None:
    await ensure(broker)
    await publish(broker, "u/s/0/1")
    await publish(broker, "u/s/1/1")
    gate = Gate()
    async with serving(gate.agent, server, max_concurrent=2):
        await eventually(lambda: is_length(gate.begun, 2))
        await broker.cancel(NAMESPACE, POOL, "u/s/0/1")
        assert (await collect_one(broker))["outcome"] == "cancelled"
        gate.open.set()
        assert (await collect_one(broker))["outcome"] == "success"
    assert gate.ended == ["u/s/1/1"]


async def test_heartbeats_say_what_an_agent_does(broker: NatsBroker, server: NatsServer, client: Client) -> None:
    await ensure(broker)
    gate = Gate()
    async with listening(client, heartbeat_subject(NAMESPACE, POOL, "here")) as heard, serving(gate.agent, server):
        assert (await hear_until(heard, lambda beat: beat["inFlight"] == 0))["agentVersion"] == "7"
        await publish(broker)
        busy = await hear_until(heard, lambda beat: bool(beat["tasks"]) and beat["tasks"][0].get("fraction") == 0.5)
        assert (busy["role"], busy["inFlight"], busy["capacity"]) == ("gate", 1, 1)
        assert busy["tasks"] == [{"id": ID, "fraction": 0.5, "message": "waiting"}]
        gate.open.set()
        idle = await hear_until(heard, lambda beat: beat["inFlight"] == 0)
        assert idle["done"] == 1


async def test_an_agent_that_is_told_to_drain_takes_no_more(
    broker: NatsBroker, server: NatsServer, client: Client
) -> None:
    await ensure(broker)
    gate = Gate()
    async with listening(client, heartbeat_subject(NAMESPACE, POOL, "here")) as heard, serving(gate.agent, server):
        await hear_until(heard, lambda beat: beat["inFlight"] == 0)
        for pods in (("somebody-else",), ("here",)):
            await client.publish(control_subject(NAMESPACE, POOL), Control(verb="drain", pods=pods).to_json())
        await hear_until(heard, lambda beat: beat["draining"] is True)
        await publish(broker)
        assert await depth(broker) == QueueDepth(Known(1), Known(0))
    assert gate.begun == []


async def test_control_without_meaning_is_passed_over(broker: NatsBroker, server: NatsServer, client: Client) -> None:
    await ensure(broker)
    gate = Gate()
    gate.open.set()
    async with serving(gate.agent, server):
        await client.publish(control_subject(NAMESPACE, POOL), b'{"version": 9, "verb": "explode"}')
        await publish(broker)
        assert (await collect_one(broker))["outcome"] == "success"


async def test_health_and_metrics_are_served(broker: NatsBroker, server: NatsServer) -> None:
    await ensure(broker)
    gate = Gate()
    gate.open.set()
    ports: asyncio.Queue[int] = asyncio.Queue()
    settings = AgentSettings(server.url, NAMESPACE, POOL, "here", health_port=0)
    async with asyncio.TaskGroup() as group, httpx.AsyncClient(trust_env=False) as http:
        group.create_task(gate.agent.serve(settings, on_health_port=ports.put_nowait))
        url = f"http://127.0.0.1:{await ports.get()}"
        await publish(broker, taskType="paint")
        await collect(broker, 1)
        assert (await http.get(f"{url}/ready")).status_code == 200
        metrics = (await http.get(f"{url}/metrics")).text
        assert 'vapora_agent_tasks_total{outcome="success",task_type="other"} 1.0' in metrics
        server.stop()

        async def is_unready() -> bool:
            return (await http.get(f"{url}/ready")).status_code == 503

        await eventually(is_unready)
        health = await http.get(f"{url}/health")
        assert (health.status_code, health.json()["connected"]) == (200, False)
        gate.agent.stop()


async def test_a_stream_of_results_holds_one_result_for_each_task(
    broker: NatsBroker, client: Client, fleet: Fleet
) -> None:
    await ensure(broker, ack_wait=1)
    for pod in ("p-1", "p-2", "p-3"):
        fleet.start(pod, namespace=NAMESPACE, pool=POOL, VAPORA_MAX_CONCURRENT="4")
    for number in range(60):
        await publish(broker, f"u/s/{number}/1")
    deliveries = await collect(broker, 60)
    await until_depth(broker, EMPTY)
    assert len({delivery.id for delivery in deliveries}) == 60
    assert sorted(work.task_id for work in fleet.read_work()) == sorted(f"u/s/{number}/1" for number in range(60))
    info = await client.jetstream().stream_info(RESULTS_STREAM)
    assert info.state.messages == 60
