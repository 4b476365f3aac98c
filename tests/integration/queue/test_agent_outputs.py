"""What agents hand back: large outputs, outputs that are not what was asked for, outputs of commands."""

import hashlib
import json

import pytest
from nats.aio.client import Client
from tests.cluster.nats import NatsServer
from tests.integration.queue.gate import Gate, serving
from tests.integration.queue.tasks import EMPTY, ID, NAMESPACE, answer, ensure, next_result, publish, until_depth

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent import Agent, build_command_agent
from vapora.agent.contract import RESULTS_STREAM, TaskResult, outputs_bucket, result_subject


def opened() -> Agent:
    """Return an agent that gives its input back."""
    gate = Gate()
    gate.open.set()
    return gate.agent


async def read_sent(client: Client, task_id: str = ID) -> dict[str, object]:
    """Return a result as it stands in the stream."""
    subject = result_subject(NAMESPACE, task_id)
    message = await client.jetstream().get_last_msg(RESULTS_STREAM, subject)
    sent: dict[str, object] = json.loads(message.data or b"")
    return sent


@pytest.mark.parametrize("size", [5_000, 900_000])
async def test_a_large_output_travels_beside_its_result(
    broker: NatsBroker, server: NatsServer, client: Client, size: int
) -> None:
    await ensure(broker)
    large = {"text": "x" * size}
    async with serving(build_command_agent(["sh", "-c", f"cat > /dev/null; {print_large(size)}"]), server):
        await publish(broker)
        assert (await next_result(broker))["output"] == large
        await until_depth(broker, EMPTY)
    sent = await read_sent(client)
    digest = hashlib.sha256(json.dumps(large, separators=(",", ":")).encode()).hexdigest()
    assert (sent.get("output"), sent["outputRef"]) == (None, f"sha256:{digest}")


def print_large(size: int) -> str:
    return f"""printf '{{"text":"%s"}}' "$(head -c {size} /dev/zero | tr '\\0' x)" """


async def test_a_small_output_travels_in_its_result(broker: NatsBroker, server: NatsServer, client: Client) -> None:
    await ensure(broker)
    async with serving(opened(), server):
        await publish(broker, input={"text": "x" * 1_000})
        assert (await next_result(broker))["output"] == {"text": "x" * 1_000}
    assert "outputRef" not in await read_sent(client)


async def test_the_same_output_is_kept_once(broker: NatsBroker, server: NatsServer, client: Client) -> None:
    await ensure(broker)
    async with serving(opened(), server):
        for number in range(3):
            await publish(broker, f"u/s/{number}/1", input="x" * 5_000)
            assert (await next_result(broker))["output"] == "x" * 5_000
    store = await client.jetstream().object_store(outputs_bucket(NAMESPACE))
    assert len(await store.list()) == 1


LOST = {
    "a reference to nothing": f"sha256:{'0' * 64}",
    "a reference that is none": "somewhere else",
}


@pytest.mark.parametrize("reference", LOST.values(), ids=LOST.keys())
async def test_an_output_that_is_not_there_is_a_failure(broker: NatsBroker, client: Client, reference: str) -> None:
    await ensure(broker)
    await answer(client, data=TaskResult(id=ID, outcome="success", output_ref=reference).to_json())
    result = await next_result(broker)
    assert (result["outcome"], result["error"]["code"]) == ("failure", "OutputLost")


async def test_an_output_that_was_changed_is_a_failure(broker: NatsBroker, client: Client) -> None:
    await ensure(broker)
    store = await client.jetstream().object_store(outputs_bucket(NAMESPACE))
    await store.put("0" * 64, b'"another"')
    await answer(client, data=TaskResult(id=ID, outcome="success", output_ref=f"sha256:{'0' * 64}").to_json())
    result = await next_result(broker)
    assert (result["outcome"], result["error"]["code"]) == ("failure", "OutputLost")


async def test_an_output_that_does_not_meet_the_schema_is_a_failure(broker: NatsBroker, server: NatsServer) -> None:
    await ensure(broker)
    async with serving(opened(), server):
        await publish(broker, input={"approved": "yes"}, outputSchema={"properties": {"approved": {"type": "boolean"}}})
        result = await next_result(broker)
    assert result["error"] == {
        "code": "OutputInvalid",
        "message": "output.approved: 'yes' is not of type 'boolean'",
        "retryable": True,
    }
