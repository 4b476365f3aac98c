"""The gate to Providers: the limits hold at the far end, whoever asks, and over a restart."""

import asyncio

import pytest
from tests.fakes.virtual_time import in_virtual_time, settle
from tests.unit.providers.gate import ACCOUNT, DEFAULT, Gated, count_busiest_second, refs

from vapora.core.calls import HttpCall
from vapora.core.plan import Key

WORKFLOW = Key("Workflow", "team", "a")


async def operate_all(world: Gated, workflows: int, items: int) -> None:
    for name in range(workflows):
        world.run(f"w{name}", *range(items))
    async with asyncio.TaskGroup() as group:
        for name in range(workflows):
            for item in range(items):
                group.create_task(world.operate(f"w{name}", item))


@pytest.mark.parametrize("slowest", [0.0, 0.05, 0.9])
@pytest.mark.parametrize("seed", [1, 2, 3])
@in_virtual_time
async def test_the_far_end_never_sees_more_than_ten_requests_in_a_second_nor_five_at_once(
    slowest: float, seed: int
) -> None:
    world = Gated(slowest=slowest, seed=seed)
    await operate_all(world, workflows=6, items=8)
    assert len(world.end.arrivals) == 6 * 8 * 4
    assert count_busiest_second(world.end.arrivals) <= 10
    assert world.end.most <= 5
    assert world.gate.count(DEFAULT) == (0, 0, 48)


@in_virtual_time
async def test_quick_answers_let_nearly_all_of_the_rate_be_used() -> None:
    world = Gated(slowest=0.01)
    await operate_all(world, workflows=2, items=10)
    took = world.end.arrivals[-1] - world.end.arrivals[0]
    assert len(world.end.arrivals) / took > 9


@in_virtual_time
async def test_an_operation_keeps_its_place_until_its_step_has_ended() -> None:
    world = Gated(batchSize=1)
    world.run("a", 0, 1)
    await world.ask("a", 0)
    second = asyncio.create_task(world.ask("a", 1))
    await asyncio.sleep(60)
    world.gate.settle(WORKFLOW)
    assert (second.done(), world.gate.count(DEFAULT)) == (False, (1, 1, 0))
    world.run("a", 1)
    world.gate.settle(WORKFLOW)
    await second
    assert world.gate.count(DEFAULT) == (1, 0, 1)


@in_virtual_time
async def test_a_try_that_waits_for_the_next_one_has_no_place() -> None:
    world = Gated(batchSize=1)
    world.run("a", 0)
    await world.ask("a", 0)
    world.run("a", 0, state="Retrying")
    world.gate.settle(WORKFLOW)
    assert world.gate.count(DEFAULT) == (0, 0, 1)


@in_virtual_time
async def test_a_workflow_that_is_gone_frees_its_places() -> None:
    world = Gated(batchSize=1)
    world.run("a", 0)
    await world.ask("a", 0)
    world.store.remove(WORKFLOW, "uid-a")
    world.gate.settle(WORKFLOW)
    assert world.gate.count(DEFAULT) == (0, 0, 1)


@in_virtual_time
async def test_another_leader_knows_who_has_a_place_and_asks_nothing_in_its_first_second() -> None:
    world = Gated(batchSize=2)
    world.run("a", 0, 1, held=True)
    world.run("b", 0)
    await asyncio.sleep(5)
    world.restart()
    began = world.clock.monotonic()
    assert world.gate.count(DEFAULT) == (2, 0, 0)
    waiting = asyncio.create_task(world.ask("b", 0))
    await world.ask("a", 0)
    assert world.end.arrivals[0] >= began + 1
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert world.gate.count(DEFAULT) == (2, 0, 0)


@in_virtual_time
async def test_raised_limits_let_in_who_waits() -> None:
    world = Gated(batchSize=1)
    world.run("a", 0, 1, 2)
    tasks = [asyncio.create_task(world.ask("a", item)) for item in range(3)]
    await asyncio.sleep(5)
    assert world.gate.count(DEFAULT) == (1, 2, 0)
    world.provide(batchSize=3)
    world.gate.admit(DEFAULT)
    await asyncio.gather(*tasks)
    assert world.gate.count(DEFAULT) == (3, 0, 0)


@in_virtual_time
async def test_a_call_of_many_objects_is_as_many_requests() -> None:
    world = Gated(requestsPerSecond=3)
    world.run("a", 0)
    answer = await world.ask("a", 0, refs(7))
    assert (len(answer.value), len(world.end.arrivals)) == (7, 7)  # type: ignore[arg-type]
    assert count_busiest_second(world.end.arrivals) <= 3
    assert (await world.ask("a", 0, refs(0))).value == []


@in_virtual_time
async def test_other_calls_are_made_at_once() -> None:
    world = Gated(slowest=0, requestsPerSecond=1)
    for _ in range(20):
        await world.gate.call(HttpCall("GET", "http://x.example", key="k"), ACCOUNT)
    await settle()
    assert world.end.arrivals == [0.0] * 20
