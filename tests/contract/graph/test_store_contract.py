"""What every store of the knowledge graph keeps."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.fakes.meter import FakeMeter
from tests.unit.learning.builders import NOW, an_execution

from vapora.adapters.clock import SystemClock
from vapora.controller.recording import Recorder
from vapora.core.learning.execution import MAX_COUNT, GraphUnavailable

ROOT = Path(__file__).parents[3]
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@pytest.fixture
async def graph(store, tmp_path):
    opened = store.make(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


async def read_all(graph, pool="shop/developer"):
    return list(await graph.get_agent_executions(pool, 10_000))


async def test_an_execution_comes_back_as_it_was_recorded(graph):
    execution = an_execution(
        item=7, quality=0.75, tokens=1234, model="m", provider="p", cost_cents=42, error_signature="e", trace_id="t"
    )
    await graph.record([execution])
    assert await read_all(graph) == [execution]
    assert graph.problem is None


async def test_a_plain_step_has_no_item(graph):
    await graph.record([an_execution()])
    assert (await read_all(graph))[0].item is None


async def test_recording_nothing_is_allowed(graph):
    await graph.record([])
    assert await graph.count() == 0


async def test_a_repeated_record_replaces_itself(graph):
    await graph.record([an_execution(outcome="failure", reason="TimedOut")])
    await graph.record([an_execution(outcome="success", reason="")])
    assert [(kept.outcome, kept.reason) for kept in await read_all(graph)] == [("success", "")]


async def test_the_same_id_twice_in_one_call_is_kept_once(graph):
    await graph.record([an_execution(tokens=1), an_execution(tokens=2)])
    assert [kept.tokens for kept in await read_all(graph)] == [2]


async def test_a_repeated_record_that_knows_less_takes_nothing_away(graph):
    known = an_execution(
        quality=0.5, tokens=9, model="m", provider="p", cost_cents=4, error_signature="e", trace_id="t"
    )
    await graph.record([known])
    await graph.record([an_execution(pool="", role="", task_type="")])
    assert await read_all(graph) == [known]


async def test_executions_come_newest_first_whatever_the_order_of_recording(graph):
    await graph.record([an_execution(number, days_ago=days) for number, days in [(1, 3), (2, 0), (3, 7), (4, 1)]])
    assert [kept.try_ for kept in await read_all(graph)] == [2, 4, 1, 3]


async def test_executions_of_the_same_moment_come_in_a_fixed_order(graph):
    await graph.record([an_execution(number) for number in (2, 3, 1)])
    assert [kept.try_ for kept in await read_all(graph)] == [3, 2, 1]


async def test_the_limit_keeps_the_latest(graph):
    await graph.record([an_execution(number, days_ago=number) for number in range(1, 151)])
    found = await graph.get_executions_for_task_type("shop/developer", "implementation", 100)
    assert [kept.try_ for kept in found] == list(range(1, 101))


async def test_pools_and_task_types_are_kept_apart(graph):
    await graph.record(
        [
            an_execution(1),
            an_execution(2, task_type="testing"),
            an_execution(3, pool="shop/reviewer"),
            an_execution(4, pool="bank/developer"),
        ]
    )
    of_type = await graph.get_executions_for_task_type("shop/developer", "implementation", 10)
    of_pool = await graph.get_agent_executions("shop/developer", 10)
    assert [kept.try_ for kept in of_type] == [1]
    assert sorted(kept.try_ for kept in of_pool) == [1, 2]
    assert await graph.get_agent_executions("shop/nobody", 10) == []


async def test_executions_of_a_namespace_are_found_by_a_value_and_no_others(graph):
    rows = [an_execution(1), an_execution(2, outcome="failure", item=7), an_execution(3, namespace="bank", item=7)]
    await graph.record([*rows, an_execution(4, days_ago=1)])
    found = [
        await graph.find_executions("shop", *where, 10) for where in (("", ""), ("item", "7"), ("outcome", "x'--"))
    ]
    assert [[kept.try_ for kept in kept_ones] for kept_ones in found] == [[2, 1, 4], [2], []]
    assert [kept.try_ for kept in await graph.find_executions("shop", "outcome", "success", 1)] == [1]


async def test_times_keep_their_moment_in_any_zone(graph):
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    await graph.record([an_execution(started=elsewhere, finished=elsewhere)])
    assert (await read_all(graph))[0].finished == NOW


async def test_claims_out_of_bounds_are_clamped(graph):
    await graph.record([an_execution(quality=float("inf"), tokens=10**30, cost_cents=-1)])
    kept = (await read_all(graph))[0]
    assert (kept.quality, kept.tokens, kept.cost_cents) == (1.0, MAX_COUNT, 0)


CLAIMS = {
    "a time in the future": {"finished": datetime.max.replace(tzinfo=UTC)},
    "a time before there were computers": {"started": datetime.min.replace(tzinfo=UTC), "finished": LONG_AGO},
    "a negative cost": {"cost_cents": -(10**30)},
    "a quality of 7": {"quality": 7.0},
    "text that no database takes": {"message": "a\0\ud800", "model": "m" * 10_000},
}


@pytest.mark.parametrize("claimed", CLAIMS.values(), ids=CLAIMS.keys())
async def test_what_cannot_be_is_recorded_as_what_can_and_counted(graph, claimed):
    meter, clock = FakeMeter(), SystemClock()
    recorder = Recorder(graph, wake=lambda _: None, clock=clock, meter=meter)
    running = asyncio.create_task(recorder.run())
    assert await recorder.record([an_execution(**claimed)], wait=10.0)
    running.cancel()
    (kept,) = await read_all(graph)
    assert datetime(1970, 1, 1, tzinfo=UTC) <= kept.started <= kept.finished <= clock.now()
    assert (kept.cost_cents, kept.quality in {None, 1.0}) == (0, True)
    assert {("clamped", field) for field in claimed} <= meter.seen.keys()
    assert await graph.sum_spend(kept.pool, LONG_AGO) == 0
    assert len(await graph.get_daily_aggregates(None, None, LONG_AGO.date())) == 1


async def test_many_callers_at_once_are_all_recorded(graph):
    await asyncio.gather(*(graph.record([an_execution(number, uid="many")]) for number in range(1500)))
    assert await graph.count() == 1500


async def test_what_is_recorded_is_read_while_others_write(graph):
    async def write():
        for number in range(1, 101):
            await graph.record([an_execution(number, uid="busy", pool="shop/busy")])

    writing = asyncio.create_task(write())
    await graph.record([an_execution()])
    while not writing.done():
        assert len(await read_all(graph)) == 1
    await writing
    assert len(await read_all(graph, "shop/busy")) == 100


async def test_a_store_says_how_large_it_is_if_it_knows(graph, store):
    await graph.record([an_execution()])
    size = await graph.measure()
    assert size is None if store.name == "surreal" else size > 4096


async def test_a_reopened_store_has_everything(store, tmp_path):
    for number in (1, 2):
        graph = store.make(tmp_path)
        await graph.open()
        await graph.record([an_execution(number)])
        await graph.close()
    graph = store.make(tmp_path)
    await graph.open()
    assert await graph.count() == 2
    await graph.close()


async def test_a_store_may_be_opened_again_while_open_and_after_it_was_closed(store, tmp_path):
    graph = store.make(tmp_path)
    for number in (1, 2):
        await graph.open()
        await graph.open()
        await graph.record([an_execution(number)])
        assert await graph.count() == number
        await graph.close()


async def test_a_closed_store_refuses(store, tmp_path):
    graph = store.make(tmp_path)
    await graph.open()
    assert graph.connections >= 1
    await graph.close()
    assert graph.problem
    assert graph.connections == 0
    with pytest.raises(GraphUnavailable):
        await graph.record([an_execution()])


async def test_a_store_that_was_never_opened_refuses_and_closes(store, tmp_path):
    graph = store.make(tmp_path)
    assert graph.problem
    with pytest.raises(GraphUnavailable):
        await graph.record([an_execution()])
    await graph.close()


@pytest.mark.parametrize("delay", [0.05, 0.3])
async def test_what_was_durable_survives_a_killed_writer(store, tmp_path, delay):
    graph = store.make(tmp_path)
    printed = await asyncio.to_thread(run_and_kill, store.name, tmp_path, delay)
    await graph.open()
    kept = {found.id for found in await graph.get_agent_executions("shop/developer", 1_000_000)}
    await graph.close()
    assert printed
    assert set(printed) <= kept


def run_and_kill(store_name, folder, delay):
    """Returns the ids that a writer had reported before it was killed some time after its first."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.contract.graph.writer", store_name, str(folder), "killed"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'operator'}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        first = process.stdout.readline()
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
    lines = (first + rest).split("\n")
    return [line for line in lines[:-1] if line]  # the last one may be cut off
