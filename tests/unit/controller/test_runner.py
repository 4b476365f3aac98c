"""The workers, and one reconcile from look to event."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pytest
from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time, settle
from tests.unit.controller.builders import Engine, build_pod, build_workflow, workflow_key

from vapora.controller.ports import Conflict, JsonObject
from vapora.controller.reconcile import PlannedReconciler
from vapora.controller.runner import Retryable, Runner, Terminal
from vapora.core.plan import Create, Event, EventType, Key, Plan, Problem

A = workflow_key("a")


class Scripted:
    """A reconciler that goes through a list of outcomes and notes when."""

    def __init__(self, engine: Engine, *outcomes: Exception | float | None) -> None:
        self._engine = engine
        self._outcomes = list(outcomes)
        self.looks: list[float] = []

    async def reconcile(self, key: Key) -> float | None:
        self.looks.append(round(self._engine.clock.monotonic(), 3))
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def work(engine: Engine, reconciler: object, seconds: float = 3600, workers: int = 4) -> None:
    runner = Runner(engine.queue, {"Workflow": reconciler}, clock=engine.clock, meter=engine.meter, workers=workers)
    task = asyncio.ensure_future(runner.run())
    await engine.clock.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])


OUTCOMES = {
    "a success is not looked at again": ([None], [0.0], "success"),
    "a success that names a time is looked at then": ([30.0], [0.0, 30.0], "success"),
    "a retryable problem comes back after its backoff": (
        [Retryable("x"), Retryable("x")],
        [0.0, 0.005, 0.015],
        "retry",
    ),
    "an API refusal comes back after its backoff": ([refuse(503)], [0.0, 0.005], "retry"),
    "a conflict comes back at once": ([Conflict("x", status=409)], [0.0, 0.005], "conflict"),
    "a terminal problem is not tried again": ([Terminal("x")], [0.0], "terminal"),
    "a defect is counted and comes back": ([ValueError("bug")], [0.0, 0.005], "error"),
}


@pytest.mark.parametrize("case", OUTCOMES)
@in_virtual_time
async def test_the_outcome_decides_the_next_look(case: str):
    outcomes, looks, result = OUTCOMES[case]
    logging.disable(logging.CRITICAL)
    engine = Engine()
    scripted = Scripted(engine, *outcomes)
    engine.queue.add(A)
    await work(engine, scripted)
    logging.disable(logging.NOTSET)
    assert scripted.looks == looks
    assert engine.meter.seen["reconciled", "Workflow", result] >= 1


@in_virtual_time
async def test_a_defect_in_one_object_does_not_stop_the_others():
    engine = Engine()
    seen: set[str] = set()

    class Broken:
        async def reconcile(self, key: Key) -> None:
            if key == A:
                raise RuntimeError("bug")
            seen.add(key.name)

    for name in "abc":
        engine.queue.add(workflow_key(name))
    await work(engine, Broken(), seconds=1, workers=1)
    assert seen == {"b", "c"}


@in_virtual_time
async def test_a_kind_that_nobody_reconciles_is_left_alone():
    engine = Engine()
    engine.queue.add(Key("Provider", "default", "p"))
    await work(engine, Scripted(engine))
    assert engine.meter.seen["reconciled", "Provider", "ignored"] == 1


@in_virtual_time
async def test_no_reconcile_is_left_running_when_the_workers_are_stopped():
    engine = Engine()
    running = 0

    class Slow:
        async def reconcile(self, key: Key) -> None:
            nonlocal running
            running += 1
            try:
                await asyncio.sleep(10)
            finally:
                running -= 1

    for name in "abcdef":
        engine.queue.add(workflow_key(name))
    await work(engine, Slow(), seconds=5)
    assert running == 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the test's reconciler observes."""

    workflow: JsonObject
    problems: tuple[Problem, ...] = ()


def build_reconciler(engine: Engine, plan: Callable[[Seen, datetime], Plan]) -> PlannedReconciler[Seen]:
    def observe(key: Key) -> Seen | None:
        workflow = engine.store.get(key)
        return Seen(workflow) if workflow else None

    return PlannedReconciler(observe, plan, engine.kit)


STARTED = Event(EventType.NORMAL, "Started", "it started")


def plan_pod(seen: Seen, now: datetime) -> Plan:
    if seen.problems:
        return Plan(status={"phase": "Failed", "reason": seen.problems[0].reason})
    manifest = build_pod("p", owner=seen.workflow["metadata"]["uid"])
    return Plan(actions=(Create(manifest),), status={"phase": "Running"}, events=(STARTED,), requeue_after=60)


@in_virtual_time
async def test_a_reconcile_acts_then_writes_the_status_then_tells():
    engine = Engine()
    engine.add(build_workflow("a"))
    assert await build_reconciler(engine, plan_pod).reconcile(A) == 60
    assert engine.api.find("Pod", "p") is not None
    assert engine.status("a") == {"phase": "Running"}


@in_virtual_time
async def test_a_refused_action_is_said_in_the_status_and_tried_again():
    engine = Engine()
    engine.add(build_workflow("a"))

    async def refuse_pods(verb: str, key: Key) -> None:
        if key.kind == "Pod":
            raise refuse(500, "InternalError")

    engine.api.before = refuse_pods
    with pytest.raises(Retryable):
        await build_reconciler(engine, plan_pod).reconcile(A)
    assert engine.status("a") == {"phase": "Failed", "reason": "InternalError"}


@in_virtual_time
async def test_a_permanent_refusal_is_said_in_the_status_and_not_tried_again():
    engine = Engine()
    engine.add(build_workflow("a"))

    async def refuse_pods(verb: str, key: Key) -> None:
        if key.kind == "Pod":
            raise refuse(422, "Invalid")

    engine.api.before = refuse_pods
    assert await build_reconciler(engine, plan_pod).reconcile(A) is None
    assert engine.status("a") == {"phase": "Failed", "reason": "Invalid"}


@in_virtual_time
async def test_a_transition_is_told_only_once_its_status_is_written():
    engine = Engine()
    engine.add(build_workflow("a"))

    def plan(seen: Seen, now: datetime) -> Plan:
        has_run = "status" in seen.workflow
        return Plan(status={"phase": "Running"}, events=() if has_run else (STARTED,), urgent=False)

    reconciler = build_reconciler(engine, plan)
    tasks = [asyncio.ensure_future(engine.pacer.run()), asyncio.ensure_future(engine.events.run())]
    engine.queue.add(A)
    work_task = asyncio.ensure_future(work(engine, reconciler, seconds=5))
    await settle()
    assert engine.api.all("Event") == []
    await work_task
    assert [event["reason"] for event in engine.api.all("Event")] == ["Started"]
    for task in tasks:
        task.cancel()


@in_virtual_time
async def test_an_object_that_is_gone_is_left_alone():
    engine = Engine()
    assert await build_reconciler(engine, plan_pod).reconcile(A) is None
    assert engine.api.all("Pod") == []
