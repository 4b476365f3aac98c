"""One life of the operator: the engine as it is composed for a cluster, on ports that the simulation holds."""

import asyncio
import functools
import operator
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from tests.fakes.kube_objects import KubeObjects, key_of
from tests.simulation.broker import Broker, BrokerPort
from tests.simulation.graph import Graph, GraphPort
from tests.simulation.loop import SimulatedLoop
from tests.simulation.outside import CallerPort, Outside
from tests.simulation.watches import Watches

from vapora import composition
from vapora.api.kinds import KINDS
from vapora.composition import Fleet, FleetMeter
from vapora.controller import agentpool, runs, workflowtemplate
from vapora.controller.collect import Collector
from vapora.controller.events import EventRecorder
from vapora.controller.executor import Executor
from vapora.controller.informers import ChildInformers
from vapora.controller.intake import Intake
from vapora.controller.learning_meter import LearningMeter
from vapora.controller.pacer import Pacer
from vapora.controller.performer import Performer
from vapora.controller.ports import ApiError, JsonObject
from vapora.controller.providergate import ProviderGate
from vapora.controller.reconcile import Kit
from vapora.controller.resync import Resync
from vapora.controller.runner import Runner
from vapora.controller.store import Store
from vapora.controller.workqueue import WorkQueue
from vapora.controller.writer import StatusWriter
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.triggers import Probe, TriggerUnreadable
from vapora.core.calls import Account
from vapora.core.gpu.detector import Detector
from vapora.core.plan import Key
from vapora.core.workflow import definition
from vapora.core.workflow.definition import compute_digest
from vapora.settings import Settings

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
POOLS = ["developers", "masters"]
_WATCHED = ("Workflow", "WorkflowTemplate", "AgentPool")
_SETTINGS = Settings(workers=2, identity="simulated", progress_writes_per_second=1.0)

# All are pure and cost much: what was read once is remembered.


class _NoTriggers:
    """Is TriggerReader where no pool follows anything outside."""

    async def read(self, account: Account, probe: Probe) -> QueueDepth:
        raise TriggerUnreadable(f"{probe.trigger} of {account.namespace} is not simulated")


class _Memory:
    """Keeps what was read of the last few documents, which nobody changes in place."""

    def __init__(self, read: Callable[..., object]) -> None:
        self._read = read
        self._known: list[tuple[tuple[object, ...], str, object]] = []

    def __call__(self, *raw: object) -> object:
        for known, _, result in self._known:
            if all(map(operator.is_, known, raw)):
                return result
        digest = compute_digest(raw)
        result = next((result for _, known, result in self._known if known == digest), None) or self._read(*raw)
        self._known = [(raw, digest, result), *self._known[:15]]
        return result


composition.load_vocabulary = functools.cache(composition.load_vocabulary)
composition.load_task_types = functools.cache(composition.load_task_types)
composition.load_provider_types = functools.cache(composition.load_provider_types)
agentpool.read_pool_spec = _Memory(agentpool.read_pool_spec)  # type: ignore[assignment]
runs.read_definition = _Memory(runs.read_definition)  # type: ignore[assignment]
workflowtemplate.read_template = _Memory(workflowtemplate.read_template)  # type: ignore[assignment]
workflowtemplate.resolve_template = _Memory(workflowtemplate.resolve_template)  # type: ignore[assignment]
definition.compile_expression = functools.lru_cache(4096)(definition.compile_expression)
_DETECTOR = Detector(composition.load_vocabulary())
composition.Detector = lambda _: _DETECTOR  # type: ignore[assignment,misc]


class Around(Protocol):
    """Lets the weather act on a request: it takes time, is refused, loses its answer, or is the last of its life."""

    async def __call__(self, life: "Life", verb: str, kind: str, when: str) -> None: ...


class SkewedClock:
    """Is Clock; its wall clock may be wrong."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.skew = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time() + self.skew)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ApiPort:
    """Is KubeApi for one life of the operator."""

    def __init__(self, objects: KubeObjects, around: Callable[[str, str, str], Awaitable[None]]) -> None:
        self._objects = objects
        self._around = around

    async def get(self, key: Key) -> JsonObject:
        await self._around("get", key.kind, "before")
        return self._objects.read(key)

    async def read_log(self, pod: Key, *, container: str, lines: int) -> str:
        await self._around("get", pod.kind, "before")
        self._objects.read(pod)
        return ""

    async def create(self, manifest: Mapping[str, object], *, is_dry_run: bool = False) -> JsonObject:
        kind = str(manifest["kind"])
        if kind == "Event":
            return {}
        if is_dry_run:
            raise ApiError("approval.vapora.dev/: the policy forbids it", status=422, reason="Invalid")
        await self._around("create", kind, "before")
        created = self._objects.create(manifest)
        await self._around("create", kind, "after")
        return created

    async def apply(
        self, manifest: Mapping[str, object], *, manager: str = "vapora", force: bool = False
    ) -> JsonObject:
        kind = key_of(manifest).kind
        await self._around("patch", kind, "before")
        applied = self._objects.apply(manifest)
        await self._around("patch", kind, "after")
        return applied

    async def patch(self, key: Key, body: Mapping[str, object], *, subresource: str | None = None) -> JsonObject:
        await self._around(f"patch {subresource}" if subresource else "patch", key.kind, "before")
        patched = self._objects.patch(key, body, subresource=subresource)
        await self._around("patch", key.kind, "after")
        return patched

    async def delete(self, key: Key, *, uid: str | None = None, version: int = 0) -> None:
        await self._around("delete", key.kind, "before")
        self._objects.delete(key, uid=uid, version=version)
        await self._around("delete", key.kind, "after")

    async def delete_collection(self, kind: str, namespace: str, *, selector: str) -> None:
        await self._around("deletecollection", kind, "before")
        self._objects.delete_collection(kind, namespace, selector=selector)
        await self._around("deletecollection", kind, "after")

    async def list(
        self, kind: str, *, selector: str = "", fields: str = "", namespace: str = "", metadata_only: bool = False
    ) -> AsyncIterator[JsonObject]:
        await self._around("list", kind, "before")
        for obj in list(self._objects.select(kind, selector)):
            if namespace in ("", obj["metadata"].get("namespace")):
                yield obj


class _Meter(FleetMeter, LearningMeter):
    """Hears everything; nobody asks it."""


class Life:
    """Is the operator from its start to its end. `is_dead` from its kill on: nothing of it reaches the outside."""

    def __init__(
        self,
        loop: SimulatedLoop,
        objects: KubeObjects,
        broker: Broker,
        graph: Graph,
        outside: Outside,
        watches: Watches,
        around: Around,
    ) -> None:
        async def through(verb: str, kind: str, when: str) -> None:
            await around(self, verb, kind, when)

        async def to_broker(verb: str, when: str) -> None:
            await around(self, verb, "broker", when)

        async def to_outside(verb: str, when: str) -> None:
            await around(self, verb, "outside", when)

        self.is_dead = False
        self.has_led = False
        self.clock = clock = SkewedClock(loop)
        self.watches = watches
        api, meter = ApiPort(objects, through), _Meter()
        self.store, self.queue = store, queue = Store(), WorkQueue(clock, lambda: 0.5)
        queue.close()
        self._pacer = Pacer(clock, queue.add, per_second=_SETTINGS.progress_writes_per_second, spare=queue.spare)
        self._events = EventRecorder(api, clock, meter, identity=_SETTINGS.identity, spare=queue.spare)
        self._collector = Collector(api, clock)
        port, caller = BrokerPort(broker, to_broker, POOLS), CallerPort(outside, to_outside)
        self._fleet = self._build_fleet(api, port, caller, GraphPort(graph), meter)
        self._controllers = self._fleet.build(api)
        self._runner = Runner(queue, self._controllers.reconcilers, clock=clock, meter=meter, workers=_SETTINGS.workers)
        self._intake = Intake(store, queue, meter)
        self._informers = ChildInformers(watches, store, queue, meter)
        self._resync = Resync(api, store, queue, clock, [kind.name for kind in KINDS])
        self._task: asyncio.Task[None] | None = None

    def _build_fleet(
        self, api: ApiPort, broker: BrokerPort, caller: CallerPort, graph: GraphPort, meter: _Meter
    ) -> Fleet:
        store, queue, clock = self.store, self.queue, self.clock
        gate = ProviderGate(caller, caller, store, clock, queue.add)
        performer = Performer(gate, wake=self._wake)
        kit = Kit(
            store=store,
            executor=Executor(api, broker, store, wake=queue.add, perform=performer.perform),
            writer=StatusWriter(api, store, self._pacer, clock),
            events=self._events,
            clock=clock,
        )
        return Fleet(
            _SETTINGS,
            kit,
            api,
            queue,
            meter=meter,
            tracer=None,
            learning_meter=meter,
            broker=broker,
            graph=graph,
            performer=performer,
            gate=gate,
            collector=self._collector,
            triggers=_NoTriggers(),
            jitter=lambda: 0.5,
        )

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def kill(self) -> None:
        """Ends it as kill -9 does: no word of it reaches the outside any more."""
        if not self.is_dead:
            self.is_dead = True
            self.watches.close()
            if self._task is not None:
                self._task.cancel()

    async def stop(self) -> None:
        """Ends it as SIGTERM does: what is under way may still arrive."""
        if self._task is not None and not self.is_dead:
            self._task.cancel()
            await asyncio.wait([self._task])
            self.kill()

    def find_crash(self) -> BaseException | None:
        """Returns what ended it although nobody asked for that."""
        if self.is_dead or self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    def _wake(self, uid: str) -> None:
        if (key := self.store.key_of(uid)) is not None:
            self.queue.add(key)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for kind in _WATCHED:
                group.create_task(self._watch(kind))
            group.create_task(self._informers.run())
            group.create_task(self._resync.run())
            await self._lead()

    async def _watch(self, kind: str) -> None:
        """Reports a kind of ours as the frame does: after a loss it never says what was deleted meanwhile."""
        await self.watches.watch(
            kind,
            "",
            on_object=lambda event, obj: self._intake.take(kind, None if event == "LISTED" else event, obj),
            on_deleted=lambda obj: self._intake.take(kind, "DELETED", obj),
            on_listed=lambda _uids, _version: None,
        )

    async def _lead(self) -> None:
        while not (self._resync.is_synced and self._informers.is_synced):
            await self.clock.sleep(0.1)
        await self._fleet.prepare()
        async with asyncio.TaskGroup() as group:
            beside = (self._pacer.run, self._events.run, self._collector.run, *self._controllers.while_leading)
            for work in beside:
                group.create_task(_start(work))
            await self._fleet.drain_results()
            self.queue.open()
            self._resync.queue_all()
            self.has_led = True
            group.create_task(self._runner.run())


async def _start(work: Callable[[], Awaitable[None]]) -> None:
    await work()
