"""A run in which anything may happen at any time: what becomes of a try is fixed, when it is seen is drawn.

A `Fate` decides by (step, item, try) how a child ends and by (step, item, effect) what an agent answers. A `Run` draws
from its own seed the order of events, when the planner looks, when it writes, and when the operator is killed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.unit.workflow.specs import Spec
from tests.unit.workflow.world import DETECTOR, World, finished, pool

from vapora.core import naming
from vapora.core.plan import Action, Create, Key, Problem, Publish
from vapora.core.views import JobView, PodView
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.frontier import build_frontier
from vapora.core.workflow.observed import Surroundings, WorkflowPlan
from vapora.core.workflow.planner import plan_workflow
from vapora.core.workflow.release import find_settled, is_finished, read_labels
from vapora.core.workflow.results import AgentResult, find_answered
from vapora.core.workflow.status import State

ENDS = {  # how a child ends: weight
    "success": 70,
    "exit": 10,
    "oom": 2,
    "evicted": 5,
    "node lost": 3,
    "no image": 3,
    "no words": 2,
    "hangs": 4,
    "stays pending": 3,
    "vanishes": 2,
    "refused": 3,
}
ANSWERS = {  # what an agent answers: weight
    "success": 70,
    "failure": 12,
    "refusal": 3,
    "gives up": 4,
    "undeliverable": 4,
    "no words": 2,
    "silence": 8,
}
PODS = {
    "exit": {"exit_code": 3, "message": "no such table"},
    "oom": {"exit_code": 137, "reason": "OOMKilled"},
    "evicted": {"exit_code": 137, "disruption": "EvictionByEvictionAPI", "message": "drained"},
    "node lost": {"exit_code": 137, "disruption": "DeletionByPodGC"},
}


WRITE_WITHIN = timedelta(milliseconds=500)


@dataclass(frozen=True)
class Fate:
    """Draws what becomes of each try from a seed; `is_kind` has everything succeed at once."""

    seed: int
    is_kind: bool = False

    def draw(self, what: str, step: str, item: int, number: int) -> random.Random:
        return random.Random(f"{self.seed}/{what}/{step}/{item}/{number}")

    def end(self, step: Spec, item: int, try_: int) -> str:
        drawn = self.draw("end", str(step["name"]), item, try_).choices(list(ENDS), list(ENDS.values()))[0]
        hangs = drawn == "hangs" and "timeout" not in step
        stays = drawn == "stays pending" and "pendingTimeout" not in step and "timeout" not in step
        is_unseen = drawn == "no image" and step.get("run", {}).get("executor") == "Job"  # only its Pod tells
        return "success" if self.is_kind or hangs or stays or is_unseen else drawn

    def answer(self, step: Spec, item: int, effect: int) -> str:
        drawn = self.draw("answer", str(step["name"]), item, effect).choices(list(ANSWERS), list(ANSWERS.values()))[0]
        return "success" if self.is_kind or (drawn == "silence" and "timeout" not in step) else drawn


@dataclass(order=True)
class Happening:
    """Something that the world does at a time."""

    at: datetime
    number: int
    kind: str = field(compare=False)
    name: str = field(compare=False)


class Run(World):
    """Is one workflow under one fate and one schedule, with every invariant checked at each plan."""

    def __init__(
        self,
        spec: Mapping[str, object],
        fate: Fate,
        schedule: int,
        *,
        kills: float = 0.0,
        is_incremental: bool = True,
        cancels: bool = False,
    ) -> None:
        super().__init__(spec, pools=(pool("p"), pool("q")))
        assert isinstance(self.definition, Definition), self.definition
        self.fate = fate
        self.chance = random.Random(schedule)
        self.kills = kills
        self.is_incremental = is_incremental
        self.specs = {str(step["name"]): step for step in spec["steps"]}
        self.happenings: list[Happening] = []
        self.serial = 0
        self.news: set[str] = set()
        self.must_look_at_all = True
        self.look_at: datetime | None = self.now
        self.write_at: datetime | None = None  # when what is decided must be written
        self.refuse = self._refuse
        self.ever_created: set[str] = set()
        self.ever_published: set[str] = set()
        self.answers: dict[str, AgentResult] = {}  # those that nobody waits for any more
        self.restarts = 0
        if cancels:
            self._expect("cancel", "", self.chance.uniform(0, 40))
        for moment in range(0, 60, 7) if self.chance.random() < 0.3 else ():
            self._expect("pools", "", moment)
        for moment in range(0, 60, 9) if self.chance.random() < 0.3 else ():
            self._expect("broker", "", moment)

    # The course of things.

    def run_to_the_end(self) -> None:
        """Lets everything happen until the workflow has ended and nothing more is to come."""
        for _ in range(3000):
            self._let_happen()
            if self.look_at is not None and self.now >= self.look_at:
                self.look()
            elif self.status.phase.is_final and not self.happenings:
                return
            elif not self._wait():
                raise AssertionError(f"nothing will ever wake it: {self.states()}")
        raise AssertionError(f"it never ends: {self.states()}")

    def look(self) -> WorkflowPlan:
        """One reconcile: plan, carry out, write perhaps, or be killed before or after that."""
        changed = None if self.must_look_at_all or not self.is_incremental else frozenset(self.news)
        was_final, phase = self.status.phase.is_final, self.status.phase
        self.news, self.look_at, self.must_look_at_all = set(), None, False
        decided = self.plan(write=False, changed=changed)
        self._check(decided)
        assert not was_final or (self.status.phase, decided.plan.actions) == (phase, ()), "it ended twice"
        if self.chance.random() < self.kills:
            self.kill()
            return decided
        due = self.write_at or self.now + WRITE_WITHIN
        if decided.plan.urgent or self.now >= due or self.chance.random() < 0.5:
            self.write()
        else:
            self.write_at = self.look_at = due
        if decided.durable_first:
            self.look_at = self.now
        elif decided.plan.requeue_after is not None:
            moment = self.now + timedelta(seconds=decided.plan.requeue_after)
            self.look_at = min(moment, self.look_at or moment)
        if self.chance.random() < self.kills:
            self.kill()
        return decided

    def write(self) -> None:
        """Makes the status durable, and lets go what that settles."""
        self.written, self.write_at = self.status, None
        self._check_rebuilt()
        for answered in find_answered(self.written, self.results):
            self.answers[answered.task_id] = self.results.pop(answered.task_id)
        for view in find_settled(self.written, list(self.children.values())):
            if is_finished(view) or view.meta.is_deleting:
                del self.children[view.meta.key]

    def kill(self) -> None:
        """Ends the operator and starts it anew with what is written."""
        self.restarts += 1
        self.restart()
        self.must_look_at_all, self.look_at, self.write_at = True, self.now, None

    def _wait(self) -> bool:
        moments = [happening.at for happening in self.happenings] + ([self.look_at] if self.look_at else [])
        if not moments:
            return False
        self.now = max(self.now, min(moments)) + timedelta(milliseconds=self.chance.randrange(3))
        return True

    def _let_happen(self) -> None:
        """Does what is due, in any order; a look in between is as likely as none."""
        due = [happening for happening in self.happenings if happening.at <= self.now]
        self.chance.shuffle(due)
        for happening in due:
            self.happenings.remove(happening)
            getattr(self, f"_{happening.kind}")(happening.name)
            if self.chance.random() < 0.4:
                self.look_at = self.now
                self.look()

    def _expect(self, kind: str, name: str, seconds: float) -> None:
        self.serial += 1
        self.happenings.append(Happening(self.now + timedelta(seconds=seconds), self.serial, kind, name))

    def _tell(self, name: str) -> None:
        self.news.add(name)
        self.look_at = self.now

    # What the cluster does.

    def _refuse(self, action: Action) -> Problem | None:
        if isinstance(action, Publish):
            self._check_publish(action)
            if action.message_id not in self.ever_published:
                self.ever_published.add(action.message_id)
                self._expect("answer_task", action.message_id, self.chance.uniform(0.1, 8))
        if not isinstance(action, Create):
            return None
        step, item, try_ = self._labels(action)
        self._check_dependencies(step)
        if self.fate.end(self.specs[step], item, try_) == "refused":
            return Problem(action, "Forbidden", "exceeded quota", is_permanent=True)
        name = str(action.manifest["metadata"]["name"])
        assert name not in self.ever_created, f"{step} item {item} try {try_} was created twice"
        self.ever_created.add(name)
        self._expect("start_child", name, self.chance.uniform(0, 2))
        return None

    def _labels(self, create: Create) -> tuple[str, int, int]:
        labels = create.manifest["metadata"]["labels"]
        item = labels.get(naming.LABEL_ITEM)
        return (
            labels[naming.LABEL_STEP],
            naming.NO_ITEM if item is None else int(item),
            int(labels[naming.LABEL_TRY]),
        )

    def _find(self, name: str) -> Key | None:
        return next((key for key in self.children if key.name == name), None)

    def _start_child(self, name: str) -> None:
        key = self._find(name)
        if key is None or self.children[key].meta.is_deleting:
            return self._expect("end_child", name, 0)
        view, end = self.children[key], self._end_of(key)
        if isinstance(view, PodView):
            if end == "no image":
                view = replace(view, waiting_reason="ImagePullBackOff", waiting_message="not found")
            elif end == "stays pending":
                view = replace(view, unschedulable="no node has room")
            else:
                view = replace(view, phase="Running")
            self.children[key] = view
            self._tell(name)
        if end not in {"no image", "stays pending", "hangs"}:
            self._expect("end_child", name, self.chance.uniform(0, 6))
        return None

    def _end_of(self, key: Key) -> str:
        step, item, try_ = read_labels(self.children[key])
        return self.fate.end(self.specs[step], item, try_)

    def _end_child(self, name: str) -> None:
        key = self._find(name)
        if key is None:
            return
        view, end = self.children[key], self._end_of(key)
        if isinstance(view, JobView):
            is_well = end in {"success", "no words", "vanishes"} and not view.meta.is_deleting
            ended = replace(view, is_complete=is_well, is_failed=not is_well, finished_at=self.now)
            self.children[key] = replace(ended, reason="DeadlineExceeded" if end == "hangs" else "BackoffLimitExceeded")
        elif view.meta.is_deleting and end not in PODS:
            self.children[key] = finished(view, self.now, exit_code=143)
        elif end == "vanishes" and self._is_seen_running(name):
            del self.children[key]
        elif end == "vanishes":
            self._expect("end_child", name, 1)
        else:
            words = {} if end == "no words" else {"message": '{"v": 1}'}
            self.children[key] = finished(view, self.now, **{**words, **PODS.get(end, {})})
        self._tell(name)

    def _is_seen_running(self, name: str) -> bool:
        units = [unit for _, _, unit in self.written.units() if unit.state is State.RUNNING]
        return any(unit.child is not None and unit.child.name == name for unit in units)

    def _answer_task(self, task: str) -> None:
        _, step, item, effect = task.split("/")
        answer = self.fate.answer(self.specs[step], int(item), int(effect))
        if answer == "silence" or task in self.results or task in self.answers:
            return
        self.results[task] = {
            "success": AgentResult("success", {"v": 1}),
            "no words": AgentResult("success"),
            "failure": AgentResult("failure", message="tests are red"),
            "refusal": AgentResult("failure", message="not my work", is_retryable=False),
            "gives up": AgentResult("cancelled"),
            "undeliverable": AgentResult("failure", code="Undeliverable"),
        }[answer]
        self._tell(task)

    def _cancel(self, _: str) -> None:
        self.request = "cancel 1"
        self._tell("")

    def _pools(self, _: str) -> None:
        is_ready = not self.pools[0].is_ready or self.chance.random() < 0.5
        self.pools = tuple(replace(known, is_ready=is_ready) for known in self.pools)
        self._tell("")
        if not is_ready:
            self._expect("pools", "", 5)

    def _broker(self, _: str) -> None:
        problem = None if self.surroundings.broker_problem else "no connection"
        self.surroundings = Surroundings(DETECTOR, broker_problem=problem)
        if problem:
            self._expect("broker", "", 8)

    # What must hold at each plan.

    def _check(self, decided: WorkflowPlan) -> None:
        assert isinstance(self.definition, Definition)
        for key, view in list(self.children.items()):
            if view.meta.is_deleting and not any(h.name == key.name and h.kind == "end_child" for h in self.happenings):
                self._expect("end_child", key.name, self.chance.uniform(0, 3))
        working = sum(unit.state.is_working for _, _, unit in self.status.units())
        assert working <= self.definition.spec.max_parallel, "more than maxParallel at once"
        assert decided.frontier.working == working, "the count of what runs is wrong"
        living = sum(not view.meta.is_deleting and not is_finished(view) for view in self.children.values())
        assert living <= self.definition.spec.max_parallel, "more children than maxParallel at once"

    def _check_dependencies(self, step: str) -> None:
        """A step may begin once all that it waits for has ended, as it is written where it cannot be read back."""
        assert isinstance(self.definition, Definition)
        graph = self.definition.graph
        for need in graph.needs[graph.index[step]]:
            before = graph.names[need.step]
            unit = self.decided.status.step(before).unit
            assert unit.state.is_final, f"{step} began before {before} ended"
            if need.kind == "hard":
                skipped_well = unit.state is State.SKIPPED and unit.reason in {"WhenFalse", "ConditionFalse"}
                assert unit.state is State.SUCCEEDED or skipped_well, f"{step} began although {before} is {unit.state}"
            if "agent" in self.specs[before] and unit.tries:
                assert self.written.step(before).state.is_final, f"{step} began before {before}'s result was written"

    def _check_publish(self, publish: Publish) -> None:
        uid, step, item, effect = publish.message_id.split("/")
        self._check_dependencies(step)
        units = self.written.step(step).units.values()
        assert any(unit.effect == int(effect) for unit in units), "a task was given out before that was written"
        for former in range(1, int(effect)):
            known = f"{uid}/{step}/{item}/{former}"
            answer = self.results.get(known) or self.answers.get(known)
            has_failed = answer is not None and (answer.outcome != "success" or answer.output is None)
            assert known not in self.ever_published or has_failed, (
                f"effect {effect} of {step} was made although {former} had not definitely failed"
            )

    def _check_rebuilt(self) -> None:
        """A frontier made anew from what is written leads to the same decisions as the one that was kept."""
        if isinstance(self.definition, Definition):
            rebuilt = build_frontier(self.definition.graph, self.status, self.identity)
            kept = plan_workflow(self.observe(), self.now)
            anew = plan_workflow(replace(self.observe(), frontier=rebuilt), self.now)
            assert (kept.plan.actions, kept.status) == (anew.plan.actions, anew.status), "the memo decides otherwise"


def settle(run: Run) -> WorkflowPlan:
    """Looks and writes until a look asks for no other at once."""
    for _ in range(50):
        decided = run.plan()
        if not decided.durable_first and decided.plan.requeue_after != 0:
            return decided
    raise AssertionError("the plan never comes to rest")
