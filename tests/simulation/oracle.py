"""What must become of a workflow under a fate, told without the engine: every step's end, tries and attempts."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation.kinds import KINDS, Fate, Verdict
from tests.simulation.specs import TESTS, Drawn, DrawnStep, Seen


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
    """Foretells all steps of a workflow in the order in which they could run."""

    def __init__(self, drawn: Drawn, fate: Fate) -> None:
        self._drawn = drawn
        self._fate = fate
        self.steps: dict[str, Foretold] = {}
        order = [str(fields["name"]) for fields in drawn.spec["steps"]]
        for name, step in drawn.steps.items():
            before = order[order.index(name) - 1] if drawn.spec["type"] == "sequential" and order[0] != name else None
            self.steps[name] = self._foretell(step, before)

    @property
    def phase(self) -> str:
        failed = (self._drawn.steps[name] for name, end in self.steps.items() if end.state == "Failed")
        default = self._drawn.spec["onFailure"]
        return "Failed" if any(step.fields.get("onFailure", default) == "fail" for step in failed) else "Succeeded"

    def _foretell(self, step: DrawnStep, before: str | None) -> Foretold:
        if skipped := self._find_skip(step, before):
            return Foretold("Skipped", skipped)
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

    def foretell_unit(self, step: DrawnStep, item: int, *, lacks_input: bool) -> Foretold:
        """Plays the tries of one unit: its own fate against the two budgets."""
        if lacks_input:
            return Foretold("Failed", "MissingOutput", attempt=1)
        kind, retry = KINDS[step.kind], step.fields.get("retry", self._drawn.spec["retry"])
        tries = attempt = infrastructure = effect = 0
        reason, verdict = "", Verdict.APPLICATION
        while True:
            attempt = max(attempt + (verdict is not Verdict.INFRASTRUCTURE), 1)
            tries += 1
            effect += reason != "TimedOut"
            number = effect if kind.has_effects else tries
            name = self._fate.end(step.kind, step.fields, max(item, 0) if kind.has_effects else item, number)
            end, wants_output = kind.ends[name], "outputs" in step.fields
            reason, verdict = end.reason, end.verdict
            if name == "no words" and wants_output:
                reason, verdict = "OutputInvalid", Verdict.APPLICATION
            if verdict is Verdict.SUCCESS:
                return Foretold("Succeeded", "", tries, attempt, infrastructure, has_output=wants_output)
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
