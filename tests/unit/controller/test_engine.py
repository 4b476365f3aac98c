"""The engine as a whole, in virtual time: killed at any write, it ends as it would have."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import pytest
from tests.fakes.event_source import FakeEventSource
from tests.fakes.kube_api import FakeKubeApi
from tests.fakes.meter import FakeMeter
from tests.fakes.virtual_time import VirtualClock, in_virtual_time, run_virtually
from tests.unit.controller.builders import build_pod, build_workflow, workflow_key

from vapora.controller.events import EventRecorder
from vapora.controller.executor import Executor
from vapora.controller.informers import ChildInformers
from vapora.controller.intake import Intake
from vapora.controller.orphans import OrphanReconciler
from vapora.controller.pacer import Pacer
from vapora.controller.ports import JsonObject
from vapora.controller.reconcile import Kit, PlannedReconciler
from vapora.controller.resync import Resync
from vapora.controller.runner import Runner
from vapora.controller.store import Store
from vapora.controller.workqueue import WorkQueue
from vapora.controller.writer import StatusWriter
from vapora.core.naming import FINALIZER_ATTEMPT, LABEL_RECORDED
from vapora.core.plan import Create, Event, EventType, Key, Patch, Plan, Problem
from vapora.core.views import PodView

A = workflow_key("a")
LENGTH = 3


@dataclass(frozen=True, slots=True)
class Chain:
    """A workflow of the test: Pods one after the other."""

    workflow: JsonObject
    pods: dict[str, PodView]
    problems: tuple[Problem, ...] = ()


def plan_chain(seen: Chain, now: datetime) -> Plan:
    uid, written = seen.workflow["metadata"]["uid"], seen.workflow.get("status", {})
    done = written.get("done", 0)
    release = tuple(
        Patch(
            pod.meta.key,
            {"metadata": {"uid": pod.meta.uid, "finalizers": None, "labels": {LABEL_RECORDED: "true"}}},
        )
        for name, pod in seen.pods.items()
        if int(name[1:]) < done and pod.meta.finalizers
    )
    current = seen.pods.get(f"p{done}")
    while current is not None and current.is_finished:
        done += 1
        current = seen.pods.get(f"p{done}")
    ended = done == LENGTH
    create = () if ended or current else (Create(build_pod(f"p{done}", owner=uid, finalizers=[FINALIZER_ATTEMPT])),)
    events = (Event(EventType.NORMAL, "Succeeded", "all ended"),) if ended and "phase" not in written else ()
    status = {"done": done, **({"phase": "Succeeded"} if ended else {})}
    return Plan(
        actions=release + create, status=status, events=events, urgent=ended, requeue_after=1.0 if seen.pods else None
    )


class Process:
    """One life of the operator."""

    def __init__(self, api: FakeKubeApi, clock: VirtualClock, lag: float) -> None:
        meter, self.store = FakeMeter(), Store()
        self.queue = WorkQueue(clock, jitter=lambda: 0.0)
        self._source = FakeEventSource(api, lag=lag)
        self._pacer = Pacer(clock, self.queue.add, per_second=10, spare=self.queue.spare)
        self._events = EventRecorder(api, clock, meter, identity="test", spare=self.queue.spare)
        self._intake = Intake(self.store, self.queue, meter)
        self._informers = ChildInformers(self._source, self.store, self.queue, meter)
        self._resync = Resync(api, self.store, self.queue, clock, ["Workflow"])
        writer = StatusWriter(api, self.store, self._pacer, clock)
        kit = Kit(self.store, Executor(api, None, self.store, perform=lambda _: None), writer, self._events, clock)
        reconcilers = {
            "Workflow": PlannedReconciler(self._observe, plan_chain, kit),
            "Pod": OrphanReconciler(api, self.store),
        }
        self._runner = Runner(self.queue, reconcilers, clock=clock, meter=meter, workers=4)
        self._clock = clock

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_workflows())
            group.create_task(self._informers.run())
            group.create_task(self._resync.run())
            while not (self._resync.is_synced and self._informers.is_synced):
                await self._clock.sleep(0.1)
            self._resync.queue_all()
            for work in (self._runner.run, self._pacer.run, self._events.run):
                group.create_task(work())

    async def _watch_workflows(self) -> None:
        await self._source.watch(
            "Workflow",
            "",
            on_object=lambda event, obj: self._intake.take("Workflow", None if event == "LISTED" else event, obj),
            on_deleted=lambda obj: self._intake.take("Workflow", "DELETED", obj),
            on_listed=lambda uids, version: None,
        )

    def _observe(self, key: Key) -> Chain | None:
        workflow = self.store.get(key)
        if workflow is None:
            return None
        children = self.store.children(workflow["metadata"]["uid"])
        return Chain(workflow, {key.name: view for key, view in children.items()})


class World:
    """A cluster, and an operator that is started again whenever it was killed."""

    def __init__(self, *, lag: float = 0.02) -> None:
        self.clock = VirtualClock()
        self.api = FakeKubeApi(self.clock)
        self.lag = lag
        self.created: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        self.kill_at: tuple[int, str] | None = None
        self.api.subscribe(self._run_pods)
        self.api.before = lambda verb, key: self._count(verb, "before")
        self.api.after = lambda verb, key: self._count(verb, "after")

    async def run(self, seconds: float = 60.0) -> None:
        self.api.put(build_workflow("a"))
        async with asyncio.timeout(seconds):
            self._start()
            while not self._is_over():
                await self.clock.sleep(0.1)
        self._life.cancel()
        await asyncio.wait([self._life])

    def _is_over(self) -> bool:
        pods = self.api.all("Pod")
        ended = self.api.find("Workflow", "a").get("status", {}).get("phase") == "Succeeded"
        return ended and not any(pod["metadata"].get("finalizers") for pod in pods)

    def _start(self) -> None:
        self._life = asyncio.ensure_future(Process(self.api, self.clock, self.lag).run())

    def _run_pods(self, change: str, pod: JsonObject, former: JsonObject | None) -> None:
        if change == "ADDED" and pod["kind"] == "Pod":
            name = pod["metadata"]["name"]
            self.created[name] += 1
            asyncio.get_running_loop().call_later(
                0.5, self.api.change, Key("Pod", "default", name), {"status": {"phase": "Succeeded"}}
            )

    async def _count(self, verb: str, when: str) -> None:
        await asyncio.sleep(0.01)
        if verb not in {"create", "patch", "delete"}:
            return
        self.writes[when] += 1
        if self.kill_at == (self.writes[when], when):
            self.kill_at = None
            self._life.cancel()
            asyncio.get_running_loop().call_later(1, self._start)
            await asyncio.Event().wait()


def count_writes() -> int:
    world = World()
    run_virtually(world.run())
    return world.writes["after"]


WRITES = range(1, count_writes() + 1)


@in_virtual_time
async def test_a_chain_runs_to_its_end():
    world = World()
    await world.run()
    assert world.created == {"p0": 1, "p1": 1, "p2": 1}
    assert world.api.find("Workflow", "a")["status"] == {"done": 3, "phase": "Succeeded"}
    assert [event["reason"] for event in world.api.all("Event")] == ["Succeeded"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", WRITES)
@in_virtual_time
async def test_killed_at_any_write_it_ends_the_same_and_makes_no_child_twice(write: int, when: str):
    world = World()
    world.kill_at = (write, when)
    await world.run()
    assert world.kill_at is None
    assert world.created == {"p0": 1, "p1": 1, "p2": 1}
    assert world.api.find("Workflow", "a")["status"] == {"done": 3, "phase": "Succeeded"}


@pytest.mark.parametrize("lag", [0.0, 0.3, 2.0])
@in_virtual_time
async def test_watches_that_lag_make_it_slower_and_nothing_else(lag: float):
    world = World(lag=lag)
    await world.run()
    assert world.created == {"p0": 1, "p1": 1, "p2": 1}
