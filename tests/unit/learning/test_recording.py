"""The outbox: nothing is lost, nothing waits long, and the workflow is told."""

import asyncio
import contextlib
import time
from datetime import timedelta

import pytest
from tests.fakes.meter import FakeMeter
from tests.unit.learning.builders import an_execution

from vapora.adapters.clock import SystemClock
from vapora.controller.recording import Recorder
from vapora.core.learning.execution import GraphUnavailable, KnownCause
from vapora.core.plan import Key


class MemoryStore:
    """Keeps executions in memory; it can be down, and it can take its time."""

    def __init__(self):
        self.problem = None
        self.rows = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def record(self, executions):
        await self.gate.wait()
        if self.problem is not None:
            raise GraphUnavailable(self.problem)
        self.rows |= {execution.id: execution for execution in executions}

    async def find_known_cause(self, signature, namespace=None):
        await self.gate.wait()
        found = [row for row in self.rows.values() if (row.error_signature, row.namespace) == (signature, namespace)]
        return KnownCause(signature, len(found), found[0].finished, found[-1]) if found else None


@contextlib.asynccontextmanager
async def recording(store, **options):
    woken = []
    recorder = Recorder(store, wake=woken.append, **{"clock": SystemClock(), "meter": FakeMeter(), **options})
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder, woken
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


def key_of(execution):
    return Key("Workflow", execution.namespace, execution.workflow)


async def test_an_execution_is_durable_when_record_says_so():
    store, execution = MemoryStore(), an_execution()
    async with recording(store) as (recorder, woken):
        assert await recorder.record([execution], wait=5.0)
        assert store.rows == {execution.id: execution}
        assert recorder.is_durable(execution.id)
        assert recorder.pending == 0
    assert not woken


async def test_what_waits_for_the_store_is_held_until_it_is_durable():
    store, execution = MemoryStore(), an_execution()
    store.gate.clear()
    async with recording(store) as (recorder, _):
        assert not recorder.holds(execution)
        assert recorder.lag == 0.0
        await recorder.record([execution], wait=0.0)
        assert recorder.holds(execution)
        assert recorder.lag > 0.0
        store.gate.set()
        await until(lambda: recorder.is_durable(execution.id))
        assert recorder.lag == 0.0
        assert not recorder.holds(execution)


async def test_nothing_to_record_is_durable_at_once():
    async with recording(MemoryStore()) as (recorder, _):
        assert await recorder.record([])


async def test_a_slow_store_is_waited_for_no_longer_than_asked_and_wakes_the_workflow_later():
    store, execution = MemoryStore(), an_execution()
    store.gate.clear()
    async with recording(store) as (recorder, woken):
        assert not await recorder.record([execution], wait=0.01)
        assert not recorder.is_durable(execution.id)
        store.gate.set()
        await until(lambda: woken)
        assert recorder.is_durable(execution.id)
    assert woken == [key_of(execution)]


async def test_without_waiting_the_answer_comes_later():
    execution = an_execution()
    async with recording(MemoryStore()) as (recorder, woken):
        assert not await recorder.record([execution], wait=0.0)
        await until(lambda: woken == [key_of(execution)])


async def test_a_store_that_is_down_loses_nothing_and_delays_nobody():
    store = MemoryStore()
    store.problem = "the disk is full"
    executions = [an_execution(number, uid=f"u{number}") for number in range(1200)]
    async with recording(store) as (recorder, woken):
        started = time.monotonic()
        for execution in executions:
            assert not await recorder.record([execution], wait=5.0)
        assert time.monotonic() - started < 5.0
        assert recorder.problem == "the disk is full"
        assert recorder.pending == 1200
        store.problem = None
        await until(lambda: recorder.pending == 0)
        assert recorder.problem is None
    assert set(store.rows) == {execution.id for execution in executions}
    assert sorted(woken) == sorted({key_of(execution) for execution in executions})


async def test_who_waits_when_the_store_goes_down_waits_no_longer():
    store = MemoryStore()
    store.gate.clear()
    async with recording(store) as (recorder, _):
        waiting = asyncio.create_task(recorder.record([an_execution()], wait=60.0))
        await until(lambda: recorder.pending == 1)
        store.problem = "the disk is full"
        store.gate.set()
        async with asyncio.timeout(5.0):
            assert not await waiting


async def test_the_same_execution_handed_over_twice_is_kept_once():
    store = MemoryStore()
    async with recording(store) as (recorder, _):
        for _ in range(2):
            assert await recorder.record([an_execution()], wait=5.0)
    assert len(store.rows) == 1


async def test_what_changes_while_it_is_written_is_written_again():
    store = MemoryStore()
    store.gate.clear()
    async with recording(store) as (recorder, _):
        await recorder.record([an_execution(tokens=1)], wait=0.0)
        await asyncio.sleep(0)
        await recorder.record([an_execution(tokens=2)], wait=0.0)
        store.gate.set()
        await until(lambda: recorder.pending == 0)
    assert [execution.tokens for execution in store.rows.values()] == [2]


async def test_a_full_outbox_refuses_and_wakes_the_workflow_once_there_is_room():
    store = MemoryStore()
    store.problem = "the disk is full"
    first, second = an_execution(uid="first"), an_execution(uid="second")
    async with recording(store, limit=1) as (recorder, woken):
        assert not await recorder.record([first])
        assert not await recorder.record([second])
        assert recorder.pending == 1
        store.problem = None
        await until(lambda: key_of(second) in woken)
        assert await recorder.record([second], wait=5.0)
    assert set(store.rows) == {first.id, second.id}


async def test_what_agents_claim_is_clamped_before_it_is_kept_and_counted():
    store, meter, clock = MemoryStore(), FakeMeter(), SystemClock()
    tomorrow = clock.now() + timedelta(days=1)
    claimed = an_execution(quality=7.0, cost_cents=-3, started=tomorrow, finished=tomorrow)
    async with recording(store, meter=meter, clock=clock) as (recorder, _):
        await recorder.record([claimed, an_execution(2, quality=0.5)], wait=5.0)
    kept, other = store.rows.values()
    assert (kept.quality, kept.cost_cents, other.quality) == (1.0, 0, 0.5)
    assert kept.started <= kept.finished < tomorrow
    assert meter.seen == {("clamped", field): 1 for field in ("started", "finished", "quality", "cost_cents")}


def a_failure(number, **changes):
    return an_execution(number, outcome="failure", reason="ExitCode", error_signature="e-1", **changes)


async def test_what_is_known_of_an_error_in_its_namespace_is_told():
    store = MemoryStore()
    await store.record([a_failure(1), a_failure(1, uid="else", namespace="bank")])
    async with recording(store) as (recorder, _):
        known = await recorder.find_known_causes([failed := a_failure(2), other := an_execution(3)])
    assert known[failed.id].startswith("seen once before")
    assert known[other.id] == ""


async def test_a_slow_or_absent_store_is_not_waited_for_to_explain():
    store = MemoryStore()
    store.gate.clear()
    async with recording(store) as (recorder, _):
        assert await recorder.find_known_causes([a_failure(1)], wait=0.01) == {}
        store.problem = "the disk is full"
        async with asyncio.timeout(5.0):
            assert await recorder.find_known_causes([a_failure(1)], wait=60.0) == {}


@pytest.mark.parametrize(("is_down", "want"), [(False, True), (True, False)])
async def test_draining_says_whether_all_was_handed_over(is_down, want):
    store = MemoryStore()
    store.problem = "the disk is full" if is_down else None
    async with recording(store) as (recorder, _):
        await recorder.record([an_execution()], wait=0.0)
        assert await recorder.drain(0.2 if is_down else 5.0) is want
