"""Pools in the engine: what is read of the broker, and who is looked at when."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import pytest
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.agentpool.pools import build_spec
from tests.unit.controller.builders import Engine

from vapora.controller.agentpool import NUMBERS_AT_ONCE, Depths, PoolObserver, PoolReconciler, PoolViews
from vapora.controller.agentreports import FRESH, AgentReports
from vapora.controller.autoscalers import Autoscalers
from vapora.controller.backlog import Backlog
from vapora.controller.executor import Executor
from vapora.controller.ledger import Ledger
from vapora.controller.ports import JsonObject
from vapora.controller.reconcile import Kit
from vapora.controller.runner import Retryable
from vapora.controller.triggers import Triggers
from vapora.core.agentpool.broker import AgentReport, BrokerUnavailable, QueueDepth
from vapora.core.agentpool.depth import Known, Unknown
from vapora.core.agentpool.draining import FIRST_TO_GO
from vapora.core.agentpool.triggers import Probe, TriggerUnreadable
from vapora.core.calls import Account
from vapora.core.learning.assignment import PoolView
from vapora.core.plan import Key
from vapora.core.views import ANNOTATION_DELETION_COST

KEY = Key("AgentPool", "default", "developer")
POOL = ("default", "developer")


class FakeBroker:
    """Is the part of TaskBroker that pools use, in memory: tasks by pool, or down with a reason."""

    def __init__(self) -> None:
        self.queues: dict[tuple[str, str], QueueDepth] = {}
        self.drained: set[str] = set()
        self.problem: str | None = None

    async def ensure_pool(self, namespace: str, pool: str, *, max_deliver: int, ack_wait: float) -> None:
        self._check()
        self.queues.setdefault((namespace, pool), QueueDepth(Known(0), Known(0)))

    async def remove_pool(self, namespace: str, pool: str) -> None:
        self._check()
        self.queues.pop((namespace, pool), None)

    async def drain(self, namespace: str, pool: str, pods: Sequence[str]) -> None:
        self._check()
        self.drained.update(pods)

    async def read_depths(self) -> Mapping[tuple[str, str], QueueDepth]:
        self._check()
        return dict(self.queues)

    def _check(self) -> None:
        if self.problem:
            raise BrokerUnavailable(self.problem)


class World(Engine):
    """Is the engine with a broker and the reconciler of pools."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = FakeBroker()
        self.turned: list[Key] = []
        self.asked: list[Key] = []
        executor = Executor(self.api, self.broker, self.store, perform=self.performed.append)
        kit = Kit(self.store, executor, self.writer, self.events, self.clock)
        self.depths = Depths(self.broker, self.store, self.asked.append, self.clock, self.meter)
        self.agents = AgentReports(self.broker, self.store, self.asked.append, self.clock)
        self.outside: dict[str, int | str] = {}
        self.triggers = Triggers(_Outside(self), self.asked.append, self.clock, lambda: 0.5, self.meter)
        self.autoscalers = Autoscalers(self.api, self.store, self.asked.append, self.clock)
        self.backlog = Backlog(PoolViews(self.store, self.depths).list, lambda *_: 0, self.asked.append, self.clock)
        nobody = lambda _: None  # noqa: E731
        self.ledger = Ledger(
            None, self.store, self.clock, self.meter, problem=lambda: None, enqueue=nobody, wake_held=nobody
        )
        self.reconciler = self.build_reconciler(kit, self.depths, nats_url="nats://nats:4222")

    def build_reconciler(self, kit: Kit, depths: Depths, *, nats_url: str | None) -> PoolReconciler:
        observer = PoolObserver(
            self.store,
            depths,
            self.agents,
            triggers=self.triggers,
            backlog=self.backlog,
            autoscalers=self.autoscalers,
            nats_url=nats_url,
            ledger=self.ledger,
        )
        return PoolReconciler(observer, depths, kit, self.meter, self.turned.append)

    async def read_outside(self, account: Account, probe: Probe) -> QueueDepth:
        """Is TriggerReader: a text is why there is no number; what is not there takes for ever."""
        found = self.outside.get(probe.subject)
        if found is None:
            await self.clock.sleep(1e9)
        if found == "a defect":
            raise KeyError(found)
        if isinstance(found, int):
            return QueueDepth(Known(found), Known(0))
        raise TriggerUnreadable(f"{account.name}: {found}")

    def add_pool(self, name: str = "developer", **fields: object) -> JsonObject:
        return self.add(
            {
                "apiVersion": "vapora.dev/v1alpha1",
                "kind": "AgentPool",
                "metadata": {"name": name, "namespace": "default"},
                "spec": build_spec(**fields),
            }
        )

    def add_agent(self, name: str, owner: str) -> None:
        """Lets a pod of the pool be there and ready."""
        labels = {"vapora.dev/owner": owner, "vapora.dev/pool": "developer"}
        metadata = {"name": name, "namespace": "default", "labels": labels}
        conditions = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "conditions": conditions}
        pod = self.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": status})
        self.store.put_child("Pod", pod)

    async def settle(self) -> None:
        """Looks as long as a look asks for another one at once."""
        while await self.reconciler.reconcile(KEY) == 0:
            pass

    async def read(self) -> list[Key]:
        """Reads the depths; returns who is to be looked at."""
        self.asked.clear()
        await self.depths.read(self.broker)
        return self.asked

    def bring_up(self, ready: int) -> None:
        """Lets the Deployment report its agents."""
        key = Key("Deployment", "default", "agentpool-developer")
        counts = {"replicas": ready, "readyReplicas": ready, "updatedReplicas": ready, "availableReplicas": ready}
        obj = self.api.change(key, {"status": {**counts, "observedGeneration": 9}})
        self.store.put_child("Deployment", obj)

    def said(self) -> dict[str, str]:
        rows = self.status("developer", "AgentPool")["conditions"]
        return {row["type"]: f"{row['status']} {row['reason']}" for row in rows}


class _Outside:
    def __init__(self, world: World) -> None:
        self.read = world.read_outside


@in_virtual_time
async def test_a_new_pool_gets_a_finalizer_a_queue_and_a_deployment() -> None:
    world = World()
    world.add_pool()
    await world.settle()
    assert world.api.find("AgentPool", "developer")["metadata"]["finalizers"] == ["vapora.dev/cleanup"]
    assert world.api.find("Deployment", "agentpool-developer")["spec"]["replicas"] == 5
    assert world.broker.queues == {POOL: QueueDepth(Known(0), Known(0))}
    assert world.said()["MetricsAvailable"] == "Unknown Initializing"


@in_virtual_time
async def test_a_pool_is_looked_at_when_its_depth_was_read_and_when_it_changed() -> None:
    world = World()
    world.add_pool()
    await world.settle()
    assert await world.read() == [KEY]
    assert await world.read() == []
    world.broker.queues[POOL] = QueueDepth(Known(11), Known(0))
    assert await world.read() == [KEY]


@in_virtual_time
async def test_a_deep_queue_reaches_the_deployment() -> None:
    world = World()
    world.add_pool()
    await world.settle()
    world.broker.queues[POOL] = QueueDepth(Known(11), Known(0))
    await world.read()
    due = await world.reconciler.reconcile(KEY)
    assert due is not None
    assert 5 <= due < 5.5
    assert world.api.find("Deployment", "agentpool-developer")["spec"]["replicas"] == 7
    assert world.status("developer", "AgentPool")["desiredReplicas"] == 7


@in_virtual_time
async def test_a_broker_that_goes_and_returns_gets_its_queue_again() -> None:
    world = World()
    world.add_pool()
    await world.settle()
    await world.read()
    world.broker.problem = "connection refused"
    assert await world.read() == [KEY]
    await world.settle()
    assert world.said()["MetricsAvailable"] == "False BrokerUnavailable"
    world.broker.queues.clear()
    world.broker.problem = None
    await world.read()
    await world.settle()
    assert world.broker.queues == {POOL: QueueDepth(Known(0), Known(0))}
    await world.read()
    await world.settle()
    assert world.said()["MetricsAvailable"] == "True MetricsRead"


@in_virtual_time
async def test_a_queue_that_cannot_be_made_is_said_and_tried_again() -> None:
    world = World()
    world.add_pool()
    assert await world.reconciler.reconcile(KEY) == 0
    world.broker.ensure_pool = world.broker.remove_pool = _refuse
    with pytest.raises(Retryable, match="too many consumers"):
        await world.reconciler.reconcile(KEY)
    assert world.said()["MetricsAvailable"] == "False BrokerUnavailable"
    assert world.api.find("Deployment", "agentpool-developer") is not None


async def _refuse(*_: object, **__: object) -> None:
    raise BrokerUnavailable("too many consumers")


@in_virtual_time
async def test_a_pool_goes_only_after_its_queue() -> None:
    world = World()
    world.add_pool()
    await world.settle()
    await world.read()
    world.api.remove(KEY)
    world.store.put("AgentPool", world.api.find("AgentPool", "developer"))
    world.broker.remove_pool, works = _refuse, world.broker.remove_pool
    with pytest.raises(Retryable):
        await world.settle()
    assert world.api.find("AgentPool", "developer") is not None
    world.broker.remove_pool = works
    await world.settle()
    assert world.broker.queues == {}
    assert world.api.find("AgentPool", "developer") is None
    assert world.api.find("Deployment", "agentpool-developer") is None


@in_virtual_time
async def test_an_operator_without_a_broker_says_so() -> None:
    world = World()
    depths = Depths(None, world.store, world.queue.add, world.clock, world.meter)
    kit = Kit(world.store, world.executor, world.writer, world.events, world.clock)
    world.reconciler = world.build_reconciler(kit, depths, nats_url=None)
    world.add_pool()
    await world.settle()
    assert world.said()["MetricsAvailable"] == "False BrokerUnavailable"
    assert world.api.find("Deployment", "agentpool-developer")["spec"]["replicas"] == 5
    assert depths.find(KEY) == QueueDepth(Unknown("no broker is configured"), Unknown("no broker is configured"))


@in_virtual_time
async def test_an_assignment_sees_the_pools_of_a_namespace_with_the_newest_depth() -> None:
    world = World()
    world.add_pool(capabilities=["rust"])
    await world.settle()
    world.bring_up(5)
    world.broker.queues[POOL] = QueueDepth(Known(3), Known(4))
    await world.read()
    await world.settle()
    views = PoolViews(world.store, world.depths)
    assert views.list("default") == [
        PoolView(
            namespace="default",
            name="developer",
            role="developer",
            capabilities=frozenset({"rust"}),
            replicas=5,
            max_concurrent=2,
            in_flight=7,
            is_ready=True,
            is_paused=False,
        )
    ]
    assert views.list("elsewhere") == []


@in_virtual_time
async def test_who_waits_for_a_pool_is_told_when_it_turns_and_not_of_each_task() -> None:
    world = World()
    world.add_pool()
    await world.settle()
    world.turned.clear()
    world.bring_up(5)
    await world.settle()
    assert world.turned == [KEY]
    world.broker.queues[POOL] = QueueDepth(Known(3), Known(4))
    await world.read()
    await world.settle()
    assert world.turned == [KEY]


def follow(*subjects: str) -> dict[str, object]:
    """A scaling that follows lists of these names, the second also with a Secret."""
    triggers = [{"type": "redisList", "params": {"url": "redis://cache", "list": name}} for name in subjects]
    return {"min": 5, "max": 20, "interval": "5s", "triggers": triggers}


@contextlib.asynccontextmanager
async def running(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@in_virtual_time
async def test_a_trigger_outside_grows_the_pool_and_one_that_cannot_be_read_is_named() -> None:
    world = World()
    world.add_pool(scaling=follow("jobs", "mails"))
    world.outside = {"jobs": 14, "mails": "WRONGPASS"}
    await world.settle()
    await world.read()
    async with running(world.triggers.run):
        await world.clock.sleep(1)
    assert KEY in world.asked
    await world.settle()
    assert world.api.find("Deployment", "agentpool-developer")["spec"]["replicas"] == 7
    rows = {row["type"]: row for row in world.status("developer", "AgentPool")["conditions"]}
    assert rows["MetricsAvailable"]["message"] == "redisList[1]: default: WRONGPASS"
    assert world.status("developer", "AgentPool")["lastDecision"]["trigger"] == "redisList[0]"


@in_virtual_time
async def test_a_defect_of_one_reading_is_unknown_and_stops_no_other() -> None:
    world = World()
    world.add_pool(scaling=follow("jobs", "mails"))
    world.outside = {"jobs": "a defect", "mails": 14}
    await world.settle()
    await world.read()
    async with running(world.triggers.run):
        await world.clock.sleep(1)
        await world.settle()
        assert world.status("developer", "AgentPool")["desiredReplicas"] == 7
    rows = {row["type"]: row for row in world.status("developer", "AgentPool")["conditions"]}
    assert rows["MetricsAvailable"]["message"].startswith("redisList[0]: the reading broke with KeyError")


@in_virtual_time
async def test_one_slow_trigger_keeps_no_other_pool_waiting() -> None:
    world = World()
    world.add_pool(scaling=follow("slow"))
    other = world.add(
        {
            "apiVersion": "vapora.dev/v1alpha1",
            "kind": "AgentPool",
            "metadata": {"name": "other", "namespace": "default"},
            "spec": build_spec(scaling=follow("jobs")),
        }
    )
    world.outside = {"jobs": 3}
    await world.settle()
    other_key = Key("AgentPool", "default", "other")
    while await world.reconciler.reconcile(other_key) == 0:
        pass
    world.asked.clear()
    async with running(world.triggers.run):
        await world.clock.sleep(12)
        world.outside["jobs"] = 30
        await world.clock.sleep(12)
    assert (other["kind"], world.asked) == ("AgentPool", [other_key, other_key])


@in_virtual_time
async def test_an_autoscaler_of_somebody_else_takes_the_size_and_gives_it_back() -> None:
    world = World()
    world.add_pool()
    await world.settle()
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "agentpool-developer"}
    world.api.put(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "keda-hpa-x", "namespace": "default"},
            "spec": {"scaleTargetRef": target},
        }
    )
    await world.autoscalers.read()
    assert world.asked == [KEY]
    await world.settle()
    assert world.said()["ScalingActive"] == "False ForeignAutoscaler"
    world.api.remove(Key("HorizontalPodAutoscaler", "default", "keda-hpa-x"))
    await world.autoscalers.read()
    await world.settle()
    assert world.said()["ScalingActive"] == "True ScalingByQueue"


@in_virtual_time
async def test_numbers_that_decide_nothing_are_shown_a_few_pools_at_a_time_and_none_is_forgotten() -> None:
    world = World()
    names = [f"pool-{number}" for number in range(12)]
    for name in names:
        world.add_pool(name)
        world.broker.queues["default", name] = QueueDepth(Known(3), Known(0))
    assert len(await world.read()) == 12
    for name in names:
        world.broker.queues["default", name] = QueueDepth(Known(4), Known(0))
    looks = [list(await world.read()) for _ in range(4)]
    assert [len(keys) for keys in looks] == [NUMBERS_AT_ONCE, NUMBERS_AT_ONCE, 2, 0]
    assert {key.name for keys in looks for key in keys} == set(names)


@in_virtual_time
async def test_a_queue_that_crosses_a_threshold_is_looked_at_whatever_waits_to_be_shown() -> None:
    world = World()
    names = [f"pool-{number}" for number in range(12)]
    for name in names:
        world.add_pool(name)
        world.broker.queues["default", name] = QueueDepth(Known(3), Known(0))
    await world.read()
    for number, name in enumerate(names):
        world.broker.queues["default", name] = QueueDepth(Known(4 if number < 10 else 40), Known(0))
    assert {"pool-10", "pool-11"} < {key.name for key in await world.read()}


@in_virtual_time
async def test_an_agent_that_takes_no_more_tasks_has_its_pool_looked_at_once() -> None:
    world = World()
    world.add_pool()
    for is_draining in (False, True, True):
        world.agents.hear(*POOL, "p-1", AgentReport(0, is_draining))
    assert world.asked == [KEY]
    assert world.agents.find(KEY) == {"p-1": AgentReport(0, is_draining=True)}


@in_virtual_time
async def test_an_agent_that_has_said_nothing_for_long_is_unknown() -> None:
    world = World()
    world.add_pool()
    world.agents.hear(*POOL, "p-1", AgentReport(1))
    await world.clock.sleep(FRESH + 1)
    world.agents.hear(*POOL, "p-2", AgentReport(2))
    assert world.agents.find(KEY) == {"p-2": AgentReport(2)}


@in_virtual_time
async def test_what_is_said_for_a_pool_that_is_not_there_is_passed_over() -> None:
    world = World()
    world.agents.hear("default", "nobody", "p-1", AgentReport(1))
    assert world.agents.find(Key("AgentPool", "default", "nobody")) == {}


@in_virtual_time
async def test_a_pool_shrinks_to_the_agents_that_work() -> None:
    world = World()
    world.add_pool(scaling={"min": 1, "max": 5, "scaleDownStabilization": "0s"}, replicas=2)
    await world.settle()
    uid = world.api.find("AgentPool", "developer")["metadata"]["uid"]
    for name in ("working", "idle"):
        world.add_agent(name, uid)
    world.bring_up(2)
    world.broker.queues[POOL] = QueueDepth(Known(0), Known(1))
    world.agents.hear(*POOL, "working", AgentReport(1))
    world.agents.hear(*POOL, "idle", AgentReport(0))
    await world.read()
    await world.settle()
    assert world.broker.drained == {"idle"}
    assert world.api.find("Deployment", "agentpool-developer")["spec"]["replicas"] == 2
    world.agents.hear(*POOL, "idle", AgentReport(0, is_draining=True))
    await world.settle()
    assert world.api.find("Deployment", "agentpool-developer")["spec"]["replicas"] == 1
    costs = {
        name: world.api.find("Pod", name)["metadata"].get("annotations", {}).get(ANNOTATION_DELETION_COST)
        for name in ("working", "idle")
    }
    assert costs == {"working": None, "idle": FIRST_TO_GO}
