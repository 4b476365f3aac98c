"""A workflow as it was drawn: its spec as JSON, its steps, and what undoes them or follows its end."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.simulation.kinds import Json

UNDO, APPROVE_ROLLBACK = "_undo", "approve_rollback"
EDGES = {"hard": 6, "soft": 2, "optional": 1, "hard if": 1, "soft if": 1, "when": 1, "output": 2}


@dataclass(frozen=True, slots=True)
class Seen:
    """Is what an expression sees of a step that has ended."""

    state: str
    attempt: int
    has_output: bool


TESTS: Mapping[str, Callable[[Seen], bool]] = {
    "steps.{0}.attempt < 2": lambda seen: seen.attempt < 2,
    "steps.{0}.state == 'Succeeded'": lambda seen: seen.state == "Succeeded",
    "steps.{0}.state != 'Failed'": lambda seen: seen.state != "Failed",
    "has(steps.{0}.outputs.v)": lambda seen: seen.has_output,
}


@dataclass(slots=True)
class DrawnStep:
    """Is a step: its JSON, its kind, and its edges as they were drawn: (how, from which step, under which test).

    `undoing` is the kind of what its `compensate` says, empty where it says nothing, "none" where nothing undoes it.
    """

    kind: str
    fields: Json
    edges: list[tuple[str, str, str]] = field(default_factory=list)
    undoing: str = ""

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    @property
    def items(self) -> int | None:
        return len(self.fields["forEach"]["items"]) if "forEach" in self.fields else None

    @property
    def wants_output(self) -> bool:
        return "outputs" in self.fields or "outputsFrom" in self.fields

    @property
    def undone_by(self) -> str:
        """Returns the kind of what undoes it; "" where nothing does."""
        if self.undoing or self.fields.get("irreversible"):
            return "" if self.undoing == "none" or self.fields.get("irreversible") else self.undoing
        return f"undo {self.kind}" if self.kind in {"apply", "scale", "task", "workflow"} else ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Is a workflow: its spec, its steps in an order in which they could run, and those that follow its end."""

    spec: Json
    steps: dict[str, DrawnStep]
    completion: dict[str, DrawnStep] = field(default_factory=dict)

    def find(self, name: str) -> DrawnStep:
        """Returns a step, what follows the end, or what undoes a step."""
        if name in self.steps or name in self.completion:
            return self.steps.get(name) or self.completion[name]
        if name == APPROVE_ROLLBACK:
            return DrawnStep("gate", {"name": name})
        undone = self.steps[name.removesuffix(UNDO)]
        kept = {
            key: undone.fields[key] for key in ("timeout", "pendingTimeout", "retry", "forEach") if key in undone.fields
        }
        return DrawnStep(undone.undone_by, {"name": name, **kept})

    def read_retry(self, step: DrawnStep) -> Mapping[str, int]:
        """Returns how often a step is tried."""
        retry: Mapping[str, int] = step.fields.get("retry", self.spec.get("retry", {}))
        return {"maxAttempts": 3, "infrastructureAttempts": 5, **retry}

    @property
    def features(self) -> Counter[str]:
        """Counts what there is in it, for the report."""
        found = Counter(steps=len(self.steps))
        for step in self.steps.values():
            found[f"kind {step.kind}"] += 1
            found["forEach"] += step.items is not None
            found.update(f"edge {how}" for how, _, _ in step.edges)
            found.update(f"feature {name}" for name in _TOLD if name in step.fields)
        found[f"type {self.spec['type']}"] += 1
        found["feature onCompletion"] += len(self.completion)
        return found


_TOLD = ("compensate", "irreversible", "pauseBefore", "timeout", "pendingTimeout")


def read_rows(status: Json) -> Json:
    """Returns the rows of a status, those of what undoes steps among them."""
    steps: Json = status.get("steps", {})
    undoing = status.get("rollback", {}).get("steps")
    if not undoing:
        return steps
    return {**steps, **{name if name == APPROVE_ROLLBACK else f"{name}{UNDO}": row for name, row in undoing.items()}}
