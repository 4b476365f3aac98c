"""The ledger: reservations from statuses, sums from the graph, and nothing counted twice for long or not at all."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.fakes.virtual_time import in_virtual_time, run_virtually
from tests.unit.controller.cluster import Cluster, task_of
from tests.unit.learning.builders import an_execution

from vapora.api.agentpool import Budget
from vapora.core.budget.spending import Spend, SpendUnknown
from vapora.core.learning.assignment import PoolView
from vapora.core.plan import Key

POOL = PoolView("default", "developers", "developer", frozenset(), replicas=5, max_concurrent=9, in_flight=0)
W = Key("Workflow", "default", "w")
NOBODY = Key("Workflow", "default", "nobody")


def task(name: str, cents: int = 40, **fields: object) -> dict[str, object]:
    return {"name": name, "agent": {"role": "developer", "title": "work", "maxCostCents": cents}, **fields}


@asynccontextmanager
async def budgeted(cents: int = 100, at_limit: str = "hold") -> AsyncIterator[Cluster]:
    """A cluster whose one pool has a budget, and an operator that takes the statuses it finds for what is reserved."""
    cluster = Cluster()
    budget = Budget.model_validate({"weeklyCents": cents, "atLimit": at_limit})
    cluster.pools = [replace(POOL, budget=budget)]
    async with cluster.operated():
        cluster.operator.ledger.look(Key("AgentPool", "default", "developers"), budget)
        yield cluster


def spend(cluster: Cluster) -> object:
    return cluster.operator.ledger.view(cluster.pools, NOBODY)["developers"]


def reasons(cluster: Cluster) -> Mapping[str, str]:
    return {name: row["reason"] for name, row in cluster.status.get("steps", {}).items() if "reason" in row}


@in_virtual_time
async def test_tasks_reserve_and_their_answers_settle() -> None:
    async with budgeted() as cluster:
        cluster.submit(task("a"), task("b"), task("c"))
        await cluster.until(lambda: len(cluster.broker.tasks) == 2 and reasons(cluster) == {"c": "BudgetExhausted"})
        assert spend(cluster) == Spend(0, 0, 80)
        cluster.answer(task_of(cluster, "a"), costCents=15)
        await cluster.until(lambda: len(cluster.broker.tasks) == 3)
        assert spend(cluster) == Spend(15, 15, 80)
        cluster.answer(task_of(cluster, "b"), costCents=5)
        cluster.answer(task_of(cluster, "c"), costCents=7)
        await cluster.until(lambda: cluster.phase == "Succeeded")
        await cluster.clock.sleep(20)  # the graph was read again
        assert (spend(cluster), cluster.status["costCents"]) == (Spend(27, 27, 0), 27)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(3, 12))
def test_a_kill_at_any_write_neither_loses_nor_doubles_what_was_spent(write: int, when: str) -> None:
    run_virtually(be_killed(write, when))


async def be_killed(write: int, when: str) -> None:
    async with budgeted() as cluster:
        cluster.submit(task("a"), task("b", dependsOn=["a"]), task("c"))
        cluster.kill_at = (cluster.writes + write, when)

        async def work() -> None:
            for name, cents in (("a", 15), ("c", 10), ("b", 20)):
                await cluster.until(lambda name=name: task_of(cluster, name) in cluster.broker.tasks)
                seen = spend(cluster)
                if isinstance(seen, Spend):
                    assert seen.week + seen.reserved <= 100
                cluster.answer(task_of(cluster, name), costCents=cents)

        await asyncio.wait_for(work(), 600)
        await cluster.until(lambda: cluster.phase == "Succeeded")
        await cluster.until(lambda: spend(cluster) == Spend(45, 45, 0))
        await cluster.clock.sleep(20)
        assert (spend(cluster), cluster.status["costCents"]) == (Spend(45, 45, 0), 45)
        assert sum(row.cost_cents for row in cluster.graph.rows.values()) == 45


@in_virtual_time
async def test_after_a_restart_what_is_under_way_is_reserved_before_anything_is_given() -> None:
    async with budgeted() as cluster:
        cluster.submit(task("a"), task("b"), task("c"))
        await cluster.until(lambda: len(cluster.broker.tasks) == 2)
        await cluster.kill()
        cluster.start()
        await cluster.until(lambda: cluster.operator.store.get(W) is not None)
        cluster.operator.ledger.begin()
        await cluster.until(lambda: isinstance(spend(cluster), Spend))
        assert spend(cluster) == Spend(0, 0, 80)
        await cluster.clock.sleep(5)
        assert len(cluster.broker.tasks) == 2


@in_virtual_time
async def test_while_the_graph_is_down_the_spend_is_unknown_and_the_pool_holds() -> None:
    async with budgeted() as cluster:
        await cluster.until(lambda: isinstance(spend(cluster), Spend))
        assert cluster.graph is not None
        cluster.graph.problem = "the disk is full"
        assert spend(cluster) == SpendUnknown("the disk is full")
        cluster.submit({"name": "r", "run": {"image": "x"}}, task("a"))
        await cluster.until(lambda: reasons(cluster) == {"a": "BudgetUnknown"})
        assert cluster.step("r")["state"] == "Starting"
        cluster.graph.problem = None
        await cluster.until(lambda: len(cluster.broker.tasks) == 1)


@in_virtual_time
async def test_what_cannot_be_recorded_is_paid_for_all_the_same() -> None:
    async with budgeted(at_limit="allow") as cluster:
        cluster.submit(task("a"))
        await cluster.until(lambda: len(cluster.broker.tasks) == 1)
        assert cluster.graph is not None
        cluster.graph.problem = "the disk is full"
        cluster.answer(task_of(cluster, "a"), costCents=7)
        await cluster.until(lambda: cluster.phase == "Succeeded")
        await cluster.kill()
        cluster.graph.problem = None
        cluster.start()
        await cluster.until(lambda: spend(cluster) == Spend(7, 7, 0))
        await cluster.clock.sleep(20)
        assert spend(cluster) == Spend(7, 7, 0)


@in_virtual_time
async def test_what_an_agent_says_after_the_end_is_paid_for_once_and_its_answer_is_taken() -> None:
    async with budgeted() as cluster:
        cluster.submit(task("a"))
        await cluster.until(lambda: len(cluster.broker.tasks) == 1)
        cluster.api.change(W, {"metadata": {"annotations": {"vapora.dev/request": "terminate 1"}}})
        await cluster.until(lambda: cluster.phase == "Cancelled")
        cluster.answer(task_of(cluster, "a"), costCents=7)
        await cluster.until(lambda: len(cluster.acknowledged) == 1)
        await cluster.clock.sleep(20)
        assert (spend(cluster), cluster.status["costCents"]) == (Spend(7, 7, 0), 7)


@in_virtual_time
async def test_a_hold_for_an_unknown_spend_ends_when_the_graph_is_back() -> None:
    cluster = Cluster()
    cluster.pools = [replace(POOL, budget=Budget.model_validate({"weeklyCents": 100}))]
    assert cluster.graph is not None
    cluster.graph.problem = "the disk is full"
    async with cluster.operated():
        cluster.submit(task("a"))
        await cluster.until(lambda: reasons(cluster) == {"a": "BudgetUnknown"})
        cluster.graph.problem = None
        await cluster.until(lambda: len(cluster.broker.tasks) == 1)


@in_virtual_time
async def test_a_new_week_begins_with_nothing_spent_and_the_month_goes_on() -> None:
    async with budgeted() as cluster:
        assert cluster.graph is not None
        await cluster.graph.record(
            [replace(an_execution(1, pool="default/developers", cost_cents=90), finished=cluster.clock.now())]
        )
        cluster.operator.ledger.note_kept(list(cluster.graph.rows.values()))
        await cluster.until(lambda: spend(cluster) == Spend(90, 90, 0))
        cluster.submit(task("a"))
        await cluster.until(lambda: reasons(cluster) == {"a": "BudgetExhausted"})
        cluster.clock.skew = timedelta(days=4)
        await cluster.until(lambda: len(cluster.broker.tasks) == 1)
        assert spend(cluster) == Spend(0, 90, 40)
