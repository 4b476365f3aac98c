"""What must hold after every single event, seen from outside: by what the API server and the broker were told."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.kinds import KINDS, Json, Verdict
from tests.simulation.loop import Violation
from tests.simulation.nodes import Nodes, Try
from tests.simulation.plays import Play, Plays
from tests.simulation.specs import APPROVE_ROLLBACK, UNDO, read_rows

FINAL = {"Succeeded", "Failed", "Cancelled", "RolledBack"}
ENDED = {"Succeeded", "Failed", "Cancelled", "Skipped", "Compensating", "Compensated", "CompensationFailed"}
_UNDOING = {"Compensating", "Compensated", "CompensationFailed"}
_WORKING = {"Starting", "Running"}
_STUCK = {"hangs", "no image", "stays pending"}
_ENDINGS = ("cancel", "stop", "terminate")
_ENDING = ("outcome", "completingSince", "rollback")  # fields of which one tells that a run is coming to its end
_HARMLESS = {"wait", "approval"}  # bodies that leave nothing behind
_SOFT = {"soft", "optional", "soft if", "when"}


@dataclass(slots=True)
class Guard:
    """Watches the workflows; `fail` is told of what must never happen.

    `is_usurped` while two operators race, `has_raced` from then on. `is_rushed` once a clock said that a time was over
    which was not, or a watch told nothing until it was. `is_unanswered` where answers are lost: whoever does not know
    yet of a child that it asked for, whose deletion it asked for, or that a place is taken, may start one too many.
    `answers` are those that were given to effects, by their keys: done, failed, or unknown to whoever asked.
    """

    plays: Plays
    nodes: Nodes
    fail: Callable[[BaseException], None]
    is_usurped: bool = False
    has_raced: bool = False
    is_rushed: bool = False
    is_unanswered: bool = False
    asked: set[str] = field(default_factory=set)
    answers: dict[str, str] = field(default_factory=dict)
    asked_again: set[str] = field(default_factory=set)  # workflows of which something was asked after their end

    def on_change(self, change: str, obj: Json, former: Json | None) -> None:
        try:
            kind = obj["kind"]
            if kind == "Workflow" and change == "MODIFIED" and former is not None:
                self._check_status(self.plays.plays[obj["metadata"]["uid"]], former, obj)
            elif kind in {"Pod", "Job"} and change == "ADDED" and "vapora.dev/step" in obj["metadata"]["labels"]:
                self._check_child(kind, obj)
        except Violation as problem:
            self.fail(problem)

    def on_effect(self, key: str) -> None:
        """Hears of an effect that is about to be asked for."""
        try:
            self._check_effect(key)
        except Violation as problem:
            self.fail(problem)

    def on_answer(self, key: str, end: str) -> None:
        """Hears how an effect was answered, whether or not anybody hears the answer."""
        uid, name, _, _ = key.split("/")
        step = self.plays.plays[uid].drawn.find(name)
        row = KINDS[step.kind].ends[end]
        is_failure = row.verdict is not Verdict.SUCCESS or (end == "no words" and step.wants_output)
        if self.has_raced and self.answers.get(key) == "failed":
            return  # whoever leads no more asked late, and nothing can fence that
        self.answers[key] = "unknown" if row.is_open else "failed" if is_failure else "done"

    def on_write(self, uid: str, name: str) -> None:
        """Hears of a step that is about to write into the cluster."""
        try:
            self.asked.add(f"{uid}/{name}/0/write")
            self._check_needs(uid, name)
        except Violation as problem:
            self.fail(problem)

    # The written status.

    def _check_status(self, play: Play, former: Json, obj: Json) -> None:
        was, status = former.get("status", {}), obj.get("status", {})
        if was is status:
            return
        is_asked = was.get("handledRequest") != status.get("handledRequest")
        if was.get("phase") in FINAL and not is_asked:
            _demand(status.get("phase") == was["phase"], f"phase {was['phase']} became {status.get('phase')}")
        if is_asked and was.get("phase") in FINAL:
            self.asked_again.add(play.uid)
        if is_asked and str(status.get("handledRequest")).startswith(_ENDINGS):
            is_heeded = status.get("phase") in FINAL or any(field_ in status for field_ in _ENDING)
            _demand(is_heeded, f"{status['handledRequest']} is handled, and nothing of it ends")
        before, rows = read_rows(was), read_rows(status)
        for name, row in before.items():
            if rows.get(name) is not row:
                is_later = name not in play.drawn.steps or row["state"] in {*_UNDOING, "Skipped"}
                begins_anew = is_asked or (is_later and play.uid in self.asked_again)
                _check_step(name, row, rows.get(name, {}), is_asked=begins_anew)
        working = sum(map(_count_working, rows.values()))
        limit = play.drawn.spec["maxParallel"]
        is_excused = self.is_unanswered or self.has_raced  # each of two leaders counts what it knows of
        _demand(working <= limit or is_excused, f"{working} units work at once; maxParallel is {limit}")

    # What is started.

    def _check_child(self, kind: str, obj: Json) -> None:
        meta = obj["metadata"]
        if kind == "Pod" and meta["ownerReferences"][0]["kind"] == "Job":
            return
        labels = meta["labels"]
        uid, name, item = labels["vapora.dev/workflow"], labels["vapora.dev/step"], labels.get("vapora.dev/item", -1)
        number, unit = int(labels["vapora.dev/try"]), (uid, name, int(item))
        if meta["name"] in self.nodes.tries and self.is_usurped:
            return  # a leader that leads no more, and does not know that the child has come and gone
        _demand(meta["name"] not in self.nodes.tries, f"{unit} try {number} was made twice")
        others = self.nodes.units.get(unit, ())
        _demand(all(row.number != number for row in others), f"{unit} try {number} was made under two names")
        for row in others:
            _demand(row.number < number, f"{unit} try {number} was made after try {row.number}")
            is_over = row.outcome or row.is_asked_to_stop or row.end in _STUCK
            is_excused = self.is_rushed or self.is_unanswered  # a deletion may be refused
            _demand(bool(is_over) or is_excused, f"{unit} try {number} was made while try {row.number} ran")
        self._check_needs(uid, name)
        living = sum(map(_takes_a_place, self.nodes.at_work.get(uid, {}).values()))
        limit = self.plays.plays[uid].drawn.spec["maxParallel"]
        is_excused = self.is_usurped or self.is_rushed or self.is_unanswered
        _demand(living < limit or is_excused, f"{living + 1} children run at once; maxParallel is {limit}")

    def _check_effect(self, key: str) -> None:
        uid, name, item, effect = key.split("/")
        is_item = self.plays.plays[uid].drawn.find(name).items is not None
        row = self.plays.read_unit((uid, name, int(item) if is_item else -1))
        is_written = row.get("effect") == int(effect) or self.plays.objects.find(self.plays.plays[uid].key) is None
        _demand(is_written or self.has_raced, f"effect {key} was asked for before that was written")
        for former in range(1, int(effect)):
            known = f"{uid}/{name}/{item}/{former}"
            enough = {"failed", "done"} if uid in self.asked_again else {"failed"}  # what was done may be done again
            is_fine = known not in self.asked or self.answers.get(known) in enough
            _demand(is_fine, f"effect {effect} of {name} was made although {former} had not definitely failed")
        self.asked.add(key)
        self._check_needs(uid, name)

    def _check_needs(self, uid: str, name: str) -> None:
        play, rows = self.plays.plays[uid], read_rows(self.plays.status(uid))
        if self.plays.objects.find(play.key) is None:
            return None  # it is gone, with all that was written, and the operator has yet to hear of that
        if name in play.drawn.steps and rows.get(name, {}).get("state") not in {"Starting", "Running"}:
            _demand(self.is_usurped or not self._is_paused(play), f"{name} began although it is paused")
        if name in play.drawn.completion:
            return self._check_end(play, name, rows)
        if name.endswith(UNDO):
            return self._check_undoing(play, name, rows)
        return self._check_edges(play, name, rows)

    def _is_paused(self, play: Play) -> bool:
        """Says whether a pause is written, and nobody has asked to go on since."""
        found = self.plays.objects.find(play.key) or {}
        asked = found.get("metadata", {}).get("annotations", {}).get("vapora.dev/request", "")
        is_asked = bool(found.get("spec", {}).get("paused")) or asked.startswith("pause")
        return is_asked and self.plays.status(play.uid).get("phase") == "Paused"

    def _check_end(self, play: Play, name: str, rows: Json) -> None:
        """What follows the end begins once all that began has ended."""
        for other, row in rows.items():
            if other not in play.drawn.completion:
                is_over = row["state"] in {*ENDED, "Waiting"}
                _demand(is_over or self._has_ended((play.uid, other)), f"{name} began while {other} is {row['state']}")

    def _check_undoing(self, play: Play, name: str, rows: Json) -> None:
        """A step is undone after everything that rested on it, and once a person allowed it where that is needed."""
        is_asked = rows.get(APPROVE_ROLLBACK, {}).get("state", "Succeeded") != "Succeeded" or _has_lasting(play, rows)
        words = (self.plays.objects.find(play.key) or {})["metadata"].get("annotations", {})
        is_allowed = any(word.startswith(f"approve {APPROVE_ROLLBACK} ") for word in words.values())
        _demand(is_allowed or not is_asked, f"{name} began although nobody allowed it")
        undone = name.removesuffix(UNDO)
        for other, step in play.drawn.steps.items():
            needs_it = any(source == undone for how, source, _ in step.edges if how in {"hard", "output"})
            row = rows.get(f"{other}{UNDO}")
            if needs_it and row is not None and rows[other]["state"] in _UNDOING:
                is_over = row["state"] in ENDED or self._has_ended((play.uid, f"{other}{UNDO}"))
                _demand(is_over, f"{name} began before what rested on {undone} was undone")

    def _check_edges(self, play: Play, name: str, rows: Json) -> None:
        """A step may begin once all it waits for has ended: as written, or as its children truly ended."""
        is_parallel = play.drawn.spec["type"] == "parallel"
        for how, other, _ in play.drawn.steps[name].edges:
            if is_parallel and how in {"soft", "optional", "soft if"}:
                continue
            state = rows.get(other, {}).get("state")
            if self.has_raced and state in _UNDOING:
                continue  # what a former leader had asked arrives late, which nothing can fence
            if state in ENDED:
                _demand(state in {"Succeeded", "Skipped"} or how in _SOFT, f"{name} began although {other} is {state}")
            else:
                _demand(self._has_ended((play.uid, other)), f"{name} began while {other} went on")

    def _has_ended(self, step: tuple[str, str]) -> bool:
        """Says whether a step that is not written as ended is over all the same, as its children tell."""
        uid, name = step
        if KINDS[self.plays.plays[uid].drawn.find(name).kind].has_effects:
            return not any(key.startswith(f"{uid}/{name}/") for key in self.asked)
        running = [row for row in self.nodes.at_work.get(uid, {}).values() if row.unit[1] == name]
        return self.is_rushed or not any(map(_takes_a_place, running))


def _has_lasting(play: Play, rows: Json) -> bool:
    """Says whether a person must allow a rollback: a step has succeeded that it is about and cannot undo."""
    if play.drawn.spec.get("rollback", {}).get("preserveSuccessful"):
        return False
    return any(
        step.fields.get("irreversible")
        and step.undoing != "none"
        and step.fields.keys().isdisjoint(_HARMLESS)
        and rows.get(name, {}).get("state") == "Succeeded"
        for name, step in play.drawn.steps.items()
    )


def _takes_a_place(row: Try) -> bool:
    return not row.outcome and not row.is_asked_to_stop and row.end not in _STUCK


def _check_step(name: str, was: Json, row: Json, *, is_asked: bool) -> None:
    if not row:
        _demand(is_asked, f"the row of {name} went")
        return
    for field_ in ("tries", "effect"):
        _demand(row.get(field_, 0) >= was.get(field_, 0), f"{field_} of {name} went back from {was.get(field_)}")
    if was["state"] in ENDED and not is_asked:
        _demand(
            row["state"] in _LATER.get(was["state"], {was["state"]}), f"{name} was {was['state']}, is {row['state']}"
        )
        for field_ in ("attempt", "finishedAt", "outputs"):
            is_same = row.get(field_) == was.get(field_)
            _demand(is_same, f"{name} had ended, and its {field_} {was.get(field_)} became {row.get(field_)}")


_LATER = {state: {state, *_UNDOING} for state in ("Succeeded", "Failed", "Cancelled", "Compensating")}


def _count_working(row: Json) -> int:
    if "items" in row:
        return sum(unit.get("state") in _WORKING for unit in row["items"].get("active", ()))
    return row["state"] in _WORKING


def _demand(holds: bool, words: str) -> None:
    if not holds:
        raise Violation(words)
