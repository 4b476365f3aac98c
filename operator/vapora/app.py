"""The composition root: builds the operator's parts, runs them together, and ends them together."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version

from vapora.adapters.clock import SystemClock
from vapora.adapters.graph_url import build_graph
from vapora.adapters.http_server import serve
from vapora.adapters.kopf_frame import KopfFrame
from vapora.adapters.kube_client import TRIES, KubernetesApi
from vapora.adapters.kube_config import Credentials, load_configuration, read_credentials
from vapora.adapters.kube_informer import KubeInformer
from vapora.adapters.learning_metrics import LearningMetrics
from vapora.adapters.metered_graph import MeteredGraph
from vapora.adapters.metrics import Metrics
from vapora.adapters.nats_broker import NatsBroker
from vapora.adapters.otlp import build_tracer
from vapora.api.kinds import KINDS
from vapora.composition import Callers, Fleet
from vapora.controller.census import Census
from vapora.controller.collect import Collector
from vapora.controller.definitions import find_obstacle
from vapora.controller.events import EventRecorder
from vapora.controller.executor import Executor
from vapora.controller.informers import ChildInformers
from vapora.controller.intake import Intake
from vapora.controller.jumps import JumpWatch
from vapora.controller.leader import Elector
from vapora.controller.milestones import Tracer
from vapora.controller.pacer import Pacer
from vapora.controller.performer import Performer
from vapora.controller.ports import KnowledgeGraph, TriggerReader
from vapora.controller.providergate import ProviderGate
from vapora.controller.reconcile import Kit
from vapora.controller.resync import EVERY, Resync
from vapora.controller.runner import Runner
from vapora.controller.store import Store
from vapora.controller.workqueue import WorkQueue
from vapora.controller.writer import StatusWriter
from vapora.core.plan import Key
from vapora.core.views import child, text
from vapora.settings import Settings

log = logging.getLogger(__name__)

_POLL = 0.1
_COLLECT = (10_000, 20, 50)
_LATE_RESYNC = 3 * EVERY


class CannotStart(Exception):
    """The cluster is not as this operator needs it."""


class _Ended(Exception):
    """A signal asked the operator to end."""


class Operator:
    """Is the operator within its event loop, over a connection to a cluster."""

    def __init__(
        self,
        settings: Settings,
        api: KubernetesApi,
        lease_api: KubernetesApi,
        callers: Callers,
        graph: KnowledgeGraph | None,
        metrics: Metrics,
        tracer: Tracer | None,
        learning_metrics: LearningMetrics,
        credentials: Callable[[], Awaitable[Credentials]],
    ) -> None:
        self._settings = settings
        self._metrics, self._learning_metrics, self._tracer = metrics, learning_metrics, tracer
        self._clock = clock = SystemClock()
        self._store = store = Store()
        self._queue = queue = WorkQueue(clock, random.random)
        queue.close()
        self._pacer = Pacer(clock, queue.add, per_second=settings.progress_writes_per_second, spare=queue.spare)
        self._events = EventRecorder(api, clock, metrics, identity=settings.identity, spare=queue.spare)
        self._broker = NatsBroker(settings.nats_url) if settings.nats_url else None
        gate = ProviderGate(callers, callers.paced, store, clock, queue.add)
        self._collector = Collector(api, clock)
        self._fleet = self._build_fleet(api, gate, graph, callers.triggers)
        self._controllers = self._fleet.build(api)
        self._runner = Runner(
            queue,
            self._controllers.reconcilers,
            clock=clock,
            meter=metrics,
            workers=settings.workers,
            find_uid=self._find_uid,
        )
        self._frame = KopfFrame(credentials, Intake(store, queue, metrics).take, namespace=settings.namespace)
        self._informers = ChildInformers(KubeInformer(api, clock, metrics, random.random), store, queue, metrics)
        self._resync = Resync(api, store, queue, clock, [kind.name for kind in KINDS])
        self._jumps = JumpWatch(clock, self._resync.queue_all)
        lease = Key("Lease", settings.lease_namespace, settings.lease_name)
        self._elector = Elector(lease_api, clock, metrics, lease=lease, identity=settings.identity)
        metrics.observe_engine(depth=lambda: queue.depth, objects=lambda: len(store))
        metrics.observe_domain(Census(store, clock).count, by_pool=settings.pool_metrics)
        self._fleet.observe(learning_metrics)

    def _build_fleet(
        self, api: KubernetesApi, gate: ProviderGate, graph: KnowledgeGraph | None, triggers: TriggerReader
    ) -> Fleet:
        store, queue, performer = self._store, self._queue, Performer(gate, wake=self._wake)
        kit = Kit(
            store=store,
            executor=Executor(api, self._broker, store, wake=queue.add, perform=performer.perform),
            writer=StatusWriter(api, store, self._pacer, self._clock),
            events=self._events,
            clock=self._clock,
        )
        return Fleet(
            self._settings,
            kit,
            api,
            queue,
            meter=self._metrics,
            tracer=self._tracer,
            learning_meter=self._learning_metrics,
            broker=self._broker,
            graph=graph,
            performer=performer,
            gate=gate,
            collector=self._collector,
            triggers=triggers,
            jitter=random.random,
        )

    async def run(self) -> None:
        """Works until a signal comes; the workers are stopped and the lease is released when it returns."""
        settings = self._settings
        async with serve(
            settings.http_host,
            settings.http_port,
            is_alive=self.find_fault,
            is_ready=self.find_hindrance,
            metrics=self._metrics.render,
            queue=self._queue.describe,
        ):
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._watch_own_kinds(), name="frame")
                    group.create_task(self._informers.run(), name="informers")
                    group.create_task(self._resync.run(), name="resync")
                    group.create_task(self._elector.run(self._lead), name="elector")
            except* _Ended:
                log.info("ended by a signal")
            finally:
                await self._fleet.close()

    def find_fault(self) -> str | None:
        """Says why this process should be restarted; load or an API server that is away are no reasons.

        That the answer is given at all proves that the event loop runs.
        """
        age = self._clock.monotonic() - self._resync.tried_at
        return f"no resync was tried for {age:.0f} s" if age > _LATE_RESYNC else None

    def find_hindrance(self) -> str | None:
        """Says why this process could not work yet if it led."""
        if not self._resync.is_synced:
            return "our own kinds are not listed yet"
        return None if self._informers.is_synced else "the children are not listed yet"

    def _find_uid(self, key: Key) -> str:
        return text(child(self._store.get(key) or {}, "metadata"), "uid")

    def _wake(self, uid: str) -> None:
        """Has one of our objects looked at, if it is still there."""
        key = self._store.key_of(uid)
        if key is not None:
            self._queue.add(key)

    async def _watch_own_kinds(self) -> None:
        await self._frame.run()
        raise _Ended

    async def _lead(self) -> None:
        """Works as the leader until it is cancelled; decides nothing before it has seen everything."""
        while self.find_hindrance():
            await self._clock.sleep(_POLL)
        await self._fleet.prepare()
        try:
            async with asyncio.TaskGroup() as group:
                beside = (self._pacer.run, self._events.run, self._collector.run, self._jumps.run)
                for work in (*beside, *self._controllers.while_leading):
                    group.create_task(_start(work))
                await self._fleet.drain_results()
                self._queue.open()
                self._resync.queue_all()
                log.info("working", extra={"objects": len(self._store)})
                group.create_task(self._runner.run())
        finally:
            self._queue.close()


def rest_collector() -> None:
    """Has Python's cyclic collector rest while much is read at once, and never look at what was imported.

    What the operator keeps is freed by its counts of references. By default reading one object of 1 MiB may have all of
    the heap looked through several times, each of which holds everything up for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)


async def _start(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def run_operator(settings: Settings) -> None:
    """Runs the operator until a signal ends it; raises NoCluster or CannotStart where it must not start."""
    configuration = await load_configuration(settings.kubeconfig, settings.context)
    metrics = Metrics(version("vapora-operator"))

    def connect(tries: int = TRIES, namespace: str = "") -> KubernetesApi:
        return KubernetesApi(configuration, SystemClock(), metrics, random.random, tries=tries, namespace=namespace)

    # The lease has connections of its own, so that a burst of work which waits for one cannot end the term.
    async with (
        connect(namespace=settings.namespace) as api,
        connect() as lease_api,
        connect() as calls_api,
        connect(tries=1) as paced_api,
    ):
        if obstacle := await find_obstacle(api):
            raise CannotStart(obstacle)
        password = settings.graph_password.get_secret_value() if settings.graph_password else None
        url = settings.graph_url
        learning_metrics = LearningMetrics(metrics.registry)
        graph = MeteredGraph(build_graph(url, password), learning_metrics, SystemClock()) if url else None
        callers = Callers(settings, calls_api, paced_api, configuration.host, graph)
        tracer = build_tracer(os.environ, "vapora-operator", version("vapora-operator"))
        try:
            credentials = partial(read_credentials, configuration)
            operator = Operator(
                settings, api, lease_api, callers, graph, metrics, tracer, learning_metrics, credentials
            )
            await operator.run()
        finally:
            await callers.close()
            if tracer is not None:
                await asyncio.to_thread(tracer.close)
