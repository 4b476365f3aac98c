"""What must become of a workflow under a fate, told without the engine: every step's end, tries and attempts."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation.kinds import KINDS, Fate, Verdict
from tests.simulation.specs import APPROVE_ROLLBACK, TESTS, UNDO, Drawn, DrawnStep, Seen

_ACTED = {"success", "no words", "no answer", "hangs"}
_LEAVES_TRACES = {"apply", "scale", "workflow"}  # also where they fail
_HARMLESS = {"wait", "until", "approval"}


@dataclass(frozen=True, slots=True)
class Foretold:
    """Is how a step ends. `tries` and `attempt` are None where they depend on who was faster."""

    state: str
    reason: str = ""
    tries: int | None = 0
    attempt: int = 0
    infrastructure: int = 0
    has_output: bool = False
    failed_items: tuple[int, ...] | None = None

    @property
    def seen(self) -> Seen:
        return Seen(self.state, self.attempt, self.has_output)

    @property
    def lets_go_on(self) -> bool:
        """Says whether those that wait for its success may start."""
        return self.state == "Succeeded" or (self.state == "Skipped" and self.reason != "DependencyFailed")


class Oracle:
    """Foretells all steps of a workflow in the order in which they could run, and what is undone of them.

    `phases` are those in which it may end: more than one where that depends on who was faster. `undone` says of the
    steps that are undone how that ends; it is None where that cannot be told.
    """

    def __init__(self, drawn: Drawn, fate: Fate) -> None:
        self._drawn = drawn
        self._fate = fate
        self.steps: dict[str, Foretold] = {}
        order = [str(fields["name"]) for fields in drawn.spec["steps"]]
        for name, step in drawn.steps.items():
            before = order[order.index(name) - 1] if drawn.spec["type"] == "sequential" and order[0] != name else None
            self.steps[name] = self._foretell(step, before)
        self.does_fail = any(self._read_on_failure(step) != "continue" for step in self._failed())
        self.is_cut_short = self.does_fail and bool(drawn.spec["failFast"])
        self.undone: dict[str, str] | None = {}
        self.phases = {"Failed" if self.does_fail else "Succeeded"}
        if self._is_undone():
            self._foretell_undoing()

    def _failed(self) -> list[DrawnStep]:
        return [self._drawn.steps[name] for name, end in self.steps.items() if end.state == "Failed"]

    def _read_on_failure(self, step: DrawnStep) -> str:
        return str(step.fields.get("onFailure", self._drawn.spec["onFailure"]))

    # What is undone.

    def _is_undone(self) -> bool:
        rollback = {"enabled": True, "onPartialFailure": True, **self._drawn.spec.get("rollback", {})}
        is_wanted = any(self._read_on_failure(step) == "rollback" for step in self._failed())
        is_whole = not any(end.state == "Succeeded" for end in self.steps.values())
        is_partly = rollback["onPartialFailure"] or is_whole or self.is_cut_short
        return self.does_fail and is_wanted and rollback["enabled"] and is_partly

    def _foretell_undoing(self) -> None:
        is_kept = bool(self._drawn.spec.get("rollback", {}).get("preserveSuccessful"))
        left_half_done = [
            step
            for step in self._failed()
            if step.undone_by and (step.kind in _LEAVES_TRACES or step.items is not None)
        ]
        if self.is_cut_short or left_half_done:
            self.undone, self.phases = None, {"Failed", "RolledBack"}
            return
        steps = [self._drawn.steps[name] for name, end in self.steps.items() if end.state == "Succeeded"]
        if is_kept:
            steps = [step for step in steps if step.items is not None]  # of which some items may have failed
            if any(step.undone_by for step in steps):
                self.undone, self.phases = None, {"Failed", "RolledBack"}
            return
        ends = {step.name: self._foretell_undone(step) for step in steps if step.undone_by}
        if not ends:
            return
        asks = any(
            step.fields.get("irreversible") and step.kind not in _HARMLESS and step.undoing != "none" for step in steps
        )
        if asks and self._fate.end("gate", {"name": f"{APPROVE_ROLLBACK}?"}, -1, 0) == "rejected":
            ends = dict.fromkeys(ends, "CompensationFailed")
        self.undone = ends
        self.phases = {"RolledBack" if set(ends.values()) == {"Compensated"} else "Failed"}

    def _foretell_undone(self, undone: DrawnStep) -> str:
        step = self._drawn.find(undone.name + UNDO)
        if undone.items is None:
            items = [-1]
        else:
            failed = self.steps[undone.name].failed_items or ()
            items = list(range(undone.items - len(failed)))
        ends = [self.foretell_unit(step, item).state for item in items]
        is_whole = step.kind != "undo workflow" or not self._has_lost_child(undone)
        return "Compensated" if set(ends) <= {"Succeeded"} and is_whole else "CompensationFailed"

    def _has_lost_child(self, step: DrawnStep) -> bool:
        """Says whether a child Workflow of any try is gone, so that nobody can roll it back."""
        for item in [-1] if step.items is None else range(step.items):
            tries = self.foretell_unit(step, item).tries or 0
            if any(self._fate.end(step.kind, step.fields, item, number) == "deleted" for number in range(1, tries + 1)):
                return True
        return False

    # What the steps come to.

    def _foretell(self, step: DrawnStep, before: str | None) -> Foretold:
        if skipped := self._find_skip(step, before):
            return Foretold("Skipped", skipped)
        if step.fields.get("pauseBefore") and self._fate.end("gate", {"name": f"{step.name}?"}, -1, 0) == "rejected":
            return Foretold("Failed", "ApprovalRejected")
        lacks_input = any(how == "output" and not self.steps[other].has_output for how, other, _ in step.edges)
        if step.items is None:
            return self.foretell_unit(step, -1, lacks_input=lacks_input)
        ends = [self.foretell_unit(step, item, lacks_input=lacks_input) for item in range(step.items)]
        failed = tuple(item for item, end in enumerate(ends) if end.state == "Failed")
        if len(failed) > _read_tolerance(step):
            return Foretold("Failed", "ItemsFailed", tries=None)
        return Foretold("Succeeded", failed_items=failed)

    def _find_skip(self, step: DrawnStep, before: str | None) -> str:
        """Returns why a step is skipped, in the order in which edges count; "" where it is not."""
        is_parallel = self._drawn.spec["type"] == "parallel"
        rows = [row for row in step.edges if row[0] == "hard"]
        edges = [row for row in step.edges if row[0] in {"soft", "optional", "hard if", "soft if"}]
        rows += [row for row in edges if not is_parallel or row[0] == "hard if"]
        rows += [("hard", before, "")] if before else []
        rows += [row for row in step.edges if row[0] == "output"]
        if before and any(how != "hard" and other == before for how, other, _ in rows):
            rows = [(f"hard{how.removeprefix('soft')}" if other == before else how, other, t) for how, other, t in rows]
        for how, other, test in rows:
            end = self.steps[other]
            is_hard = how.startswith("hard") or how == "output"
            if is_hard and not end.lets_go_on:
                return "DependencyFailed"
            if test and (is_hard or end.state != "Skipped") and not TESTS[test](end.seen):
                return "ConditionFalse"
        for how, other, test in step.edges:
            if how == "when" and not TESTS[test](self.steps[other].seen):
                return "WhenFalse"
        return ""

    def foretell_unit(self, step: DrawnStep, item: int, *, lacks_input: bool = False) -> Foretold:
        """Plays the tries of one unit: its own fate against the two budgets."""
        if lacks_input:
            return Foretold("Failed", "MissingOutput", attempt=1)
        kind, retry = KINDS[step.kind], self._drawn.read_retry(step)
        tries = attempt = infrastructure = effect = 0
        reason, verdict, is_open, has_acted = "", Verdict.APPLICATION, False, False
        while True:
            attempt = max(attempt + (verdict is not Verdict.INFRASTRUCTURE), 1)
            tries += 1
            has_acted &= is_open
            effect += not is_open
            name = self._fate.end(
                step.kind, step.fields, max(item, 0) if kind.is_task else item, effect if kind.is_task else tries
            )
            if name == "refused" and has_acted:
                name = "success"  # what took the call before says so again
            has_acted |= name in _ACTED
            end = kind.ends[name]
            reason, verdict, is_open = end.reason, end.verdict, end.is_open
            if name == "no words" and step.wants_output:
                reason, verdict = "OutputInvalid", Verdict.APPLICATION
            if verdict is Verdict.SUCCESS:
                return Foretold("Succeeded", "", tries, attempt, infrastructure, has_output=step.wants_output)
            infrastructure += verdict is Verdict.INFRASTRUCTURE
            if _is_used_up(verdict, attempt, infrastructure, retry):
                return Foretold("Failed", reason, tries, attempt, infrastructure)


def _is_used_up(verdict: Verdict, attempt: int, infrastructure: int, retry: Mapping[str, int]) -> bool:
    if verdict is Verdict.INFRASTRUCTURE:
        return infrastructure >= retry["infrastructureAttempts"]
    return verdict is Verdict.PERMANENT or attempt >= retry["maxAttempts"]


def _read_tolerance(step: DrawnStep) -> int:
    allowed = step.fields["forEach"]["failureTolerance"]
    return (step.items or 0) * int(allowed.removesuffix("%")) // 100 if isinstance(allowed, str) else int(allowed)
