"""Agents do every task once and answer it, whatever happens to them, to the broker and to the message."""

import json
import signal

import pytest
from nats.aio.client import Client
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import until
from tests.integration.queue.fleet import Fleet
from tests.integration.queue.gate import Gate, serving
from tests.integration.queue.tasks import (
    EMPTY,
    ID,
    NAMESPACE,
    POOL,
    answer,
    collect,
    ensure,
    next_result,
    publish,
    until_depth,
)

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent.contract import (
    RESULTS_STREAM,
    TASKS_STREAM,
    TaskResult,
    consumer_name,
    task_subject,
)
from vapora.agent.pull import PullInbox
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known


async def test_a_task_is_done_and_its_result_comes_back(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker)
    fleet.start("p-1", example="echo.py")
    await publish(broker, input={"a": [1, None]})
    result = await next_result(broker)
    assert result["outcome"] == "success"
    assert result["output"] == {"a": [1, None]}
    assert result["agent"] == {"pod": "p-1", "pool": POOL, "version": ""}
    await until_depth(broker, EMPTY)


async def test_an_agent_that_is_there_before_its_queue_takes_its_tasks(broker: NatsBroker, fleet: Fleet) -> None:
    process = fleet.start("p-1")
    await until(lambda: "consumer not found" in process.tail(), "the agent has looked for its queue")
    await ensure(broker)
    await publish(broker)
    assert (await next_result(broker))["outcome"] == "success"


async def test_a_task_of_a_killed_agent_is_done_once_by_another(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker, ack_wait=1)
    victim = fleet.start("victim")
    await publish(broker, input={"seconds": 1})
    await until_depth(broker, QueueDepth(Known(0), Known(1)))
    victim.signal(signal.SIGKILL)
    victim.wait(10)
    fleet.start("heir")
    assert (await next_result(broker))["agent"]["pod"] == "heir"
    assert [(work.task_id, work.pod) for work in fleet.read_work()] == [(ID, "heir")]


async def test_a_task_whose_result_is_there_is_not_done_again(broker: NatsBroker, client: Client, fleet: Fleet) -> None:
    await ensure(broker, ack_wait=1)
    await publish(broker)
    # An agent that published its result and died before it acked.
    inbox = PullInbox(client, stream=TASKS_STREAM, consumer=consumer_name(NAMESPACE, POOL))
    await inbox.open()
    assert await inbox.pull() is not None
    await answer(client, data=TaskResult(id=ID, outcome="success", output="the first").to_json())
    await client.close()

    fleet.start("heir")
    await until_depth(broker, EMPTY)
    assert fleet.read_work() == []
    assert (await next_result(broker))["output"] == "the first"


async def test_a_task_that_a_killed_broker_gives_out_as_new_is_not_done_again(
    broker: NatsBroker, client: Client, fleet: Fleet
) -> None:
    # What a broker leaves behind when it is killed before it has kept an ack: a result, and its task as if never given.
    await ensure(broker)
    await answer(client)
    await publish(broker)
    fleet.start("heir")
    await until_depth(broker, EMPTY)
    assert fleet.read_work() == []


async def test_a_long_task_stays_with_its_agent(broker: NatsBroker, fleet: Fleet) -> None:
    await ensure(broker, ack_wait=1)
    for pod in ("p-1", "p-2"):
        fleet.start(pod)
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
        await until(lambda: len(gate.begun) == 2, "two tasks have begun")
        gate.open.set()
        await collect(broker, 5)
    assert sorted(gate.ended) == [f"u/s/{number}/1" for number in range(5)]


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_task_survives_a_restart_of_the_broker(
    server: NatsServer, broker: NatsBroker, fleet: Fleet, end: str
) -> None:
    await ensure(broker)
    process = fleet.start("p-1")
    await publish(broker, input={"seconds": 1.5})
    await until(lambda: "task begun" in process.tail(), "the agent works on it")
    getattr(server, end)()
    await until(fleet.read_work, "the task is done while the broker is away")
    server.start()
    assert (await next_result(broker))["outcome"] == "success"
    await until_depth(broker, EMPTY)
    await publish(broker, "u/s/1/1")
    assert (await next_result(broker))["id"] == "u/s/1/1"
    assert [work.task_id for work in fleet.read_work()] == [ID, "u/s/1/1"]


async def test_an_agent_that_starts_before_the_broker_works_when_it_is_there(
    server: NatsServer, broker: NatsBroker, fleet: Fleet
) -> None:
    await ensure(broker)
    await publish(broker)
    server.stop()
    process = fleet.start("p-1")
    await until(lambda: "no broker" in process.tail(), "the agent has looked for the broker")
    server.start()
    assert (await next_result(broker))["outcome"] == "success"


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
    process = fleet.start("p-1")
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
    fleet.start("p-1")
    delivery = (await collect(broker, 1))[0]
    assert (delivery.result, delivery.namespace) == (None, NAMESPACE)
    assert "an agent of pool developer refused message 1" in str(delivery.error)
    await until_depth(broker, EMPTY)


async def test_a_stream_of_results_holds_one_result_for_each_task(
    broker: NatsBroker, client: Client, fleet: Fleet
) -> None:
    await ensure(broker, ack_wait=1)
    for pod in ("p-1", "p-2", "p-3"):
        fleet.start(pod, VAPORA_MAX_CONCURRENT="4")
    for number in range(60):
        await publish(broker, f"u/s/{number}/1")
    deliveries = await collect(broker, 60)
    await until_depth(broker, EMPTY)
    assert len({delivery.id for delivery in deliveries}) == 60
    assert sorted(work.task_id for work in fleet.read_work()) == sorted(f"u/s/{number}/1" for number in range(60))
    info = await client.jetstream().stream_info(RESULTS_STREAM)
    assert info.state.messages == 60
