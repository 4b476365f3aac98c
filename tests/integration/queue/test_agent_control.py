"""An agent is stopped, drained and cancelled, and says what it does: by signals, over the broker, over HTTP."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import until
from tests.integration.queue.fleet import Fleet
from tests.integration.queue.gate import Gate, serving
from tests.integration.queue.tasks import (
    EMPTY,
    ID,
    NAMESPACE,
    POOL,
    collect,
    depth_of,
    ensure,
    eventually,
    next_result,
    publish,
    until_depth,
)

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent import AgentSettings
from vapora.agent.contract import Control, control_subject, heartbeat_subject
from vapora.core.agentpool.broker import AgentReport, BrokerUnavailable, QueueDepth
from vapora.core.agentpool.depth import Known


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


async def test_sigterm_lets_a_task_end_and_takes_no_more(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker)
    process = fleet.start("p-1")
    await publish(broker, "u/s/0/1", input={"seconds": 1.5})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    await publish(broker, "u/s/1/1")
    process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 20) == 0
    assert [work.task_id for work in fleet.read_work()] == ["u/s/0/1"]
    assert (await next_result(broker))["outcome"] == "success"
    assert await depth_of(broker) == QueueDepth(Known(1), Known(0))


async def test_an_idle_agent_leaves_at_once(broker: NatsBroker, client: Client, fleet: Fleet) -> None:
    await ensure(broker)
    async with listening(client, heartbeat_subject(NAMESPACE, POOL, "*")) as heard:
        process = fleet.start("p-1")
        await hear_until(heard, lambda beat: beat["pod"] == "p-1")
        process.signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 3) == 0


async def test_a_task_that_does_not_end_in_time_is_handed_back_at_once(broker: NatsBroker, fleet: Fleet) -> None:
    # With this ack wait, only a task that was handed back can come again within the test's time.
    await ensure(broker, ack_wait=600)
    process = fleet.start("slow", VAPORA_DRAIN_SECONDS="5")
    await publish(broker, input={"seconds": 2})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 10) == 0
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    fleet.start("heir")
    await collect(broker, 1)
    assert [work.pod for work in fleet.read_work()] == ["heir"]


async def test_a_second_signal_hands_back_without_waiting(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker, ack_wait=600)
    process = fleet.start("p-1")
    await publish(broker, input={"seconds": 600})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    process.signal(signal.SIGTERM)
    await until(lambda: "draining" in process.tail(), "the agent drains")
    process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 10) == 0
    assert fleet.read_work() == []


async def test_a_task_in_hand_is_cancelled(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker)
    fleet.start("p-1")
    await publish(broker, input={"seconds": 600})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    await broker.cancel(NAMESPACE, POOL, ID)
    assert (await next_result(broker))["outcome"] == "cancelled"
    await until_depth(broker, EMPTY)
    assert fleet.read_work() == []


async def test_cancelling_one_task_leaves_the_others(broker: NatsBroker, server: NatsServer) -> None:
    await ensure(broker)
    await publish(broker, "u/s/0/1")
    await publish(broker, "u/s/1/1")
    gate = Gate()
    async with serving(gate.agent, server, max_concurrent=2):
        await until(lambda: len(gate.begun) == 2, "two tasks have begun")
        await broker.cancel(NAMESPACE, POOL, "u/s/0/1")
        assert (await next_result(broker))["outcome"] == "cancelled"
        gate.open.set()
        assert (await next_result(broker))["outcome"] == "success"
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
        assert await depth_of(broker) == QueueDepth(Known(1), Known(0))
    assert gate.begun == []


async def test_the_operator_hears_what_agents_do_and_that_they_drain(
    broker: NatsBroker, server: NatsServer, client: Client
) -> None:
    await ensure(broker)
    gate, reports = Gate(), asyncio.Queue[AgentReport]()

    def hear(namespace: str, pool: str, pod: str, report: AgentReport) -> None:
        assert (namespace, pool, pod) == (NAMESPACE, POOL, "here")
        reports.put_nowait(report)

    hearing = asyncio.create_task(broker.follow_agents(hear))
    try:
        async with asyncio.timeout(40), serving(gate.agent, server):
            await publish(broker)
            await hear_report(reports, AgentReport(1))
            await client.publish(heartbeat_subject(NAMESPACE, POOL, "here"), b'{"version": 9}')
            gate.open.set()
            await hear_report(reports, AgentReport(0))
            server.kill()
            server.start()
            # The first beats may pass before the operator has subscribed again, so it asks until it hears.
            asked = asyncio.create_task(keep_draining(broker))
            await hear_report(reports, AgentReport(0, is_draining=True))
            asked.cancel()
    finally:
        hearing.cancel()


async def hear_report(reports: asyncio.Queue[AgentReport], wanted: AgentReport) -> None:
    while await reports.get() != wanted:
        pass


async def keep_draining(broker: NatsBroker) -> None:
    async def ask() -> bool:
        with contextlib.suppress(BrokerUnavailable):
            await broker.drain(NAMESPACE, POOL, ["here"])
        return False

    await eventually(ask)


async def test_an_agent_that_was_told_to_drain_and_was_not_ended_works_on(
    broker: NatsBroker, server: NatsServer, client: Client
) -> None:
    await ensure(broker)
    gate = Gate()
    gate.open.set()
    async with listening(client, heartbeat_subject(NAMESPACE, POOL, "here")) as heard, serving(gate.agent, server):
        await hear_until(heard, lambda beat: beat["inFlight"] == 0)
        order = Control(verb="drain", pods=("here",), seconds=1)
        await client.publish(control_subject(NAMESPACE, POOL), order.to_json())
        await hear_until(heard, lambda beat: beat["draining"] is True)
        await publish(broker)
        await hear_until(heard, lambda beat: beat["draining"] is False)
        assert (await next_result(broker))["outcome"] == "success"


async def test_control_without_meaning_is_passed_over(broker: NatsBroker, server: NatsServer, client: Client) -> None:
    await ensure(broker)
    gate = Gate()
    gate.open.set()
    async with serving(gate.agent, server):
        await client.publish(control_subject(NAMESPACE, POOL), b'{"version": 9, "verb": "explode"}')
        await publish(broker)
        assert (await next_result(broker))["outcome"] == "success"


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
