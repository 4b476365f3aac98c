"""Budgets on a real API server, a real broker and a real store: nothing is overrun, lost or counted twice.

No agent runs: the test takes the tasks as agents do, and says what they cost.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import wait_until
from tests.integration.command_line import DONE, CommandLine
from tests.integration.engine import OperatorProcess, Operators, install_definitions, operators_of
from tests.integration.objects import Json, Objects

from vapora.agent.contract import RESULTS_STREAM, TASKS_STREAM, TaskResult, Tokens, consumer_name, result_subject
from vapora.agent.pull import ACK, PullInbox

POOL = "developer"
PROVIDERS = [
    {"name": "strong", "model": "strong-1", "quality": 0.9, "centsPerMillionTokens": {"input": 300, "output": 900}},
    {"name": "small", "model": "small-1", "quality": 0.3, "centsPerMillionTokens": {"input": 10, "output": 30}},
]


@pytest.fixture
def broker() -> Iterator[NatsServer]:
    """A broker of the test's own: what a killed operator had not acknowledged comes again half a minute later."""
    with NatsServer() as server:
        yield server


@pytest.fixture(scope="module")
def fleet(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Operators]:
    install_definitions(cluster)
    with operators_of(cluster, request) as started:
        yield started


@dataclass
class Site:
    """A namespace with one pool, and the operators that work there one after the other."""

    here: Objects
    fleet: Operators
    broker: NatsServer
    graph: Path
    client: Client
    started: int = 0

    @contextmanager
    def operated(self) -> Iterator[OperatorProcess]:
        """Run an operator while the block lasts, and kill it: kill -9, whatever it does."""
        self.started += 1
        name = f"{self.here.namespace}-{self.started}"
        operator = self.fleet.start(name, "--nats-url", self.broker.url, "--graph-url", f"sqlite://{self.graph}")
        try:
            yield operator
        finally:
            self.fleet.note_metrics()
            operator.process.kill()
            operator.process.wait(10)
            self.fleet.release_lease()

    def make_pool(self, **budget: object) -> None:
        spec = {"role": "worker", "replicas": 1, "maxConcurrent": 50, "template": {"image": "nobody:1"}}
        self.here.create("AgentPool", POOL, {**spec, "budget": budget, "providers": PROVIDERS})
        self.here.kubectl("wait", "--for=condition=Ready", "--timeout=30s", f"agentpool/{POOL}")

    async def take(self, number: int) -> list[Json]:
        """Take so many tasks as an agent does, and acknowledge them: they are only answered later."""
        inbox = PullInbox(self.client, stream=TASKS_STREAM, consumer=consumer_name(self.here.namespace, POOL))
        taken: list[Json] = []
        async with asyncio.timeout(30), inbox:
            while len(taken) < number:
                if message := await inbox.pull():
                    await self.client.publish(message.reply, ACK)
                    taken.append(json.loads(message.data))
        return taken

    async def answer(self, task: Json, cents: float) -> None:
        tokens = Tokens(prompt=800, completion=40)
        result = TaskResult(
            id=task["id"],
            outcome="success",
            cost_cents=cents,
            tokens=tokens,
            model="strong-1",
            llm_seconds=(1.5,),
        )
        subject = result_subject(self.here.namespace, task["id"])
        headers = {"Nats-Msg-Id": task["id"]}
        await self.client.jetstream().publish(subject, result.to_json(), stream=RESULTS_STREAM, headers=headers)

    def await_spend(self, **fields: int) -> None:
        def probe() -> bool:
            spend = self.here.status("AgentPool", POOL).get("spend", {})
            return {name: spend.get(name, 0) for name in fields} == fields

        wait_until(probe, f"the pool's spend is {fields}", within=40)

    def list_waiting(self) -> list[str]:
        """What the steps say that wait for money as it stands once nothing is under way."""
        rows = [self.here.step(f"run-{number}", "task") for number in range(3)]
        held = [str(row["message"]) for row in rows if row.get("reason") == "BudgetExhausted"]
        return [words for words in held if "reserved" not in words]

    def count_recorded(self) -> int:
        with sqlite3.connect(f"file:{self.graph}?mode=ro", uri=True) as connection:
            query = "SELECT coalesce(sum(cost_cents), 0) FROM executions WHERE pool = ?"
            return int(connection.execute(query, (f"{self.here.namespace}/{POOL}",)).fetchone()[0])


@pytest.fixture
async def site(
    cluster: Cluster, namespace: str, fleet: Operators, broker: NatsServer, tmp_path: Path
) -> AsyncIterator[Site]:
    client = await nats.connect(broker.url)
    yield Site(Objects(cluster, namespace), fleet, broker, tmp_path / "graph.db", client)
    await client.close()


def task(cents: int | None = None, **fields: object) -> Json:
    limit = {} if cents is None else {"maxCostCents": cents}
    return {"name": "task", "agent": {"pool": POOL, "title": "do", **limit}, **fields}


async def test_parallel_tasks_of_several_workflows_cannot_overrun_and_the_hold_ends_with_a_larger_budget(
    site: Site,
) -> None:
    here = site.here
    with site.operated():
        site.make_pool(weeklyCents=100)
        for number in range(3):
            here.workflow(f"run-{number}", task(30, forEach={"items": [1, 2]}))
        first = await site.take(3)
        assert {one["budgetCents"] for one in first} == {30}
        site.await_spend(reservedCents=90, weekCents=0)
        for one in first:
            await site.answer(one, 20)
        second = await site.take(1)  # 60 are spent, and 30 of the 40 that are left are reserved
        site.await_spend(reservedCents=30, weekCents=60)
        await site.answer(second[0], 30)
        site.await_spend(reservedCents=0, weekCents=90)
        here.await_said("AgentPool", POOL, "WithinBudget", "True BudgetAlert: 90 of 100 cents are spent this week")
        wait_until(lambda: len(site.list_waiting()) == 1, "one waits and says why")
        assert "has spent 90 of 100 cents this week, and the task may cost" in site.list_waiting()[0]
        for store in ((), ("--store", f"sqlite://{site.graph}")):
            said = CommandLine(here.cluster, here.namespace).call("budget", POOL, "-o", "json", *store)
            week = next(row for row in json.loads(said.out) if row["window"] == "week")
            assert (said.code, week["spentCents"]) == (DONE, 90), said.err
        here.patch("AgentPool", POOL, {"spec": {"budget": {"weeklyCents": 500}}})
        for one in await site.take(2):
            await site.answer(one, 1)
        costs = [here.await_status("Workflow", f"run-{number}", phase="Succeeded")["costCents"] for number in range(3)]
        assert sum(costs) == 92


async def test_between_80_and_100_percent_the_cheaper_provider_is_used(site: Site) -> None:
    here = site.here
    with site.operated():
        site.make_pool(weeklyCents=100)
        here.workflow("dear", task(85))
        (one,) = await site.take(1)
        assert one["provider"] == {"name": "strong", "model": "strong-1"}
        await site.answer(one, 85)
        here.await_status("Workflow", "dear", phase="Succeeded")
        here.workflow("cheap", task(5))
        (one,) = await site.take(1)
        assert one["provider"] == {"name": "small", "model": "small-1"}
        said = here.step("cheap", "task")["assignment"]
        assert "small is the cheapest" in said["providerReason"]
        await site.answer(one, 1)
        here.await_status("Workflow", "cheap", phase="Succeeded", costCents=1)


async def test_while_the_store_is_down_the_spend_is_unknown_and_a_pool_that_holds_waits(site: Site) -> None:
    here = site.here
    site.graph = site.graph.parent / "missing" / "graph.db"
    with site.operated():
        site.make_pool(weeklyCents=100)
        here.await_said("AgentPool", POOL, "WithinBudget", "Unknown BudgetUnknown: ")
        here.workflow("run", task(10))
        wait_until(lambda: here.step("run", "task").get("reason") == "BudgetUnknown", "it waits")
        here.patch("AgentPool", POOL, {"spec": {"budget": {"atLimit": "cheaper"}}})
        (one,) = await site.take(1)
        await site.answer(one, 4)
        here.await_status("Workflow", "run", phase="Succeeded")
        site.graph.parent.mkdir()
        here.await_said("AgentPool", POOL, "WithinBudget", "True WithinBudget: 4 of 100", within=40)


async def test_kill_9_between_reserving_and_settling_loses_and_doubles_nothing(site: Site) -> None:
    here = site.here
    with site.operated():
        site.make_pool(weeklyCents=100)
        for name in ("first", "second", "third"):
            here.workflow(name, task(40))
        taken = await site.take(2)
        site.await_spend(reservedCents=80)
    await site.answer(taken[0], 25)
    with site.operated():
        (last,) = await site.take(1)
        assert last["budgetCents"] == 35, "what is left beside the task that was given before the kill"
        site.await_spend(weekCents=25, reservedCents=75)
    await site.answer(taken[1], 10)
    await site.answer(last, 5)
    with site.operated():
        for name in ("first", "second", "third"):
            here.await_status("Workflow", name, phase="Succeeded", within=40)
        site.await_spend(weekCents=40, reservedCents=0)
        wait_until(lambda: site.count_recorded() == 40, "the graph has what was spent")
