"""What must hold after every single event, seen from outside: by what the API server and the broker were told."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.kube_objects import KubeObjects
from tests.simulation.broker import Broker
from tests.simulation.kinds import KINDS, Json, Verdict
from tests.simulation.loop import Violation
from tests.simulation.nodes import Nodes, Try
from tests.simulation.specs import Drawn

from vapora.core.plan import Key

FINAL = {"Succeeded", "Failed", "Cancelled", "Skipped"}
_WORKING = {"Starting", "Running"}
_STUCK = {"hangs", "no image", "stays pending"}


@dataclass(slots=True)
class Guard:
    """Watches one workflow. `fail` is told of what must never happen; `is_usurped` while two operators race,
    `is_rushed` once a clock said that a time was over which was not, `is_unanswered` where answers are lost: whoever
    does not know yet of a child that it asked for may start one too many."""

    drawn: Drawn
    objects: KubeObjects
    nodes: Nodes
    broker: Broker
    key: Key
    fail: Callable[[BaseException], None]
    is_usurped: bool = False
    is_rushed: bool = False
    is_unanswered: bool = False

    @property
    def status(self) -> Json:
        found = self.objects.find(self.key)
        return found.get("status", {}) if found else {}

    def on_change(self, change: str, obj: Json, former: Json | None) -> None:
        try:
            kind = obj["kind"]
            if kind == "Workflow" and change == "MODIFIED" and former is not None:
                self._check_status(former.get("status", {}), obj.get("status", {}))
            elif kind in {"Pod", "Job"} and change == "ADDED" and "vapora.dev/step" in obj["metadata"]["labels"]:
                self._check_child(kind, obj)
        except Violation as problem:
            self.fail(problem)

    def on_publish(self, task: str) -> None:
        try:
            self._check_task(task)
        except Violation as problem:
            self.fail(problem)

    # The written status.

    def _check_status(self, was: Json, status: Json) -> None:
        if was is status:
            return
        if was.get("phase") in FINAL:
            _demand(status.get("phase") == was["phase"], f"phase {was['phase']} became {status.get('phase')}")
        former, steps = was.get("steps", {}), status.get("steps", {})
        for name, row in former.items():
            if steps.get(name) is not row:
                _check_step(name, row, steps.get(name, {}))
        working = sum(_count_working(row) for row in steps.values())
        limit = self.drawn.spec["maxParallel"]
        _demand(working <= limit or self.is_unanswered, f"{working} units work at once; maxParallel is {limit}")

    # What is started.

    def _check_child(self, kind: str, obj: Json) -> None:
        meta = obj["metadata"]
        if kind == "Pod" and meta["ownerReferences"][0]["kind"] == "Job":
            return
        name, item = meta["labels"]["vapora.dev/step"], int(meta["labels"].get("vapora.dev/item", -1))
        number, unit = int(meta["labels"]["vapora.dev/try"]), (name, item)
        if meta["name"] in self.nodes.tries and self.is_usurped:
            return  # a leader that leads no more, and does not know that the child has come and gone
        _demand(meta["name"] not in self.nodes.tries, f"{unit} try {number} was made twice")
        others = self.nodes.find(unit)
        _demand(all(row.number != number for row in others), f"{unit} try {number} was made under two names")
        for row in others:
            _demand(row.number < number, f"{unit} try {number} was made after try {row.number}")
            is_over = row.outcome or row.is_asked_to_stop or row.end in _STUCK
            _demand(bool(is_over) or self.is_rushed, f"{unit} try {number} was made while try {row.number} ran")
        self._check_needs(name)
        living = sum(1 for row in self.nodes.tries.values() if self._takes_a_place(row))
        limit = self.drawn.spec["maxParallel"]
        is_excused = self.is_usurped or self.is_rushed or self.is_unanswered
        _demand(living < limit or is_excused, f"{living + 1} children run at once; maxParallel is {limit}")

    def _takes_a_place(self, row: Try) -> bool:
        return not row.outcome and not row.is_asked_to_stop and row.end not in _STUCK

    def _check_task(self, task: str) -> None:
        uid, name, item, effect = task.split("/")
        row = self.status.get("steps", {}).get(name, {})
        units = row.get("items", {}).get("active", ()) if "items" in row else [row]
        found = any(unit.get("effect") == int(effect) and unit.get("i", 0) == int(item) for unit in units)
        _demand(found or self.is_usurped, f"task {task} was given out before that was written")
        for former in range(1, int(effect)):
            known = f"{uid}/{name}/{item}/{former}"
            answer = self.broker.answers.get(known)
            is_refused = answer is not None and self._is_failure(name, answer)
            is_fine = known not in self.broker.published or is_refused
            _demand(is_fine, f"effect {effect} of {name} was made although {former} had not definitely failed")
        self._check_needs(name)

    def _is_failure(self, name: str, answer: str) -> bool:
        step = self.drawn.steps[name]
        is_empty = answer == "no words" and "outputs" in step.fields
        return is_empty or KINDS[step.kind].ends[answer].verdict is not Verdict.SUCCESS

    def _check_needs(self, name: str) -> None:
        """A step may begin once all it waits for has ended: as written, or as its children truly ended."""
        steps = self.status.get("steps", {})
        is_parallel = self.drawn.spec["type"] == "parallel"
        for how, other, _ in self.drawn.steps[name].edges:
            if is_parallel and how in {"soft", "optional", "soft if"}:
                continue
            state = steps.get(other, {}).get("state")
            if state in FINAL:
                is_good = state in {"Succeeded", "Skipped"} or how in {"soft", "optional", "soft if", "when"}
                _demand(is_good, f"{name} began although {other} is {state}")
            elif KINDS[self.drawn.steps[other].kind].has_effects:
                given = any(task.split("/")[1] == other for task in self.broker.published)
                _demand(not given, f"{name} began before the end of {other} was written")
            else:
                running = [row for row in self.nodes.tries.values() if row.unit[0] == other and not row.outcome]
                is_stopped = all(row.is_asked_to_stop or row.end in _STUCK for row in running)
                _demand(is_stopped or self.is_rushed, f"{name} began while {other} ran")


def _check_step(name: str, was: Json, row: Json) -> None:
    for field in ("tries", "effect"):
        _demand(row.get(field, 0) >= was.get(field, 0), f"{field} of {name} went back from {was.get(field)}")
    if was["state"] in FINAL:
        for field in ("state", "tries", "attempt", "finishedAt", "outputs"):
            is_same = row.get(field) == was.get(field)
            _demand(is_same, f"{name} had ended, and its {field} {was.get(field)} became {row.get(field)}")


def _count_working(row: Json) -> int:
    if "items" in row:
        return sum(unit.get("state") in _WORKING for unit in row["items"].get("active", ()))
    return row["state"] in _WORKING


def _demand(holds: bool, words: str) -> None:
    if not holds:
        raise Violation(words)
