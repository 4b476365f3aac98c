"""The stage on which an operator is disturbed: it runs behind proxies, dies at a chosen write, and is started again."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.chaos.api_proxy import ApiProxy
from tests.chaos.backstage import Backstage
from tests.chaos.broker_proxy import BrokerProxy
from tests.chaos.effects import EffectSite
from tests.chaos.forking import PROGRAM
from tests.chaos.gate import Fault, Gate, Write
from tests.chaos.outcome import (
    Outcome,
    compare,
    explain_unsettled,
    find_turn_back,
    read_history,
    read_outcome,
    read_reasons,
)
from tests.chaos.view import View
from tests.chaos.workflows import LEAF, LEAF_TEMPLATE, POOL, SIZED, SIZED_POOL, WORDS, WORKFLOWS, build_pool
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.process import Supervisor
from tests.cluster.waiting import wait_until
from tests.integration.engine import OperatorProcess, Operators
from tests.integration.objects import Objects

SETTLED_WITHIN = 120.0  # a run takes seconds; on a busy machine, many more
TRIES = 3
ENDS = {"WorkflowSucceeded", "WorkflowRolledBack"}
_ROLES = {"apiGroup": "rbac.authorization.k8s.io"}
_LOOK_EVERY = 0.1  # several stages share this process, and each look costs it


@dataclass(frozen=True, slots=True)
class Performance:
    """One run: what came of it, what the operator wrote for it, and the faults that struck."""

    outcome: Outcome
    writes: list[Write]
    struck: list[Fault]


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What each workflow comes to when nothing happens, and the writes that it takes every time."""

    outcomes: Mapping[str, Outcome]
    writes: Mapping[str, list[Write]]

    def compare(self, kind: str, run: Performance) -> str:
        """Return the lines in which what came of a run differs; "" where it does not."""
        return compare(run.outcome, self.outcomes[kind])


class Stage:
    """A namespace with a pool, served by one operator at a time."""

    def __init__(
        self,
        objects: Objects,
        started: Operators,
        gate: Gate,
        folder: Path,
        *,
        nats: NatsServer,
        broker: str,
        site: EffectSite,
        view: View,
    ) -> None:
        self.objects = objects
        self.gate = gate
        self.view = view
        self.nats = nats
        self.graph, self.work_log = folder / "graph.db", folder / "work.log"
        self._started = started
        self._site = site
        self._flags = ("--nats-url", broker, "--graph-url", f"sqlite://{self.graph}", "--outbound-allowed", "127.0.0.1")
        self._names = itertools.count(1)
        self._settled: dict[str, str] = {}
        self.operator = self.start()
        gate.victim = self.operator.process

    def start(self) -> OperatorProcess:
        """Start an operator of another name than any before."""
        return self._started.launch(f"{self.objects.namespace}-operator-{next(self._names)}", *self._flags)

    def ensure_operator(self) -> None:
        """Start an operator where it is dead.

        The dead one's Lease is deleted: how long it would be waited for is tested elsewhere, and the kill is over.
        """
        if not self.operator.process.is_running:
            self._release_lease()
            self.operator = self.start()
        if self.gate.victim is None or not self.gate.victim.is_running:
            self.gate.victim = self.operator.process

    def end_all(self, *others: OperatorProcess) -> None:
        """Kill the operator, and others that there are, where that is no fault in a run; the next one leads at once."""
        for operator in (self.operator, *others):
            operator.process.kill()
            operator.process.wait(10)

    def _release_lease(self) -> None:
        lease = f"/apis/coordination.k8s.io/v1/namespaces/{self.objects.namespace}-lease/leases/vapora-operator"
        assert self.objects.cluster.api.delete(lease).status_code in {httpx.codes.OK, httpx.codes.NOT_FOUND}

    def add_standby(self) -> OperatorProcess:
        """Have a second operator wait for the lease, look to that one from now on, and return the leader."""
        self.ensure_operator()
        leader = self.operator
        wait_until(lambda: leader.is_ready() and leader.is_leader, "there is a leader", within=SETTLED_WITHIN)
        self.operator = self.start()
        wait_until(self.operator.is_ready, "the standby is ready", within=SETTLED_WITHIN)
        self.gate.victim = leader.process
        return leader

    def start_race(self) -> OperatorProcess:
        """Have two operators start at once where there is none, look to the one, and return the other."""
        self.end_all()
        self._release_lease()
        rival, self.operator = self.start(), self.start()
        self.gate.victim = self.operator.process
        return rival

    def perform_until_struck(
        self, kind: str, faults: Mapping[Write, Fault], *, meanwhile: Callable[[str], None] | None = None
    ) -> Performance:
        """Run workflows until a fault strikes, or a few times in vain.

        A progress write is left out now and then, where the end comes first.
        """
        for _ in range(TRIES):
            run = self.perform(kind, faults, meanwhile=meanwhile)
            if run.struck:
                break
        return run

    def perform(
        self,
        kind: str,
        faults: Mapping[Write, Fault] | None = None,
        *,
        meanwhile: Callable[[str], None] | None = None,
        afterwards: Callable[[], None] | None = None,
        within: float = SETTLED_WITHIN,
    ) -> Performance:
        """Run a workflow to its end, starting the operator again should a fault kill it.

        `meanwhile` is called with the workflow's name once it is created, `afterwards` once it has ended, before its
        outcome is read.
        """
        self.ensure_operator()
        name = f"{kind}-{next(self._names)}"
        mark = self.objects.cluster.audit_position()
        self.gate.begin(name, faults or {})
        created = self.objects.create("Workflow", name, {**WORKFLOWS[kind], "params": {"site": self._site.url}})
        if words := WORDS.get(kind):
            self.objects.patch("Workflow", name, {"metadata": {"annotations": words}})
        if meanwhile is not None:
            meanwhile(name)
        self._await_settled(name, within)
        wait_until(lambda: not self.gate.is_striking, "a kill at the last write is over")
        if afterwards is not None:
            afterwards()
        self.gate.end()
        self._settled[name] = self._version(name)
        outcome = read_outcome(
            self.objects,
            name,
            audit=self.objects.cluster.audit_events(mark),
            graph=self.graph,
            work_log=self.work_log,
            keys=self._site.keys(name),
        )
        turn_back = find_turn_back(read_history(self.objects, created))
        assert not turn_back, turn_back
        return Performance(outcome, self.gate.writes, self.gate.struck)

    def perform_undisturbed(self, kind: str) -> Performance:
        """Run a workflow to its last Event."""
        names: list[str] = []

        def wait_for_event() -> None:
            told = f"the end of {names[0]} is told"
            wait_until(lambda: ENDS & set(read_reasons(self.objects, names[0])), told)

        return self.perform(kind, meanwhile=names.append, afterwards=wait_for_event)

    def find_rewritten(self) -> list[str]:
        """Return the workflows that somebody wrote to after they had ended and were let go."""
        return [name for name, version in self._settled.items() if self._version(name) != version]

    def _version(self, name: str) -> str:
        return str(self.objects.get("Workflow", name)["metadata"]["resourceVersion"])

    def _await_settled(self, name: str, within: float) -> None:
        def is_settled() -> bool:
            process = self.operator.process
            if not process.is_running:
                wait_until(lambda: not self.gate.is_striking, "the kill is over")
                assert process in self.gate.killed, f"{process.name} ended by itself: {process.tail()}"
                self.ensure_operator()
            return not explain_unsettled(self.objects, name)

        try:
            wait_until(is_settled, f"{name} has ended and is let go", within=within, every=_LOOK_EVERY)
        except TimeoutError as late:
            why = explain_unsettled(self.objects, name)
            raise AssertionError(f"{late}: {why}\n{self.operator.process.tail()}") from None


@contextmanager
def set_stage(
    cluster: Cluster, nats: NatsServer, folder: Path, namespace: str, *, supervisor: Supervisor | None = None
) -> Iterator[Stage]:
    """Set up a namespace with a pool whose agent is ready, the proxies, and an operator that sees it alone.

    `supervisor` is one of forking.PROGRAM, of its own unless it is given.
    """
    cluster.create_namespace(namespace)
    cluster.create_namespace(f"{namespace}-lease")
    gate, objects = Gate(namespace), Objects(cluster, namespace)
    forking = nullcontext(supervisor) if supervisor else Supervisor("vapora-operators-", program=PROGRAM)
    with Backstage() as backstage, forking as forks:
        api = backstage.run(ApiProxy(cluster, gate).__aenter__())
        broker = backstage.run(BrokerProxy(nats.port, gate).__aenter__())
        site = backstage.run(EffectSite(gate).__aenter__())
        try:
            started = Operators(cluster, f"{namespace}-lease", forks, api.write_kubeconfig(folder / "kubeconfig"))
            stage = Stage(objects, started, gate, folder, nats=nats, broker=broker.url, site=site, view=api.view)
            furnish(stage)
            wait_until(
                lambda: objects.condition("AgentPool", POOL, "Ready").get("status") == "True",
                "the pool is ready",
                within=60,
            )
            yield stage
            clear(stage)
            stage.end_all()
        finally:
            backstage.run(site.__aexit__(None, None, None))
            backstage.run(broker.__aexit__(None, None, None))
            backstage.run(api.__aexit__(None, None, None))
    for name in (namespace, f"{namespace}-lease"):
        cluster.api.delete(f"/api/v1/namespaces/{name}").raise_for_status()


def furnish(stage: Stage) -> None:
    """Make what the workflows need: pools, a template, and what their account may do."""
    objects = stage.objects
    objects.create("AgentPool", POOL, build_pool(stage.work_log, stage.nats.url))
    objects.create("AgentPool", SIZED, SIZED_POOL)
    objects.create("WorkflowTemplate", LEAF, LEAF_TEMPLATE)
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{objects.namespace}"
    sizes = {"apiGroups": ["vapora.dev"], "resources": ["agentpools", "agentpools/scale"], "verbs": ["get", "patch"]}
    who = {"subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": objects.namespace}]}
    for path, name, body in (
        ("roles", "sizes", {"rules": [sizes]}),
        ("rolebindings", "sizes", {**who, "roleRef": {**_ROLES, "kind": "Role", "name": "sizes"}}),
        ("rolebindings", "edit", {**who, "roleRef": {**_ROLES, "kind": "ClusterRole", "name": "admin"}}),
    ):
        answer = objects.cluster.api.post(f"{roles}/{path}", json={"metadata": {"name": name}, **body})
        assert answer.status_code == httpx.codes.CREATED, answer.text


def clear(stage: Stage) -> None:
    """Delete what the operator must let go, while there is one."""
    objects = stage.objects
    stage.ensure_operator()
    for kind in ("Workflow", "AgentPool"):
        objects.cluster.api.delete(objects.path(kind)).raise_for_status()
        try:
            wait_until(lambda kind=kind: not objects.all(kind), f"there is no {kind} any more", within=60, every=0.2)
        except TimeoutError as late:
            raise AssertionError(f"{late}: {objects.all(kind)}\n{stage.operator.process.tail(50)}") from None
