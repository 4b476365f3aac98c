"""What a run makes of answers that agents should not give, on a real API server and a real broker.

No agent runs: the test takes the tasks as agents do, and answers them as it likes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import until
from tests.integration.engine import OperatorProcess, install_definitions, operators_of
from tests.integration.objects import Json, Objects

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent.contract import (
    RESULTS_STREAM,
    TASKS_STREAM,
    TaskResult,
    consumer_name,
    result_subject,
)
from vapora.agent.pull import ACK, PullInbox

POOL = "developer"
MIB = 2**20


@pytest.fixture(scope="module")
def broad() -> Iterator[NatsServer]:
    """A broker that takes messages of 16 MiB."""
    with NatsServer(settings=f"max_payload: {16 * MIB}") as server:
        yield server


@pytest.fixture(scope="module")
def operator(cluster: Cluster, broad: NatsServer, request: pytest.FixtureRequest) -> Iterator[OperatorProcess]:
    install_definitions(cluster)
    with operators_of(cluster, request) as started:
        yield started.start("operator", "--nats-url", broad.url)


@pytest.fixture
def here(cluster: Cluster, namespace: str, operator: OperatorProcess) -> Iterator[Objects]:
    """A namespace with a pool whose agents take nothing."""
    here = Objects(cluster, namespace)
    here.create("AgentPool", POOL, {"role": "worker", "replicas": 1, "template": {"image": "nobody:1"}})
    here.kubectl("wait", "--for=condition=Ready", "--timeout=30s", f"agentpool/{POOL}")
    here.await_said("AgentPool", POOL, "MetricsAvailable", "True MetricsRead")
    yield here
    here.kubectl("delete", "agentpools,workflows", "--all", "--timeout=30s")


@pytest.fixture
async def client(broad: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(broad.url)
    yield client
    await client.close()


@pytest.fixture
async def broker(broad: NatsServer) -> AsyncIterator[NatsBroker]:
    broker = NatsBroker(broad.url)
    await broker.connect()
    yield broker
    await broker.close()


def task(name: str = "task", **fields: object) -> Json:
    return {"name": name, "agent": {"pool": POOL, "title": "do"}, "retry": {"maxAttempts": 1}, **fields}


async def take(client: Client, here: Objects, number: int) -> list[Msg]:
    """Take so many tasks as an agent does."""
    inbox = PullInbox(client, stream=TASKS_STREAM, consumer=consumer_name(here.namespace, POOL))
    taken: list[Msg] = []
    async with asyncio.timeout(30), inbox:
        while len(taken) < number:
            if message := await inbox.pull():
                taken.append(message)
    return taken


def read_id(message: Msg) -> str:
    return str(json.loads(message.data)["id"])


async def answer(
    client: Client, here: Objects, task_id: str, data: bytes, *, namespace: str = "", repeats: bool = False
) -> None:
    """Publish a result under the id of a task; with `repeats` the broker is not told that it may know it already."""
    subject = result_subject(namespace or here.namespace, task_id)
    headers = {} if repeats else {"Nats-Msg-Id": task_id}
    await client.jetstream().publish(subject, data, stream=RESULTS_STREAM, headers=headers)


async def acknowledge(client: Client, message: Msg) -> None:
    await client.publish(message.reply, ACK)
    await client.flush()


def succeed(task_id: str, output: object = None) -> bytes:
    return TaskResult(id=task_id, outcome="success", output=output).to_json()


BAD: dict[str, tuple[bytes, str, str]] = {
    "no-json": (b"{", "TaskFailed", "TaskResult"),
    "a-version-to-come": (b'{"version": 2, "id": "ID", "outcome": "success"}', "TaskFailed", "version"),
    "of-another-task": (b'{"id": "u/s/0/9", "outcome": "success"}', "TaskFailed", "u/s/0/9"),
    "ten-megabytes": (
        b'{"id": "ID", "outcome": "success", "output": {"text": "%s"}}' % (b"x" * 10 * MIB),
        "OutputInvalid",
        "output 'text': it could take 1,258,596 steps",
    ),
    "ten-megabytes-of-words": (
        b'{"id": "ID", "outcome": "failure", "error": {"code": "Long", "message": "%s"}}' % (b"y" * 10 * MIB),
        "TaskFailed",
        "yyy",
    ),
    "ten-megabytes-of-brackets": (b"[" * 10 * MIB, "TaskFailed", "recursion limit exceeded"),
}


async def test_an_answer_that_cannot_be_used_fails_its_step_and_no_other(here: Objects, client: Client) -> None:
    for name in (*BAD, "good"):
        here.workflow(name, task(outputs=["text"]))
    taken = {json.loads(message.data)["workflow"]: message for message in await take(client, here, len(BAD) + 1)}
    for name, (data, _, _) in BAD.items():
        await answer(client, here, read_id(taken[name]), data.replace(b"ID", read_id(taken[name]).encode()))
    await answer(client, here, read_id(taken["good"]), succeed(read_id(taken["good"]), {"text": "well"}))
    for message in taken.values():
        await acknowledge(client, message)
    for name, (_, reason, words) in BAD.items():
        here.await_status("Workflow", name, phase="Failed")
        step = here.step(name, "task")
        assert (step["reason"], words in step["message"]) == (reason, True), (name, step["reason"], step["message"])
        assert len(step["message"].encode()) <= 1024
    here.await_status("Workflow", "good", phase="Succeeded")
    assert here.step("good", "task")["outputs"] == {"text": "well"}


CLAIMS = b'"quality": 7, "costCents": -3, "tokens": {"prompt": -1}, "finishedAt": "9999-12-31T23:59:59-12:00"'


async def test_an_answer_counts_although_what_is_said_of_it_cannot_be(
    here: Objects, client: Client, operator: OperatorProcess
) -> None:
    before = read_clamped(operator)
    here.workflow("run", task(outputs=["text"], retry={"maxAttempts": 2, "initialDelay": "100ms"}))
    for outcome in (b'"failure"', b'"success", "output": {"text": "well"}'):
        (message,) = await take(client, here, 1)
        name = read_id(message).encode()
        await answer(client, here, name.decode(), b'{"id": "%s", "outcome": %s, %s}' % (name, outcome, CLAIMS))
        await acknowledge(client, message)
    here.await_status("Workflow", "run", phase="Succeeded")
    step = here.step("run", "task")
    assert (step["outputs"], step["tries"]) == ({"text": "well"}, 2)
    assert step["finishedAt"] < "9999"
    assert read_clamped(operator) == {field: before.get(field, 0.0) + 2 for field in FIELDS}


FIELDS = ("quality", "tokens", "cost_cents", "finished")


def read_clamped(operator: OperatorProcess) -> dict[str, float]:
    """Count the values that could not be, by field."""
    found = {line.split()[0]: float(line.split()[1]) for line in operator.metrics() if not line.startswith("#")}
    counts = {field: found.get(f'vapora_executions_clamped_total{{field="{field}"}}') for field in FIELDS}
    return {field: count for field, count in counts.items() if count is not None}


async def test_an_answer_to_no_task_is_dropped_and_counted_and_the_right_one_still_counts(
    here: Objects, client: Client, operator: OperatorProcess
) -> None:
    uid = here.workflow("run", task())["metadata"]["uid"]
    (message,) = await take(client, here, 1)
    before = read_dropped(operator)
    for unknown in ("0b2e3c1a/task/0/1", f"{uid}/nothing/0/1", f"{uid}/task/7/1", f"{uid}/task/0/9"):
        await answer(client, here, unknown, succeed(unknown))
    await answer(client, here, read_id(message), succeed(read_id(message)), namespace="elsewhere")
    await until(lambda: read_dropped(operator) == [count + 1 for count in before], "both were dropped")
    assert here.step("run", "task")["state"] in {"Starting", "Running"}
    await answer(client, here, read_id(message), succeed(read_id(message)), repeats=True)
    here.await_status("Workflow", "run", phase="Succeeded")
    assert here.step("run", "task")["tries"] == 1


def read_dropped(operator: OperatorProcess) -> list[float]:
    """Count the results for which there was no workflow, and those of another namespace."""
    found = {line.split()[0]: float(line.split()[1]) for line in operator.metrics() if not line.startswith("#")}
    name = "vapora_results_dropped_total"
    return [found.get(f'{name}{{cause="{cause}"}}', 0.0) for cause in ("workflow", "namespace")]


async def test_of_two_agents_that_answer_the_same_task_the_first_is_believed(here: Objects, client: Client) -> None:
    here.workflow("run", task(outputs=["by"]), task("next", dependsOn=["task"]))
    (message,) = await take(client, here, 1)
    name = read_id(message)
    await answer(client, here, name, succeed(name, {"by": "the first"}))
    await answer(client, here, name, TaskResult(id=name, outcome="failure").to_json(), repeats=True)
    await acknowledge(client, message)
    (message,) = await take(client, here, 1)
    await answer(client, here, name, succeed(name, {"by": "the third"}), repeats=True)
    await answer(client, here, read_id(message), succeed(read_id(message)))
    await acknowledge(client, message)
    here.await_status("Workflow", "run", phase="Succeeded")
    step = here.step("run", "task")
    assert (step["outputs"], step["tries"]) == ({"by": "the first"}, 1)


async def test_a_task_whose_agent_never_acknowledges_fails_when_nobody_is_left_to_try(
    here: Objects, client: Client, broker: NatsBroker
) -> None:
    await broker.ensure_pool(here.namespace, POOL, max_deliver=2, ack_wait=0.5)
    here.workflow("run", task(retry={"infrastructureAttempts": 1}))
    for _ in range(2):
        await take(client, here, 1)
    # Somebody has to ask for tasks: only then the broker gives this one up.
    async with PullInbox(client, stream=TASKS_STREAM, consumer=consumer_name(here.namespace, POOL)) as idle:
        asking = asyncio.create_task(idle.pull())
        await asyncio.to_thread(here.await_status, "Workflow", "run", phase="Failed")
        asking.cancel()
    step = here.step("run", "task")
    words = "given to agents of pool developer 2 times; none finished it"
    assert (step["reason"], words in step["message"]) == ("Undeliverable", True)


async def test_ten_tasks_at_work_and_none_waiting_show_as_queue_0(here: Objects, client: Client) -> None:
    here.workflow("run", task(forEach={"items": list(range(10)), "maxParallel": 10}), maxParallel=10)
    taken = await take(client, here, 10)
    here.await_status("AgentPool", POOL, queued=0, inFlight=10)
    for message in taken:
        await answer(client, here, read_id(message), succeed(read_id(message)))
        await acknowledge(client, message)
    here.await_status("Workflow", "run", phase="Succeeded")
    here.await_status("AgentPool", POOL, queued=0, inFlight=0)
