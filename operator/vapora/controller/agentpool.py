"""AgentPools: how they are observed, and the depths of their queues."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from vapora.api.agentpool import AgentPoolSpec
from vapora.controller.agentreports import AgentReports
from vapora.controller.autoscalers import Autoscalers
from vapora.controller.backlog import Backlog
from vapora.controller.domain_meter import DomainMeter
from vapora.controller.ledger import Ledger
from vapora.controller.leftovers import find_leftovers
from vapora.controller.ports import Clock, JsonObject, TaskBroker
from vapora.controller.reconcile import Kit, PlannedReconciler
from vapora.controller.specs import SpecCache
from vapora.controller.store import Store
from vapora.controller.triggers import Triggers
from vapora.core.agentpool.autoscaler import list_aims
from vapora.core.agentpool.bands import Band, find_band
from vapora.core.agentpool.broker import BrokerUnavailable, QueueDepth
from vapora.core.agentpool.depth import Known, Unknown
from vapora.core.agentpool.manifests import name_deployment
from vapora.core.agentpool.observed import Observed, QueueState
from vapora.core.agentpool.plan import plan_pool
from vapora.core.agentpool.readings import NATS
from vapora.core.agentpool.scaling import SCALE_DOWN, SCALE_UP
from vapora.core.agentpool.supported import read_pool_spec
from vapora.core.learning.assignment import PoolView
from vapora.core.learning.profile import LearningProfile
from vapora.core.plan import DrainAgents, EnsureQueue, Key, Plan, RemoveQueue
from vapora.core.supported import SpecProblem
from vapora.core.views import (
    Meta,
    PlainView,
    PodView,
    WorkloadView,
    child,
    number,
    parse_time,
    project_meta,
    rows,
    text,
)

log = logging.getLogger(__name__)

KIND = "AgentPool"
READ_INTERVAL = 1.0  # seconds; one call reads the depths of all pools
NUMBERS_AT_ONCE = 5  # pools of which one reading lets the numbers be shown where they decide nothing
NO_BROKER = "no broker is configured"


class Depths:
    """Keeps the newest depths of all queues, and has those pools looked at for which that may change something.

    Where only the numbers changed a pool is looked at too, so that its status shows them, but only a few at once, those
    that have waited longest first: a thousand pools at work change a thousand depths a second. `specs` are shared by
    all who look at pools.
    """

    def __init__(
        self,
        broker: TaskBroker | None,
        store: Store,
        enqueue: Callable[[Key], None],
        clock: Clock,
        meter: DomainMeter,
    ) -> None:
        self._broker = broker
        self._meter = meter
        self._store = store
        self._enqueue = enqueue
        self._clock = clock
        self.specs = SpecCache(read_pool_spec)
        self._known: Mapping[tuple[str, str], QueueDepth] = {}
        self._shown: dict[Key, tuple[QueueDepth, tuple[int, Band]]] = {}  # in the order of their last look
        self._failure = None if broker else _build_unknown(NO_BROKER)
        self.outages = 0  # a broker that came back may have lost what was made there

    @property
    def problem(self) -> str | None:
        """Says why the broker cannot be used; None while it can."""
        return NO_BROKER if self._broker is None else self._broker.problem

    def find(self, key: Key) -> QueueDepth | None:
        """Returns the depth of a pool's queue; None before it was read."""
        return self._failure or self._known.get((key.namespace, key.name))

    async def run(self) -> None:
        """Reads once a second until it is cancelled."""
        if self._broker is None:
            return
        while True:
            await self.read(self._broker)
            await self._clock.sleep(READ_INTERVAL)

    async def read(self, broker: TaskBroker) -> None:
        """Reads all depths once."""
        started = self._clock.monotonic()
        try:
            self._known, self._failure = await broker.read_depths(), None
        except BrokerUnavailable as refusal:
            if self._failure is None:
                self.outages += 1
                log.warning("the depths of the queues cannot be read", extra={"problem": str(refusal)})
            self._failure = _build_unknown(str(refusal))
        self._meter.trigger_read(NATS, self._clock.monotonic() - started, is_known=self._failure is None)
        self._show()

    def _show(self) -> None:
        """Has pools looked at: all whose size the new depths may change, and a few of the others that changed."""
        self._shown = {key: shown for key, shown in self._shown.items() if self._store.get(key) is not None}
        places = NUMBERS_AT_ONCE
        for key in [*self._shown, *(key for key in self._store.keys(KIND) if key not in self._shown)]:
            obj, depth, shown = self._store.get(key), self.find(key), self._shown.get(key)
            if obj is None or depth is None or (shown and shown[0] == depth):
                continue
            meaning = self._read_meaning(obj, depth)
            is_news = shown is None or shown[1] != meaning
            if is_news or places:
                places -= not is_news
                self._shown.pop(key, None)
                self._shown[key] = (depth, meaning)
                self._enqueue(key)

    def _read_meaning(self, obj: JsonObject, depth: QueueDepth) -> tuple[int, Band]:
        """Returns what a depth means to the pool as its spec is now."""
        meta = project_meta(obj, KIND)
        return meta.generation, find_band(self.specs.get(meta, obj), depth)


class PoolObserver:
    """Gathers what a plan must know of a pool."""

    def __init__(
        self,
        store: Store,
        depths: Depths,
        agents: AgentReports,
        *,
        triggers: Triggers,
        backlog: Backlog,
        autoscalers: Autoscalers,
        nats_url: str | None,
        ledger: Ledger,
        learned: Callable[[Key], LearningProfile | None] | None = None,
    ) -> None:
        self._store = store
        self._depths = depths
        self._agents = agents
        self._triggers = triggers
        self._backlog = backlog
        self._autoscalers = autoscalers
        self._nats_url = nats_url
        self._ledger = ledger
        self._learned = learned
        self._queues: dict[Key, tuple[str, int, QueueState]] = {}
        self._asked: dict[Key, datetime] = {}

    def observe(self, key: Key) -> Observed | None:
        """Returns the pool with everything around it; None where it is gone."""
        obj = self._store.get(key)
        if obj is None:
            self._depths.specs.forget(key)
            self._queues.pop(key, None)
            self._asked.pop(key, None)
            self._triggers.forget(key)
            self._backlog.forget_pool(key)
            self._ledger.forget_pool(key)
            return None
        meta = project_meta(obj, KIND)
        depth = self._depths.find(key)
        children = self._store.children(meta.uid).values()
        spec = self._depths.specs.get(meta, obj)
        pods = tuple(view for view in children if isinstance(view, PodView))
        observed = Observed(
            meta=meta,
            resource_version=text(child(obj, "metadata"), "resourceVersion"),
            deleted_at=parse_time(child(obj, "metadata").get("deletionTimestamp")),
            spec=spec,
            status=child(obj, "status"),
            workload=next((view for view in children if isinstance(view, WorkloadView)), None),
            pods=pods,
            depth=depth,
            queue=self._find_state(meta, depth),
            broker_problem=self._depths.problem,
            nats_url=self._nats_url,
            leftovers=tuple(find_leftovers(self._store, meta, [("Deployment", name_deployment(key.name))])),
            agents=self._agents.find(key),
            drain_asked_at=self._asked.get(key),
            autoscaler=next((view for view in children if isinstance(view, PlainView)), None),
        )
        return observed if isinstance(spec, SpecProblem) else self._add_wants(observed, spec)

    def _add_wants(self, observed: Observed, spec: AgentPoolSpec) -> Observed:
        """Adds what the size follows beside the pool's own queue, and who else may set it."""
        key, scaling = observed.meta.key, spec.scaling
        is_predicting = scaling is not None and scaling.mode == "queue" and scaling.predict
        waiting, forecast = self._backlog.look_at(key, observed.pods, is_predicting=is_predicting)
        return replace(
            observed,
            readings=self._triggers.follow(key, spec),
            waiting=waiting,
            forecast=forecast,
            foreign=self._autoscalers.find(list_aims(observed.meta, scaling)),
            learned=self._learned(key) if self._learned else None,
            spending=self._ledger.look(key, spec.budget),
        )

    def note_queue(self, obj: JsonObject, state: QueueState) -> None:
        """Remembers what was done about the queue of a pool, until the pool is gone or the broker was."""
        meta = project_meta(obj, KIND)
        self._queues[meta.key] = (meta.uid, self._depths.outages, state)

    def note_plan(self, key: Key, plan: Plan, now: datetime) -> None:
        """Remembers since when agents of a pool are asked to take no more tasks, for as long as they are."""
        if any(isinstance(action, DrainAgents) for action in plan.actions):
            self._asked.setdefault(key, now)
        else:
            self._asked.pop(key, None)

    def _find_state(self, meta: Meta, depth: QueueDepth | None) -> QueueState:
        uid, outages, state = self._queues.get(meta.key, ("", 0, QueueState.UNTOUCHED))
        if uid != meta.uid:
            return QueueState.UNTOUCHED
        is_lost = outages != self._depths.outages or (depth is not None and isinstance(depth.queued, Unknown))
        return QueueState.UNTOUCHED if is_lost and state is QueueState.MADE else state


class PoolViews:
    """Shows pools as an assignment sees them; each is read anew only where it, or the depth of its queue, changed."""

    def __init__(self, store: Store, depths: Depths) -> None:
        self._store = store
        self._depths = depths
        self._known: dict[Key, tuple[JsonObject, QueueDepth | None, PoolView]] = {}

    def list(self, namespace: str) -> list[PoolView]:
        """Returns the pools of a namespace with the newest depths."""
        keys = self._store.keys(KIND)
        if len(keys) < len(self._known):
            self._known = {key: self._known[key] for key in keys if key in self._known}
        return [self._view(key) for key in keys if key.namespace == namespace]

    def _view(self, key: Key) -> PoolView:
        obj, depth, known = self._store.get(key) or {}, self._depths.find(key), self._known.get(key)
        if known is None or known[0] is not obj or known[1] != depth:
            known = self._known[key] = (obj, depth, _view_pool(obj, self._depths))
        return known[2]


class PoolReconciler:
    """Reconciles pools. `on_turned` is called with each pool that an assignment would see otherwise than before.

    It remembers between two looks what was done about a queue, as nothing else tells.
    """

    def __init__(
        self,
        observer: PoolObserver,
        depths: Depths,
        kit: Kit,
        meter: DomainMeter,
        on_turned: Callable[[Key], None] | None = None,
    ) -> None:
        self._observer = observer
        self._depths = depths
        self._store = kit.store
        self._inner = PlannedReconciler(observer.observe, self._plan, kit)
        self._meter = meter
        self._on_turned = on_turned
        self._attempted: dict[Key, QueueState] = {}
        self._views: dict[Key, PoolView] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one pool once."""
        seen = self._store.get(key)
        sizes = child(seen or {}, "status", "lastDecision")
        self._attempted.pop(key, None)
        try:
            due = await self._inner.reconcile(key)  # raises where the queue could not be made or removed
        finally:
            self._tell_turn(key)
            self._count_change(sizes, child(self._store.get(key) or {}, "status", "lastDecision"))
        if seen is not None and key in self._attempted:
            self._observer.note_queue(seen, self._attempted.pop(key))
        return due

    def _count_change(self, before: Mapping[str, object], decision: Mapping[str, object]) -> None:
        """Counts a change of size once it is written, by the type of the trigger that asked for it."""
        action = text(decision, "action")
        if action in {SCALE_UP, SCALE_DOWN} and decision != before:
            trigger = text(decision, "trigger").partition("[")[0]
            self._meter.scaled(action, trigger or "limits")

    def _tell_turn(self, key: Key) -> None:
        obj, before = self._store.get(key), self._views.pop(key, None)
        if obj is not None:
            self._views[key] = replace(_view_pool(obj, self._depths), in_flight=None)
        if self._on_turned and self._views.get(key) != before:
            self._on_turned(key)

    def _plan(self, observed: Observed, now: datetime) -> Plan:
        plan = plan_pool(observed, now)
        self._observer.note_plan(observed.meta.key, plan, now)
        for action in plan.actions:
            if isinstance(action, EnsureQueue | RemoveQueue):
                is_made = isinstance(action, EnsureQueue)
                self._attempted[action.pool] = QueueState.MADE if is_made else QueueState.REMOVED
        return plan


def _view_pool(obj: JsonObject, depths: Depths) -> PoolView:
    """Reads the raw object: a pool whose spec is refused is not Ready, and so no candidate."""
    meta, spec, status = project_meta(obj, KIND), child(obj, "spec"), child(obj, "status")
    capabilities = spec.get("capabilities")
    parsed = depths.specs.get(meta, obj)
    budget, providers = (None, ()) if isinstance(parsed, SpecProblem) else (parsed.budget, parsed.providers)
    ready = next((row for row in rows(status, "conditions") if row.get("type") == "Ready"), {})
    return PoolView(
        namespace=meta.key.namespace,
        name=meta.key.name,
        role=text(spec, "role"),
        capabilities=frozenset(map(str, capabilities)) if isinstance(capabilities, list) else frozenset(),
        replicas=number(status, "readyReplicas"),
        max_concurrent=number(spec, "maxConcurrent") or 1,
        in_flight=_count_tasks(depths.find(meta.key)),
        is_ready=ready.get("status") == "True" and not meta.is_deleting,
        is_paused=spec.get("paused") is True,
        budget=budget,
        providers=providers,
    )


def _build_unknown(reason: str) -> QueueDepth:
    return QueueDepth(Unknown(reason), Unknown(reason))


def _count_tasks(depth: QueueDepth | None) -> int | None:
    if depth and isinstance(depth.queued, Known) and isinstance(depth.in_flight, Known):
        return depth.queued.value + depth.in_flight.value
    return None
