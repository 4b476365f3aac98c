"""Any course of a run with steps of every kind: kills, answers and requests at any time; what holds through it all."""

from __future__ import annotations

import os
import random
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.workflow.world import World, finished, run_step

from vapora.core.calls import Answer, DeleteCall, HttpCall
from vapora.core.plan import Action, Create, Key
from vapora.core.views import ChildView, PodView, WorkflowView
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.planner import plan_workflow
from vapora.core.workflow.status import State

SEEDS = range(int(os.environ.get("VAPORA_COURSES", "150")))
VERBS = ["pause", "resume", "cancel", "stop", "terminate", "rollback", "retry"]
UNDO = [{"run": {"image": "undo"}}, {"http": {"url": "undo"}}, {"none": True}]


def make_spec(draw: random.Random) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    for number in range(draw.randint(2, 7)):
        kind = draw.choice(["run", "run", "http", "apply", "wait", "workflow"])
        body: dict[str, Any] = {
            "run": {"image": "x"},
            "http": {"url": "do"},
            "apply": {"manifests": [{"kind": "ConfigMap"}]},
            "wait": {"for": draw.choice([0, 5])},
            "workflow": {"templateRef": {"name": "t"}},
        }[kind]
        step: dict[str, Any] = {"name": f"s{number}", kind: body, "retry": {"maxAttempts": 2, "initialDelay": 1}}
        step["dependsOn"] = [f"s{n}" for n in range(number) if draw.random() < 0.4]
        if kind in {"run", "http"} and draw.random() < 0.6:
            step["compensate"] = draw.choice(UNDO)
        if kind in {"run", "http", "apply"} and draw.random() < 0.25:
            step["forEach"] = {"items": list(range(draw.randint(1, 3))), "failureTolerance": draw.choice([0, 1])}
        steps.append(step)
    return {
        "steps": steps,
        "maxParallel": draw.randint(1, 3),
        "failFast": draw.random() < 0.7,
        "onFailure": draw.choice(["fail", "rollback", "rollback", "continue"]),
        "onCompletion": [run_step("last", retry={"maxAttempts": 1})] if draw.random() < 0.4 else [],
    }


class Course(World):
    """A world in which anything may happen next, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        super().__init__(make_spec(self.draw))
        assert isinstance(self.definition, Definition), self.definition
        self.ever: set[str] = set()
        self.open_keys: dict[str, str] = {}  # key of the last call of each unit that may have had its effect
        self.undone: set[str] = set()
        self.number = 0
        self.must_look_at_all = True
        self.seen: tuple[dict[Key, ChildView], set[str]] = ({}, set())
        self.refuse = self._note

    def _note(self, action: Action) -> None:
        name = getattr(getattr(action, "call", None), "key", "")
        if isinstance(getattr(action, "call", None), HttpCall):
            unit, _, _ = name.rpartition("/")
            former = self.open_keys.get(unit)
            assert former in {None, name}, f"{name} was sent while the outcome of {former} is not known"
            self.open_keys[unit] = name
        if isinstance(action, Create):
            child = str(action.manifest["metadata"]["name"])
            assert child not in self.ever, f"{child} was created twice"
            self.ever.add(child)

    def look(self) -> None:
        """One reconcile of what changed, perhaps killed before or after its write; one of everything decides alike."""
        is_killed = self.draw.random() < 0.15
        changed = self._take_changes()
        whole, part = (plan_workflow(self.observe(named), self.now) for named in (None, changed))
        assert part.plan.actions == whole.plan.actions, f"of {changed} alone other actions follow"
        assert part.status == whole.status, f"of {changed} alone another status follows"
        assert sorted(part.plan.events, key=repr) == sorted(whole.plan.events, key=repr)
        self.plan(write=not is_killed or self.draw.random() < 0.5, changed=changed)
        if is_killed:
            self.restart()
            self.must_look_at_all = True
        self._check()

    def _take_changes(self) -> frozenset[str] | None:
        """The children that are not as they were at the last look, and the effects that were answered since."""
        children, answered = dict(self.children), set(self.called)
        seen, known = self.seen
        self.seen = (children, answered)
        if self.must_look_at_all:
            self.must_look_at_all = False
            return None
        keys = children.keys() | seen.keys()
        changed = {key.name for key in keys if children.get(key) != seen.get(key)}
        return frozenset(changed | (answered - known))

    def _check(self) -> None:
        assert isinstance(self.definition, Definition)
        assert sum(unit.state.is_working for _, _, unit in self.status.units()) <= self.definition.spec.max_parallel
        for name, row in self.status.steps.items():
            if name.endswith("_undo") and row.unit.state.is_working:
                original = self.status.step(name.removesuffix("_undo")).state
                assert original is State.COMPENSATING, f"{name} runs while its step is {original}"

    def happen(self) -> None:
        """Lets one thing happen: an answer, an end, time."""
        calls = [name for name in self.waiting_calls() if name.rpartition("/")[0] in self.frontier.units]
        living = [key for key, view in self.children.items() if self._lives(view)]
        kind = self.draw.choice(["call"] * bool(calls) + ["child"] * bool(living) + ["time"])
        if kind == "call":
            self._answer(self.draw.choice(calls))
        elif kind == "child":
            self._end(self.draw.choice(living))
        else:
            self.pass_some_time()

    def _lives(self, view: object) -> bool:
        if isinstance(view, WorkflowView):
            asked = self.asked.get(view.meta.key.name, "")
            return view.phase not in {"Succeeded", "Failed", "Cancelled", "RolledBack"} or (
                asked.startswith("rollback") and view.handled_request != asked
            )
        return isinstance(view, PodView) and not view.is_finished

    def _answer(self, name: str) -> None:
        call, unit = self.calls[name], name.rpartition("/")[0].rpartition("/")[0]
        drawn = self.draw.random()
        if drawn < 0.2:
            self.open_keys.pop(unit, None)
            self.called[name] = Answer(reason="HttpRefused", message="no")
        elif drawn < 0.35:
            self.called[name] = Answer(reason="HttpTimeout", message="?", is_definite=False)
        else:
            self.open_keys.pop(unit, None)
            self.called[name] = Answer({} if isinstance(call, (HttpCall, DeleteCall)) else ["as it was"])

    def _end(self, key: Any) -> None:
        view = self.children[key]
        if isinstance(view, WorkflowView):
            asked = self.asked.get(key.name, "")
            phase = "RolledBack" if asked.startswith("rollback") else self.draw.choice(["Succeeded", "Failed"])
            fields = {"phase": phase, "handled_request": asked, "reason": "ExitCode", "finished_at": self.now}
            self.children[key] = type(view)(**{n: fields.get(n, getattr(view, n)) for n in view.__dataclass_fields__})
        else:
            self.children[key] = finished(view, self.now, exit_code=self.draw.choice([0, 0, 0, 1]))

    def pass_some_time(self) -> None:
        self.now += timedelta(seconds=self.draw.choice([1, 5, 40]))

    def demand(self) -> None:
        self.number += 1
        verb = self.draw.choice(VERBS)
        step = f"/s{self.draw.randrange(3)}" if verb == "retry" and self.draw.random() < 0.5 else ""
        self.request = f"{verb}{step} {self.number}"

    def finish_all(self) -> None:
        """Lets everything happen without any more requests until the run has ended."""
        self.request = f"resume {self.number + 1}"
        for _ in range(600):
            self.look()
            if self.status.phase.is_final:
                return
            self.happen()
        raise AssertionError(f"it never ends: {self.status.phase} {self.states()} {self.waiting_calls()}")


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_a_run_ends_and_does_nothing_twice(seed: int) -> None:
    course = Course(seed)
    for _ in range(course.draw.randint(1, 3)):
        for _ in range(course.draw.randint(3, 40)):
            course.look()
            course.happen()
            if course.draw.random() < 0.08:
                course.demand()
        course.finish_all()
    phase = course.status.phase
    course.request = ""
    course.settle()
    again = course.plan()
    assert (course.status.phase, again.plan.actions, again.plan.events) == (phase, (), ())
    not_undone = [n for n, row in course.status.steps.items() if row.state is State.COMPENSATING]
    assert not_undone == []
