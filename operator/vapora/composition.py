"""What the kinds bring to the operator: the reconcilers with their broker, graph, depths and inbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from vapora.adapters.clock import SystemClock
from vapora.adapters.graph_caller import GraphCaller
from vapora.adapters.http_caller import HttpCaller
from vapora.adapters.kube_caller import KubeCaller
from vapora.adapters.kube_client import KubernetesApi
from vapora.adapters.learning_metrics import LearningMetrics
from vapora.adapters.mail_caller import MailCaller
from vapora.adapters.nats_streams import RESULTS_ACK_WAIT_SECONDS
from vapora.adapters.resolver import Resolver
from vapora.adapters.task_plugins import load_provider_types, load_task_types
from vapora.adapters.trigger_reader import OutsideReader
from vapora.controller.agentpool import Depths, PoolObserver, PoolReconciler, PoolViews
from vapora.controller.agentreports import AgentReports
from vapora.controller.assigning import Assigning
from vapora.controller.autoscalers import Autoscalers
from vapora.controller.backlog import Backlog
from vapora.controller.bystanders import Bystanders
from vapora.controller.capacities import Capacities
from vapora.controller.collect import Collector
from vapora.controller.dependents import Dependents
from vapora.controller.domain_meter import DomainMeter
from vapora.controller.expectations import Expectations
from vapora.controller.gputimes import GpuTimes
from vapora.controller.inbox import Inbox, Letterbox
from vapora.controller.keeper import Keeper
from vapora.controller.learning import Learning
from vapora.controller.learning_meter import LearningMeter
from vapora.controller.ledger import Ledger
from vapora.controller.milestones import Herald, Tracer
from vapora.controller.orphans import OrphanReconciler
from vapora.controller.performer import Performer
from vapora.controller.places import Places
from vapora.controller.policies import PolicyProbe
from vapora.controller.pools import Outstanding
from vapora.controller.ports import Caller, KnowledgeGraph, KubeApi, Meter, TaskBroker, TriggerReader
from vapora.controller.provider import Inventories, ProviderReconciler
from vapora.controller.providergate import ProviderGate, Settler
from vapora.controller.reconcile import Kit
from vapora.controller.recording import Recorder
from vapora.controller.requests import RequestTimes
from vapora.controller.retention import Retention
from vapora.controller.runner import Reconciler
from vapora.controller.runs import Runs
from vapora.controller.taskserv import TaskservObserver, TaskservReconciler
from vapora.controller.triggers import Triggers
from vapora.controller.workflow import WorkflowReconciler
from vapora.controller.workflowtemplate import RunTeller, TemplateObserver, TemplateReconciler, Templates
from vapora.controller.workqueue import Priority, WorkQueue
from vapora.core.addresses import AddressRules
from vapora.core.agentpool.broker import BrokerUnavailable
from vapora.core.calls import Account, Answer, Call, ClusterCall, GraphCall, HttpCall, MailCall, ProviderCall
from vapora.core.gpu.detector import Detector
from vapora.core.gpu.job import GpuSettings
from vapora.core.gpu.settings import parse_gpu_settings
from vapora.core.gpu.vocabulary import load_vocabulary, parse_vocabulary
from vapora.core.learning.assignment import PoolView
from vapora.core.learning.execution import Execution
from vapora.core.learning.profile import LearningRules
from vapora.core.learning.scoring import Recency
from vapora.core.plan import Key
from vapora.core.procedures.table import build_procedures, build_undoings
from vapora.core.workflow.observed import Surroundings
from vapora.core.workflow.tasks import find_task_problem
from vapora.settings import Settings

log = logging.getLogger(__name__)

_DRAIN_PAUSE_SECONDS = 0.05
_AWAY_PAUSE_SECONDS = 2.0
_DRAIN_SECONDS = 3 * RESULTS_ACK_WAIT_SECONDS  # what a process that died has read comes again after one


class FleetMeter(Meter, DomainMeter, Protocol):
    """Counts what the engine does, and what becomes of runs and pools."""


@dataclass(frozen=True, slots=True)
class Controllers:
    """Is what runs for the kinds: reconcilers, and what runs beside the workers."""

    reconcilers: Mapping[str, Reconciler]
    while_leading: tuple[Callable[[], Awaitable[None]], ...]


class Callers:
    """Decides which adapter carries out which call of a step.

    `api` has connections of its own, so that calls which hang, at a tenant's webhook say, hold up no status write.
    `paced` is for calls through Providers, of which each request is counted: it tries none again by itself.
    """

    def __init__(
        self,
        settings: Settings,
        api: KubernetesApi,
        paced: KubernetesApi,
        api_server: str,
        graph: KnowledgeGraph | None,
    ) -> None:
        rules = AddressRules.read(allowed=settings.outbound_allowed, denied=settings.outbound_denied)
        self._resolver = Resolver(rules, urlsplit(api_server).hostname or "")
        self._cluster = KubeCaller(api, SystemClock())
        self.paced: Caller[ClusterCall] = KubeCaller(paced, SystemClock())
        self._graph = GraphCaller(graph)
        # A context each: what a client sets in one, such as the protocols it offers, is not for the other.
        self._http = HttpCaller(self._resolver, self._cluster, httpx.create_ssl_context())
        self._mail = MailCaller(self._resolver, self._cluster, httpx.create_ssl_context())
        self.triggers: TriggerReader = OutsideReader(self._resolver, self._cluster, self._http.call)

    async def call(self, call: Call, account: Account) -> Answer:
        """Makes a call as the account; is Caller."""
        match call:
            case HttpCall():
                return await self._http.call(call, account)
            case MailCall():
                return await self._mail.call(call, account)
            case GraphCall():
                return await self._graph.call(call, account)
            case ProviderCall():
                return await self.paced.call(call.call, account)
        return await self._cluster.call(call, account)

    async def close(self) -> None:
        """Closes all connections to the outside."""
        await self._http.close()
        self._resolver.close()


class Fleet:
    """Holds the parts that the kinds share; the broker and the graph are there only where the settings name them."""

    def __init__(
        self,
        settings: Settings,
        kit: Kit,
        api: KubeApi,
        queue: WorkQueue,
        *,
        meter: FleetMeter,
        tracer: Tracer | None,
        learning_meter: LearningMeter,
        broker: TaskBroker | None,
        graph: KnowledgeGraph | None,
        performer: Performer,
        gate: ProviderGate,
        collector: Collector,
        triggers: TriggerReader,
        jitter: Callable[[], float],
    ) -> None:
        self._kit, self._queue, self._clock, self._broker, self._graph = kit, queue, kit.clock, broker, graph
        self._meter, self._tracer = meter, tracer
        self._learning = Learning(graph, kit.clock, _read_rules(settings), queue.add) if graph else None
        self._expectations = Expectations(graph, kit.clock)
        self._recorder = self._build_recorder(graph, meter)
        kept = {"days": settings.graph_keep_days, "executions": settings.graph_keep_executions}
        self._learning_meter = learning_meter
        self._retention = Retention(graph, kit.clock, learning_meter, **kept) if graph else None
        self._performer, self._gate = performer, gate
        self._inbox = Inbox()
        self._letterbox = Letterbox(kit.store, self._inbox, queue.add, meter, kit.clock)
        self._outstanding = Outstanding()
        self._depths = Depths(broker, kit.store, queue.add, kit.clock, meter)
        self._agents = AgentReports(broker, kit.store, queue.add, kit.clock)
        self._pools = PoolViews(kit.store, self._depths)
        self._triggers = Triggers(triggers, queue.add, kit.clock, jitter, meter)
        self._autoscalers = Autoscalers(api, kit.store, queue.add, kit.clock)
        self._backlog = Backlog(self._pools.list, self._outstanding.count, queue.add, kit.clock)
        self._ledger = Ledger(
            graph,
            kit.store,
            kit.clock,
            meter,
            problem=lambda: self._recorder.problem if self._recorder else None,
            enqueue=queue.add,
            wake_held=self._wake_held,
        )
        self._assigning = Assigning(self._view_pools, self._outstanding, self._learning, self._backlog, self._ledger)
        self._tasks, _ = load_task_types()
        words, gpu = settings.ml_vocabulary, settings.gpu_settings
        self._capacities = Capacities(api, kit.store, kit.clock, queue.add)
        self._surroundings = Surroundings(
            detector=Detector(load_vocabulary() if words is None else parse_vocabulary(words.read_text("utf-8"))),
            gpu=GpuSettings() if gpu is None else parse_gpu_settings(gpu.read_text("utf-8")),
            may_simulate=settings.allow_simulate,
            has_graph=graph is not None,
            procedures=build_procedures(self._tasks),
            undoings=build_undoings(self._tasks),
        )
        self._templates = Templates(kit.store, queue.add, asyncio.to_thread)
        probed = settings.namespace or settings.lease_namespace
        self._policies = PolicyProbe(api, kit.clock, namespace=probed, on_change=self._wake_all)
        self._workflows = self._build_workflows(api, meter, collector)
        self._nats_url = settings.nats_url

    def _build_workflows(self, api: KubeApi, meter: FleetMeter, collector: Collector) -> WorkflowReconciler:
        kit, keeper = self._kit, Keeper(api, self._kit.executor)
        return WorkflowReconciler(
            kit,
            api,
            recorder=self._recorder,
            inbox=self._inbox,
            surroundings=self._look_around,
            assigning=self._assigning,
            expectations=self._expectations,
            on_release=collector.note_release,
            performer=self._performer,
            keeper=keeper,
            places=Places(kit.store, self._queue.add),
            runs=Runs(api, keeper, self._templates, partial(find_task_problem, self._tasks), asyncio.to_thread),
            requests=RequestTimes(meter, kit.clock),
            capacities=self._capacities,
            gpu_times=GpuTimes(meter, kit.clock),
            herald=Herald(meter, self._tracer),
            policy_problem=lambda: self._policies.problem,
            learning_meter=self._learning_meter,
            wake=self._queue.add,
            beside=asyncio.to_thread,
        )

    def build(self, api: KubeApi) -> Controllers:
        """Builds the reconcilers of all kinds."""
        store, dependents, orphans = self._kit.store, Dependents(), OrphanReconciler(api, self._kit.store)
        pools = PoolObserver(
            store,
            self._depths,
            self._agents,
            triggers=self._triggers,
            backlog=self._backlog,
            autoscalers=self._autoscalers,
            nats_url=self._nats_url,
            learned=self._learning.find_shown if self._learning else None,
            ledger=self._ledger,
        )
        bystanders = Bystanders(api, self._clock, self._queue.add)
        services = TaskservObserver(store, dependents, bystanders)
        types, _ = load_provider_types()
        inventories = Inventories(types, store, self._gate, self._clock, self._queue.add)
        return Controllers(
            reconcilers={
                "Workflow": RunTeller(Settler(self._workflows, self._gate), store, self._queue.add),
                "WorkflowTemplate": TemplateReconciler(
                    TemplateObserver(store, asyncio.to_thread), self._templates, self._kit
                ),
                "AgentPool": PoolReconciler(pools, self._depths, self._kit, self._meter, self._wake_waiting),
                "Taskserv": TaskservReconciler(services, dependents, self._kit, self._queue.add),
                "Provider": ProviderReconciler(inventories, self._gate, self._kit),
                "Pod": orphans,
                "Job": orphans,
            },
            while_leading=(
                self._depths.run,
                self._agents.run,
                self._triggers.run,
                self._autoscalers.run,
                self._backlog.run,
                self._ledger.run,
                self._performer.run,
                self._policies.run,
                self._capacities.run,
                bystanders.run,
                inventories.run,
                self._read_results,
                self._complete_inbox,
                self._record,
                self._expectations.run,
                *((self._learning.run, self._learning.show) if self._learning else ()),
                *([self._retention.run] if self._retention is not None else []),
            ),
        )

    async def prepare(self) -> None:
        """Begins a term as leader: forgets what an earlier one knew, and opens what the settings name."""
        self._workflows.forget_all()
        self._inbox.is_complete = False
        self._gate.begin()
        self._expectations.clear()
        self._ledger.begin()
        if self._learning is not None:
            self._learning.clear()
        if self._broker is not None:
            await self._broker.connect()
        if self._graph is not None:
            await self._graph.open()

    def observe(self, metrics: LearningMetrics) -> None:
        """Shows at each scrape how recording and learning stand, where there is a knowledge graph."""
        if (graph := self._graph) is not None and (recorder := self._recorder) and (learning := self._learning):
            metrics.observe(
                waiting=lambda: recorder.pending,
                lag=lambda: recorder.lag,
                connections=lambda: graph.connections,
                trends=lambda: learning.trends,
            )

    async def drain_results(self) -> None:
        """Waits a while until the answers that wait have come in: what was answered must not be asked again."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._broker is not None and await self._broker.pending_results() > 0:
                    await self._clock.sleep(_DRAIN_PAUSE_SECONDS)
        except (TimeoutError, BrokerUnavailable) as problem:
            log.warning("results may still be waiting", extra={"problem": str(problem)})
        else:
            self._inbox.is_complete = True

    async def close(self) -> None:
        """Lets go of the broker and the graph, after what waits for the graph is kept if it can be."""
        if self._broker is not None:
            await self._broker.close()
        if self._graph is not None:
            await self._graph.close()

    def _build_recorder(self, graph: KnowledgeGraph | None, meter: Meter) -> Recorder | None:
        if graph is None:
            return None
        return Recorder(graph, wake=self._queue.add, on_kept=self._learn, clock=self._clock, meter=meter)

    def _learn(self, executions: Sequence[Execution]) -> None:
        self._expectations.note(executions)
        self._ledger.note_kept(executions)
        if self._learning is not None:
            self._learning.note(executions)

    def _look_around(self) -> Surroundings:
        known, broker_problem = self._surroundings, self._depths.problem
        graph_problem = self._recorder.problem if self._recorder else None
        if (known.broker_problem, known.graph_problem) != (broker_problem, graph_problem):
            known = replace(known, broker_problem=broker_problem, graph_problem=graph_problem)
        if known.capacities is not self._capacities.known:
            known = replace(known, capacities=self._capacities.known)
        self._surroundings = known
        return known

    def _wake_all(self) -> None:
        """Has every workflow looked at: who may approve is known now, or no longer."""
        for key in self._kit.store.keys("Workflow"):
            self._queue.add(key, Priority.BACKGROUND)

    def _view_pools(self, namespace: str) -> list[PoolView]:
        return list(self._outstanding.add_to(self._pools.list(namespace)))

    def _wake_waiting(self, pool: Key) -> None:
        """Has the workflows of a namespace looked at that wait for a pool, when one of its pools turns."""
        for waiting in self._assigning.list_waiting(pool.namespace):
            self._queue.add(waiting)

    def _wake_held(self, namespace: str) -> None:
        """Has workflows looked at that wait for money, when some may have become free."""
        for waiting in self._assigning.take_held(namespace):
            self._queue.add(waiting)

    async def _read_results(self) -> None:
        if self._broker is None:
            return
        async with aclosing(self._broker.results()) as deliveries:
            async for delivery in deliveries:
                await self._letterbox.take(delivery)

    async def _complete_inbox(self) -> None:
        """Goes on waiting where the broker was away at first: until then nobody knows whether all is recorded."""
        while not self._inbox.is_complete:
            await self._clock.sleep(_AWAY_PAUSE_SECONDS)
            if self._broker is None or self._broker.problem is None:
                await self.drain_results()
                self._wake_all()

    async def _record(self) -> None:
        if self._recorder is not None:
            await self._recorder.run()


def _read_rules(settings: Settings) -> LearningRules:
    recency = Recency(settings.learning_mode, settings.learning_half_life_days)
    return LearningRules(settings.learning_limit, recency, settings.learning_epsilon)
