"""A cluster in memory with broker and knowledge graph, and an operator that runs workflows in it and can be killed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from tests.fakes.event_source import FakeEventSource
from tests.fakes.kube_api import FakeKubeApi
from tests.fakes.meter import FakeMeter
from tests.fakes.virtual_time import VirtualClock
from tests.unit.controller.builders import build_workflow

from vapora.controller.assigning import Assigning
from vapora.controller.backlog import Backlog
from vapora.controller.capacities import Capacities
from vapora.controller.events import EventRecorder
from vapora.controller.executor import Executor
from vapora.controller.expectations import Expectations
from vapora.controller.gputimes import GpuTimes
from vapora.controller.inbox import Inbox
from vapora.controller.informers import ChildInformers
from vapora.controller.intake import Intake
from vapora.controller.keeper import Keeper
from vapora.controller.learning import Learning
from vapora.controller.ledger import Ledger
from vapora.controller.milestones import Herald
from vapora.controller.orphans import OrphanReconciler
from vapora.controller.pacer import Pacer
from vapora.controller.performer import Performer
from vapora.controller.places import Places
from vapora.controller.pools import Outstanding
from vapora.controller.ports import JsonObject
from vapora.controller.reconcile import Kit
from vapora.controller.recording import Recorder
from vapora.controller.requests import RequestTimes
from vapora.controller.runner import Runner
from vapora.controller.runs import Runs
from vapora.controller.store import Store
from vapora.controller.workflow import WorkflowReconciler
from vapora.controller.workflowtemplate import Templates
from vapora.controller.workqueue import WorkQueue
from vapora.controller.writer import StatusWriter
from vapora.core.agentpool.broker import BrokerUnavailable, Delivery
from vapora.core.calls import Account, Answer, Call
from vapora.core.gpu.detector import Detector
from vapora.core.gpu.vocabulary import load_vocabulary
from vapora.core.learning.assignment import PoolView
from vapora.core.learning.execution import Execution, GraphUnavailable, KnownCause
from vapora.core.learning.profile import LearningRules
from vapora.core.plan import Key
from vapora.core.workflow.observed import Surroundings
from vapora.core.workflow.tasks import find_task_problem
from vapora.core.workflow.tracing import Span

DETECTOR = Detector(load_vocabulary())
DEVELOPERS = PoolView("default", "developers", "developer", frozenset(), replicas=5, max_concurrent=2, in_flight=0)


class Graph:
    """Keeps executions in memory; it can be down, and slow."""

    def __init__(self, clock: VirtualClock) -> None:
        self.problem: str | None = None
        self.seconds = 0.0
        self._clock = clock
        self.rows: dict[str, Execution] = {}

    async def record(self, executions: Sequence[Execution]) -> None:
        if self.problem:
            raise GraphUnavailable(self.problem)
        if self.seconds:
            await self._clock.sleep(self.seconds)
        self.rows |= {row.id: row for row in executions}

    async def get_executions_for_task_types(
        self, pools: Sequence[str], task_type: str, limit: int
    ) -> Mapping[str, Sequence[Execution]]:
        return {pool: self._list(limit, pool=pool, task_type=task_type) for pool in pools}

    async def get_executions_of_agents(self, pools: Sequence[str], limit: int) -> Mapping[str, Sequence[Execution]]:
        return {pool: self._list(limit, pool=pool) for pool in pools}

    async def sum_spend(self, pool: str, since: datetime) -> int:
        return sum(row.cost_cents for row in self._list(1000, pool=pool) if row.finished >= since)

    async def find_executions(self, namespace: str, column: str, value: str, limit: int) -> Sequence[Execution]:
        return self._list(limit, namespace=namespace)

    def _list(self, limit: int, **wanted: str) -> list[Execution]:
        if self.problem:
            raise GraphUnavailable(self.problem)
        found = [row for row in self.rows.values() if all(getattr(row, name) == wanted[name] for name in wanted)]
        return sorted(found, key=lambda row: (row.finished, row.id), reverse=True)[:limit]

    async def find_known_cause(self, signature: str, namespace: str | None = None) -> KnownCause | None:
        if self.problem:
            raise GraphUnavailable(self.problem)
        if self.seconds:
            await self._clock.sleep(self.seconds)
        found = [row for row in self.rows.values() if (row.error_signature, row.namespace) == (signature, namespace)]
        return KnownCause(signature, len(found), found[0].finished, found[-1]) if found else None

    def outcomes(self) -> dict[str, str]:
        """Outcome by what follows the workflow's uid in the id."""
        return {name.partition("/")[2]: row.outcome for name, row in self.rows.items()}


@dataclass
class Broker:
    """Takes tasks; `before` sees each one before it is taken, and may refuse it."""

    around: Callable[[str, str], Awaitable[None]]
    problem: str | None = None
    tasks: dict[str, Mapping[str, object]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    before: Callable[[str], None] | None = None

    async def publish(self, task: Mapping[str, object], *, namespace: str, pool: str, message_id: str) -> None:
        self._check()
        await self.around("publish", "before")
        if self.before:
            self.before(message_id)
        self.tasks.setdefault(message_id, task)
        await self.around("publish", "after")

    async def cancel(self, namespace: str, pool: str, message_id: str, *, also_claimed: bool = True) -> None:
        self._check()
        await self.around("cancel", "before")
        self.cancelled.append(message_id)
        await self.around("cancel", "after")

    def _check(self) -> None:
        if self.problem:
            raise BrokerUnavailable(self.problem)


async def run_at_once(work: Callable[[], object]) -> object:
    """Runs what production runs in a thread."""
    return work()


class Operator:
    """Is one life of the operator, as it leads."""

    def __init__(self, cluster: "Cluster") -> None:
        api, clock, self.meter = cluster.api, cluster.clock, FakeMeter()
        self.store, self.inbox, self.queue = Store(), Inbox(), WorkQueue(clock, jitter=lambda: 0.0)
        self.learning = Learning(cluster.graph, clock, LearningRules(), self.queue.add) if cluster.graph else None
        self.expectations = Expectations(cluster.graph, clock)
        self.ledger = Ledger(
            cluster.graph,
            self.store,
            clock,
            self.meter,
            problem=lambda: self.recorder.problem if self.recorder else None,
            enqueue=lambda _: None,
            wake_held=lambda namespace: [self.queue.add(key) for key in self.assigning.take_held(namespace)],
        )
        backlog = Backlog(lambda _: cluster.pools, lambda _, __: 0, self.queue.add, clock)
        self.assigning = Assigning(lambda _: cluster.pools, Outstanding(), self.learning, backlog, self.ledger)
        record = partial(
            Recorder,
            wake=self.queue.add,
            clock=clock,
            meter=self.meter,
            on_kept=self._learn,
            limit=cluster.graph_room,
        )
        self.recorder = record(cluster.graph) if cluster.graph else None
        source = FakeEventSource(api, lag=cluster.lag)
        pacer, events = (
            Pacer(clock, self.queue.add, per_second=10, spare=self.queue.spare),
            EventRecorder(api, clock, self.meter, identity="t", spare=self.queue.spare),
        )
        self.performer = Performer(cluster, wake=self._wake)
        perform = self.performer.perform
        executor = Executor(api, cluster.broker, self.store, wake=self.queue.add, perform=perform)
        kit = Kit(self.store, executor, StatusWriter(api, self.store, pacer, clock), events, clock)
        self.workflows = self._build_workflows(cluster, kit)
        runner = Runner(
            self.queue,
            {"Workflow": self.workflows, "Pod": OrphanReconciler(api, self.store)},
            clock=clock,
            meter=self.meter,
            workers=4,
        )
        self._source, self._intake = source, Intake(self.store, self.queue, self.meter)
        informers = ChildInformers(source, self.store, self.queue, self.meter)
        self._work = [self._watch, informers.run, runner.run, pacer.run, events.run, self.performer.run]
        self._work += [self.expectations.run, self.ledger.run]
        if self.recorder and self.learning:
            self._work += [self.recorder.run, self.learning.run]

    def _learn(self, executions: Sequence[Execution]) -> None:
        self.expectations.note(executions)
        self.ledger.note_kept(executions)
        if self.learning:
            self.learning.note(executions)

    def _build_workflows(self, cluster: "Cluster", kit: Kit) -> WorkflowReconciler:
        keeper = Keeper(cluster.api, kit.executor)
        return WorkflowReconciler(
            kit,
            cluster.api,
            recorder=self.recorder,
            inbox=self.inbox,
            surroundings=lambda: Surroundings(
                DETECTOR,
                broker_problem=cluster.broker.problem,
                graph_problem=self.recorder.problem if self.recorder else None,
                has_graph=self.recorder is not None,
            ),
            assigning=self.assigning,
            expectations=self.expectations,
            on_release=lambda _: None,
            performer=self.performer,
            keeper=keeper,
            places=Places(self.store, self.queue.add),
            runs=Runs(
                cluster.api, keeper, Templates(self.store, self.queue.add, run_at_once), partial(find_task_problem, {})
            ),
            requests=RequestTimes(self.meter, cluster.clock),
            capacities=Capacities(cluster.api, self.store, cluster.clock, self.queue.add),
            gpu_times=GpuTimes(self.meter, cluster.clock),
            herald=Herald(self.meter, cluster),
            policy_problem=lambda: None,
            learning_meter=self.meter,
            wake=self.queue.add,
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for work in self._work:
                group.create_task(work())

    def _wake(self, uid: str) -> None:
        if (key := self.store.key_of(uid)) is not None:
            self.queue.add(key)

    async def _watch(self) -> None:
        await self._source.watch(
            "Workflow",
            "",
            on_object=lambda event, obj: self._intake.take("Workflow", None if event == "LISTED" else event, obj),
            on_deleted=lambda obj: self._intake.take("Workflow", "DELETED", obj),
            on_listed=lambda uids, version: None,
        )


class Cluster:
    """Holds what outlives the operator. `requests` are all requests to the API server, in order."""

    def __init__(self, *, graph: bool = True, lag: float = 0.01) -> None:
        self.clock = VirtualClock()
        self.api = FakeKubeApi(self.clock)
        self.graph = Graph(self.clock) if graph else None
        self.graph_room = 1000
        self.broker = Broker(self.pass_write)
        self.pools: list[PoolView] = [DEVELOPERS]
        self.lag = lag
        self.answers: dict[str, dict[str, object]] = {}  # results that are not acknowledged
        self.acknowledged: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.before: Callable[[str, Key], None] | None = None  # may raise ApiError to refuse
        self.after: Callable[[str, Key], None] | None = None  # may raise ApiError to lose the answer
        self.writes = 0
        self.kill_at: tuple[int, str] | None = None
        self.calls: list[Call] = []  # that were made, in order
        self.answer_call: Callable[[Call], Answer] = lambda call: Answer({"status": 200, "body": None, "text": ""})
        self.spans: list[Span] = []  # of all operators, in the order in which they ended
        self.operator: Operator
        self._life: asyncio.Task[None]
        self.api.before = self._before
        self.api.after = self._after

    def take(self, spans: Sequence[Span]) -> None:
        """Keeps spans; is Tracer."""
        self.spans += spans

    async def call(self, call: Call, account: Account) -> Answer:
        """Answers the calls of steps; is Caller."""
        self.calls.append(call)
        return self.answer_call(call)

    async def _before(self, verb: str, key: Key) -> None:
        self.requests.append((verb, key.kind))
        await self.pass_write(verb, "before")
        if self.before:
            self.before(verb, key)

    async def _after(self, verb: str, key: Key) -> None:
        if self.after:
            self.after(verb, key)
        await self.pass_write(verb, "after")

    async def pass_write(self, verb: str, when: str) -> None:
        """Counts a write, and kills the operator at the one of `kill_at`."""
        if verb in {"get", "list"}:
            return
        self.writes += when == "before"
        if (self.writes, when) == self.kill_at:
            self.kill_at = None
            self._life.cancel()
            await asyncio.sleep(0)  # here the cancellation arrives

    @contextlib.asynccontextmanager
    async def operated(self) -> AsyncIterator["Cluster"]:
        """Runs an operator while the block lasts; `restart` kills it and starts another."""
        self.start()
        try:
            yield self
        finally:
            await self.kill()

    def start(self) -> None:
        self.operator = Operator(self)
        for task in list(self.answers):
            self._deliver(task)
        self._life = asyncio.create_task(self.operator.run())

    async def kill(self) -> None:
        if not self._life.cancelled():
            if self._life.done():
                self._life.result()
            self._life.cancel()
            await asyncio.wait([self._life])

    async def restart(self) -> None:
        await self.kill()
        self.start()

    # What people, agents and nodes do.

    def submit(self, *steps: JsonObject, **spec: object) -> JsonObject:
        return self.api.put(build_workflow("w", steps=list(steps), **spec))

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Lets time pass until a condition holds."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self.clock.sleep(0.01)
                    if self._life.cancelled():
                        self.start()
        except TimeoutError:
            raise AssertionError(f"it did not come to that; the status is {self.status}") from None

    async def end_pod(self, step: str, exit_code: int = 0, message: str = "") -> None:
        """Ends the newest Pod of a step once it is there."""
        await self.until(lambda: self._live_pods(step))
        [pod] = self._live_pods(step)
        self.finish_pod(pod, exit_code, message)

    def finish_pod(self, pod: JsonObject, exit_code: int, message: str) -> None:
        """Ends a Pod as the kubelet writes it."""
        end = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "message": message}
        end["finishedAt"] = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {
            "phase": "Failed" if exit_code else "Succeeded",
            "containerStatuses": [{"name": "main", "state": {"terminated": end}}],
        }
        self.api.change(Key("Pod", "default", pod["metadata"]["name"]), {"status": status})

    def _live_pods(self, step: str) -> list[JsonObject]:
        pods = self.api.all("Pod", f"vapora.dev/step={step}")
        return [pod for pod in pods if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}]

    def answer(self, task: str, outcome: str = "success", **fields: object) -> None:
        """Lets an agent answer a task."""
        self.answers[task] = {"outcome": outcome, **fields}
        self._deliver(task)

    def _deliver(self, task: str) -> None:
        async def acknowledge() -> None:
            self.answers.pop(task, None)
            self.acknowledged.append(task)

        self.operator.inbox.put(Delivery(self.answers[task], task, None, acknowledge, "default"))
        self.operator.queue.add(Key("Workflow", "default", "w"))

    # What is seen from outside.

    @property
    def workflow(self) -> JsonObject:
        found = self.api.find("Workflow", "w")
        assert found is not None
        return found

    @property
    def status(self) -> JsonObject:
        return (self.api.find("Workflow", "w") or {}).get("status", {})

    @property
    def phase(self) -> str:
        return self.status.get("phase", "")

    def step(self, name: str) -> JsonObject:
        return self.status.get("steps", {}).get(name, {})

    def condition(self, kind: str) -> str:
        found = [row for row in self.status.get("conditions", []) if row["type"] == kind]
        return f"{found[0]['status']} {found[0]['reason']}" if found else ""

    def count(self, verb: str, kind: str) -> int:
        return self.requests.count((verb, kind))

    def held_pods(self) -> list[str]:
        """The steps whose Pods carry our finalizer."""
        pods = self.api.all("Pod")
        return [pod["metadata"]["labels"]["vapora.dev/step"] for pod in pods if pod["metadata"].get("finalizers")]


def task_of(cluster: Cluster, step: str, item: int = 0, effect: int = 1) -> str:
    """The id of a task of the workflow."""
    return f"{cluster.workflow['metadata']['uid']}/{step}/{item}/{effect}"
