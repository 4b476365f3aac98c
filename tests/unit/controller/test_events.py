"""The event recorder."""

import asyncio

from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import Engine, build_workflow

from vapora.core.plan import Event, EventType, Key


def normal(reason: str = "Started") -> Event:
    return Event(EventType.NORMAL, reason, "it started")


def warning(message: str = "no such image") -> Event:
    return Event(EventType.WARNING, "Failed", message)


async def send_all(engine: Engine) -> list[dict]:
    task = asyncio.ensure_future(engine.events.run())
    await asyncio.sleep(0.001)
    task.cancel()
    return engine.api.all("Event")


@in_virtual_time
async def test_an_event_names_its_object_and_its_source():
    engine = Engine()
    workflow = engine.add(build_workflow("a"))
    engine.events.emit(workflow, [warning()])
    [event] = await send_all(engine)
    assert event["involvedObject"]["uid"] == workflow["metadata"]["uid"]
    assert event["source"] == {"component": "vapora"}
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "Failed", "no such image")
    assert event["firstTimestamp"] == "2026-01-01T12:00:00Z"


@in_virtual_time
async def test_routine_events_are_limited_to_ten_a_second_over_all_objects():
    engine = Engine()
    workflow = engine.add(build_workflow("a"))
    engine.events.emit(workflow, [normal()] * 50)
    await engine.clock.sleep(0.5)
    engine.events.emit(workflow, [normal()] * 50)
    assert len(await send_all(engine)) == 15
    assert engine.meter.seen["dropped", "rate"] == 85


@in_virtual_time
async def test_warnings_are_sent_whatever_the_rate():
    engine = Engine()
    workflow = engine.add(build_workflow("a"))
    engine.events.emit(workflow, [warning(f"step {n} failed") for n in range(100)])
    assert len(await send_all(engine)) == 100


@in_virtual_time
async def test_the_same_warning_is_told_once_in_ten_minutes():
    engine = Engine()
    workflow = engine.add(build_workflow("a"))
    engine.events.emit(workflow, [warning(), warning()])
    await engine.clock.sleep(601)
    engine.events.emit(workflow, [warning()])
    assert len(await send_all(engine)) == 2


@in_virtual_time
async def test_a_server_that_refuses_events_stops_nothing():
    engine = Engine()
    workflow = engine.add(build_workflow("a"))

    async def refuse_first(verb: str, key: Key) -> None:
        engine.api.before = None
        raise refuse(403, "Forbidden")

    engine.api.before = refuse_first
    engine.events.emit(workflow, [warning("one"), warning("two")])
    assert [event["message"] for event in await send_all(engine)] == ["two"]
    assert engine.meter.seen["dropped", "refused"] == 1


@in_virtual_time
async def test_a_line_that_is_full_drops_and_counts_and_makes_nobody_wait():
    engine = Engine()
    workflow = engine.add(build_workflow("a"))
    engine.events.emit(workflow, [warning(f"step {n} failed") for n in range(2500)])
    assert engine.meter.seen["dropped", "full"] == 500
