"""A world for planner tests: it does what a plan asks, instantly, and lets a test say how children end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.unit.workflow.procedures import PROCEDURES, UNDOINGS

from vapora.api.reasons import Reason
from vapora.controller.executor import name_of
from vapora.core import naming
from vapora.core.budget.spending import Spend, Spending
from vapora.core.calls import Answer, Call, Perform
from vapora.core.gpu.detector import Detector
from vapora.core.gpu.vocabulary import load_vocabulary
from vapora.core.learning.assignment import PoolView
from vapora.core.learning.execution import Execution
from vapora.core.learning.profile import Learned
from vapora.core.plan import Action, CancelTask, Create, Delete, Event, Key, Look, Patch, Problem, Publish
from vapora.core.supported import SpecProblem
from vapora.core.views import ChildView, ContainerEnd, JobView, PodView, WorkflowView, project
from vapora.core.workflow.codec import decode_status
from vapora.core.workflow.definition import read_definition
from vapora.core.workflow.estimates import Durations, Estimates, estimate_steps
from vapora.core.workflow.frontier import Frontier
from vapora.core.workflow.observed import Observed, Surroundings, WorkflowPlan
from vapora.core.workflow.planner import plan_workflow
from vapora.core.workflow.readings import Reading
from vapora.core.workflow.results import AgentResult
from vapora.core.workflow.stages import build_stage_frontier
from vapora.core.workflow.status import Identity, StepStatus, WorkflowStatus
from vapora.core.workflow.summary import build_status

JsonObject = dict[str, object]
START = datetime(2026, 1, 1, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"
DETECTOR = Detector(load_vocabulary())
EMPTY_LOG = Reading(problem="its log is empty")
REASONS = {str(reason) for reason in Reason}


def run_step(name: str, **fields: object) -> dict[str, object]:
    """A step that runs a container."""
    return {"name": name, "run": {"image": "busybox"}, **fields}


def agent_step(name: str, **fields: object) -> dict[str, object]:
    """A step that gives a task to a pool of developers."""
    return {"name": name, "agent": {"role": "developer", "title": "work"}, **fields}


class World:
    """Holds one workflow, its children and the time; `plan` decides and does at once what was decided."""

    def __init__(self, spec: Mapping[str, object], *, pools: tuple[PoolView, ...] = ()) -> None:
        self.identity = Identity("default", "wf", UID)
        self.definition = read_definition(spec)
        self.now = START
        self.children: dict[Key, ChildView] = {}
        self.results: dict[str, AgentResult] = {}
        self.problems: dict[str, Problem] = {}
        self.refuse: Callable[[Action], Problem | None] | None = None
        self.pools = pools
        self.learned: Learned | None = None
        self.readings: dict[str, Reading] = {}  # by the uid of the Pod
        self.spending: dict[str, Spending] = {}  # what others than this run have spent and reserved
        self.durations: Durations | None = None
        self.request = ""
        self.outdated = ("", "")
        self.deleted_at: datetime | None = None
        self.finalizers: tuple[str, ...] = ()
        self.surroundings = Surroundings(DETECTOR, procedures=PROCEDURES, undoings=UNDOINGS)
        self.called: dict[str, Answer] = {}
        self.calls: dict[str, Call] = {}
        self.words: dict[str, object] = {}
        self.is_paused = self.must_rerun = False
        self.status = self.written = WorkflowStatus()
        self.frontier = self._rebuild()
        self.created: list[str] = []
        self.manifests: list[Mapping[str, object]] = []
        self.published: list[str] = []
        self.asked: dict[str, str] = {}  # the last request made of each child Workflow
        self.cancelled: list[str] = []
        self.events: list[Event] = []
        self.executions: list[Execution] = []
        self.most_at_once = 0

    def _rebuild(self) -> Frontier:
        if isinstance(self.definition, SpecProblem):
            return Frontier(waiting=[])
        return build_stage_frontier(self.definition, self.status, self.identity)

    def restart(self) -> None:
        """Forgets all that is not written, as a killed operator does."""
        raw = build_status(self.observe(), self.written, {}, self.now, is_recorded=False)
        self.status = self.written = decode_status(self.identity, raw)
        self.calls = {name: call for name, call in self.calls.items() if name in self.called}
        self.called = {}
        self.frontier = self._rebuild()

    def observe(self, changed: frozenset[str] | None = None) -> Observed:
        return Observed(
            identity=self.identity,
            answers=self.called,
            underway=frozenset(self.calls) - frozenset(self.called),
            words=self.words,
            is_paused=self.is_paused,
            must_rerun=self.must_rerun,
            generation=1,
            created_at=START,
            deleted_at=self.deleted_at,
            finalizers=self.finalizers,
            outdated=self.outdated,
            spec_digest=getattr(self.definition, "digest", ""),
            request=self.request,
            definition=self.definition,
            status=self.status,
            written=self.written,
            frontier=self.frontier,
            children=self.children,
            surroundings=self.surroundings,
            changed=changed,
            results=self.results,
            pools=self.pools,
            learned=self.learned,
            spending=self.spending,
            estimates=self._estimate(),
            problems=self.problems,
        )

    def _estimate(self) -> Estimates | None:
        if self.durations is None or isinstance(self.definition, SpecProblem):
            return None
        return estimate_steps(self.definition, self.durations)

    def plan(self, *, write: bool = True, changed: frozenset[str] | None = None) -> WorkflowPlan:
        """Plans once and carries the plan out; plans again with what was refused, as the engine does."""
        observed, done = self.observe(changed), list[Action]()
        while True:
            decided = plan_workflow(observed, self.now)
            if decided.unread:
                read = {uid: self.readings.get(uid, EMPTY_LOG) for uid in decided.unread}
                decided = plan_workflow(replace(observed, readings=read), self.now)
            self.decided = decided
            fresh = [action for action in decided.plan.actions if action not in done]
            done += fresh
            refused = [problem for action in fresh if (problem := self._do(action))]
            if not refused:
                break
            observed = replace(observed, problems={**observed.problems, **{name_of(p.action): p for p in refused}})
        self.events += decided.plan.events
        assert {event.reason for event in decided.plan.events} <= REASONS
        assert {row.unit.reason for row in decided.status.steps.values()} <= REASONS | {""}
        self.executions += decided.executions
        for execution in decided.executions:
            if isinstance(known := self.spending.get(execution.pool.rpartition("/")[2]), Spend):
                week, month = known.week + execution.cost_cents, known.month + execution.cost_cents
                self.spending[execution.pool.rpartition("/")[2]] = Spend(week, month, known.reserved)
        self.status, self.frontier = decided.status, decided.frontier
        if write:
            self.written = decided.status
        self.most_at_once = max(self.most_at_once, len(self.running()))
        return decided

    def _do(self, action: Action) -> Problem | None:
        if self.refuse is not None and (problem := self.refuse(action)):
            return problem
        match action:
            case Create(manifest):
                self._create(manifest)
            case Delete(key, _):
                self.children[key] = deleting(self.children[key])
            case Look(key) if key not in self.children:
                return Problem(action, "NotFound", f"{key.kind} {key.name} not found", is_permanent=True)
            case Perform(id=name, call=call):
                self.calls.setdefault(name, call)
            case Publish(message_id=message_id):
                self.published.append(message_id)
            case CancelTask(message_id=message_id):
                self.cancelled.append(message_id)
            case Patch(key, body=body) if key.kind == "Workflow" and key != self.observe().workflow:
                self.asked[key.name] = said = body["metadata"]["annotations"]["vapora.dev/request"]
                self.children[key] = replace(self.children[key], request=said)
            case Patch(body=body):
                self.finalizers = tuple(body["metadata"]["finalizers"])
        return None

    def settle(self) -> WorkflowPlan:
        """Plans until nothing more changes, at this moment."""
        for _ in range(100):
            before = self._count()
            decided = self.plan()
            if self._count() == before and not decided.durable_first:
                return decided
        raise AssertionError("the plan never comes to rest")

    def _count(self) -> tuple[object, ...]:
        return (self.status, len(self.created), len(self.published), len(self.calls))

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.settle()

    def _create(self, manifest: Mapping[str, object]) -> None:
        meta = dict(manifest["metadata"])
        meta |= {"uid": f"uid-{meta['name']}", "creationTimestamp": self.now.isoformat()}
        kind = str(manifest["kind"])
        view = project({**manifest, "metadata": meta}, kind)
        if isinstance(view, PodView):
            view = replace(view, node="node-1")
        assert view.meta.key not in self.children, "a child was created twice"
        self.children[view.meta.key] = view
        self.manifests.append(manifest)
        self.created.append(view.meta.key.name)

    # What a test does to children.

    def child(self, step: str, item: int | None = None, try_: int | None = None) -> Key:
        """The newest child of a unit, or that of one try."""
        found = [
            (int(view.meta.labels[naming.LABEL_TRY]), key)
            for key, view in self.children.items()
            if view.meta.labels.get(naming.LABEL_STEP) == step
            and (item is None or view.meta.labels.get(naming.LABEL_ITEM) == str(item))
        ]
        return dict(found)[try_] if try_ else max(found, key=lambda row: row[0])[1]

    def finish(
        self, step: str, item: int | None = None, *, exit_code: int = 0, message: str = "", **pod: object
    ) -> None:
        """Ends a child as a kubelet writes it, and settles."""
        key = self.child(step, item)
        view = self.children[key]
        if isinstance(view, JobView):
            ended = replace(view, is_complete=exit_code == 0, is_failed=exit_code != 0, finished_at=self.now)
        else:
            ended = finished(view, self.now, exit_code=exit_code, message=message, **pod)
        self.children[key] = ended
        self.settle()

    def answer(self, step: str, item: int = 0, **fields: object) -> None:
        """Lets the agent of the newest effect answer, and settles."""
        mine = [task for task in self.published if task.split("/")[1:3] == [step, str(item)]]
        self.results[mine[-1]] = AgentResult(**{"outcome": "success", **fields})
        self.settle()

    def reply(self, step: str, value: object = None, *, item: int = 0, **failure: object) -> None:
        """Answers the call that a step waits for, and settles."""
        [name] = [name for name in self.waiting_calls() if name.split("/")[1:3] == [step, str(item)]]
        self.called[name] = Answer(value, **failure)
        self.settle()

    def waiting_calls(self) -> list[str]:
        """The ids of the calls that nothing answered yet."""
        return [name for name in self.calls if name not in self.called]

    def say(self, word: str) -> None:
        """Lets a person say `approve <step> <user>` or `reject <step> <user>`, and settles."""
        self.words[f"approval.vapora.dev/{len(self.words)}"] = word
        self.settle()

    def ask(self, request: str) -> None:
        """Writes the request annotation, and settles."""
        self.request = request
        self.settle()

    def end_workflow(self, step: str, phase: str = "Succeeded", *, item: int | None = None, **fields: object) -> None:
        """Ends the child Workflow of a step, and settles."""
        key = self.child(step, item)
        view = self.children[key]
        assert isinstance(view, WorkflowView)
        self.children[key] = replace(view, **{"phase": phase, "finished_at": self.now, **fields})
        self.settle()

    def published_status(self, *, is_recorded: bool = False, before: JsonObject | None = None) -> JsonObject:
        """The status as it would be written now."""
        return build_status(self.observe(), self.status, before or {}, self.now, is_recorded=is_recorded)

    def running(self) -> list[Key]:
        """The children that take a place."""
        return [
            key
            for key, view in self.children.items()
            if isinstance(view, PodView) and not view.is_finished and not view.meta.is_deleting
        ]

    def step(self, name: str) -> StepStatus:
        return self.status.step(name)

    def states(self) -> dict[str, str]:
        return {name: str(step.state) for name, step in self.status.steps.items()}


def deleting(view: ChildView) -> ChildView:
    return replace(view, meta=replace(view.meta, is_deleting=True))


def finished(view: ChildView, now: datetime, *, exit_code: int = 0, message: str = "", **pod: object) -> PodView:
    """A Pod as it stands once its container ended."""
    assert isinstance(view, PodView)
    end = ContainerEnd(exit_code, str(pod.pop("reason", "Completed" if exit_code == 0 else "Error")), message, now)
    phase = "Succeeded" if exit_code == 0 else "Failed"
    return replace(view, **{"phase": phase, "node": "node-1", "end": end, **pod})


def pool(name: str, **fields: object) -> PoolView:
    """A ready pool of developers."""
    return PoolView(
        **{
            "namespace": "default",
            "name": name,
            "role": "developer",
            "capabilities": frozenset(),
            "replicas": 5,
            "max_concurrent": 2,
            "in_flight": 0,
            **fields,
        }
    )
