"""An agent does its work with the rights at the broker that the guide lists, and can do nothing elsewhere with them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import until
from tests.integration.queue.gate import Gate
from tests.integration.queue.tasks import EMPTY, ID, NAMESPACE, POOL, ensure, next_result, publish, until_depth

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent import AgentSettings
from vapora.agent.contract import RESULTS_STREAM, control_subject, result_subject, task_subject
from vapora.core.agentpool.broker import AgentReport

GUIDE = Path(__file__).parents[3] / "docs" / "agents.md"


def read_subjects() -> dict[str, list[str]]:
    """Read the table of subjects in the guide, for the agents of one pool."""
    table = GUIDE.read_text().partition("**What it may do at the broker.**")[2].partition("## ")[0]
    found: dict[str, list[str]] = {}
    verb = ""
    for line in table.splitlines():
        if line.startswith("| ") and "`" in line:
            verb = line.split("|")[1].strip() or verb
            words = [
                word.replace("<namespace>", NAMESPACE).replace("<pool>", POOL) for word in re.findall("`(.+?)`", line)
            ]
            found.setdefault(verb, []).extend(words)
    return found


@pytest.fixture
def guarded() -> Iterator[NatsServer]:
    allowed = json.dumps(read_subjects())
    agent = f"{{user: agent, password: a, permissions: {allowed}}}"
    with NatsServer(settings=f"authorization {{users: [{{user: operator, password: o}}, {agent}]}}\n") as server:
        yield server


def address(server: NatsServer, user: str) -> str:
    return server.url.replace("nats://", f"nats://{user}:{user[0]}@")


@pytest.fixture
async def broker(guarded: NatsServer) -> AsyncIterator[NatsBroker]:
    broker = NatsBroker(address(guarded, "operator"), timeout_seconds=3)
    await broker.connect()
    yield broker
    await broker.close()


async def test_the_rights_that_the_guide_lists_are_all_that_an_agent_needs(
    broker: NatsBroker, guarded: NatsServer
) -> None:
    await ensure(broker)
    gate, reports = Gate(), asyncio.Queue[AgentReport]()
    gate.open.set()
    hearing = asyncio.create_task(broker.follow_agents(lambda *said: reports.put_nowait(said[3])))
    settings = AgentSettings(address(guarded, "agent"), NAMESPACE, POOL, "here")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(gate.agent.serve(settings))
        for number, output in enumerate(("small", "large" * 1000)):
            await publish(broker, f"u/s/{number}/1", input=output)
            assert (await next_result(broker))["output"] == output
        await until_depth(broker, EMPTY)
        while not (await reports.get()).is_draining:
            await broker.drain(NAMESPACE, POOL, ["here"])
        gate.agent.stop()
    hearing.cancel()


async def test_with_them_nothing_can_be_said_for_others(broker: NatsBroker, guarded: NatsServer) -> None:
    await ensure(broker)
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error).lower())

    agent: Client = await nats.connect(address(guarded, "agent"), error_cb=note)
    elsewhere = (result_subject("team-b", ID), task_subject(NAMESPACE, POOL), control_subject(NAMESPACE, POOL))
    for subject in elsewhere:
        await agent.publish(subject, b"{}")
    await agent.flush()
    await until(lambda: len(refused) == len(elsewhere), "all were refused")
    for subject, words in zip(elsewhere, refused, strict=True):
        assert f'permissions violation for publish to "{subject}"' in words
    with pytest.raises(nats.errors.TimeoutError):
        await agent.jetstream(timeout=0.5).get_last_msg(RESULTS_STREAM, result_subject("team-b", ID))
    assert await broker.pending_results() == 0
    await agent.close()
