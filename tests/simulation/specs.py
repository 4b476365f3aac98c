"""Workflows drawn from a seed: graphs with edges of every sort, items, retries, limits, of twelve steps on average."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.chance import pick
from tests.simulation.kinds import KINDS, Json

STEPS = (4, 20)


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
EDGES = {"hard": 6, "soft": 2, "optional": 1, "hard if": 1, "soft if": 1, "when": 1, "output": 2}


@dataclass(slots=True)
class DrawnStep:
    """Is a step: its JSON, its kind, and its edges as they were drawn: (how, from which step, under which test)."""

    kind: str
    fields: Json
    edges: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    @property
    def items(self) -> int | None:
        return len(self.fields["forEach"]["items"]) if "forEach" in self.fields else None


@dataclass(frozen=True, slots=True)
class Drawn:
    """Is a workflow: its spec, and its steps in an order in which they could run."""

    spec: Json
    steps: dict[str, DrawnStep]

    @property
    def features(self) -> Counter[str]:
        """Counts what there is in it, for the report."""
        found = Counter(steps=len(self.steps))
        for step in self.steps.values():
            found[f"kind {step.kind}"] += 1
            found["forEach"] += step.items is not None
            found.update(f"edge {how}" for how, _, _ in step.edges)
        return found


def draw_workflow(chance: random.Random) -> Drawn:
    """Draws a workflow; its list is in an order in which it could run, or shuffled."""
    made: dict[str, DrawnStep] = {}
    type_ = chance.choice(("batch", "batch", "batch", "sequential", "parallel"))
    palette = _draw_palette(chance)
    for number in range(chance.randint(*STEPS)):
        step = _draw_step(f"s{number}", made, palette, chance)
        made[step.name] = step
    listed = [step.fields for step in made.values()]
    if type_ != "sequential" and chance.random() < 0.5:
        chance.shuffle(listed)
    spec = {
        "type": type_,
        "maxParallel": chance.randint(1, 6),
        "failFast": chance.random() < 0.4,
        "onFailure": chance.choice(("fail", "continue", "continue")),
        "retry": _draw_retry(chance),
        "steps": listed,
    }
    return Drawn(spec, made)


def _draw_palette(chance: random.Random) -> Mapping[str, float]:
    """Draws which kinds a workflow has: half of them, each the likelier for it, so that their ways differ more."""
    palette = {kind: row.weight for kind, row in KINDS.items() if chance.random() < 0.5}
    return palette or {"pod": 1.0}


def _draw_step(
    name: str, earlier: Mapping[str, DrawnStep], palette: Mapping[str, float], chance: random.Random
) -> DrawnStep:
    kind = pick(palette, chance.random())
    step = DrawnStep(kind, {"name": name})
    reads: list[str] = []
    recent = list(earlier.values())[-5:]
    for other in chance.sample(recent, min(len(recent), chance.choice((0, 1, 1, 1, 2, 2, 3)))):
        _draw_edge(step, other, reads, chance)
    fields = step.fields
    fields |= KINDS[kind].build(reads)
    if chance.random() < 0.12:
        fields["forEach"] = _draw_items(chance)
    elif chance.random() < 0.5:
        fields["outputs"] = ["v"]
    if chance.random() < 0.5:
        fields["timeout"] = chance.choice((30, 60))
    if not KINDS[kind].has_effects and chance.random() < 0.25:
        fields["pendingTimeout"] = 15
    if chance.random() < 0.5:
        fields["retry"] = _draw_retry(chance)
    if chance.random() < 0.3:
        fields["onFailure"] = chance.choice(("fail", "continue"))
    return step


def _draw_edge(step: DrawnStep, other: DrawnStep, reads: list[str], chance: random.Random) -> None:
    how = pick(EDGES, chance.random())
    test = chance.choice(list(TESTS)) if how in {"hard if", "soft if", "when"} else ""
    source = test.format(other.name)
    fields: dict[str, Any] = step.fields
    if how == "output" and "outputs" not in other.fields:
        how = "hard"
    if how == "when" and "when" in fields:
        how = "soft"
    match how:
        case "hard":
            fields.setdefault("dependsOn", []).append(other.name)
        case "soft" | "optional":
            fields.setdefault("edges", []).append({"name": other.name, "type": how})
        case "hard if" | "soft if":
            row = {"name": other.name, "type": how.removesuffix(" if"), "condition": source}
            fields.setdefault("edges", []).append(row)
        case "when":
            fields["when"] = source
        case "output":
            reads.append(f"${{steps.{other.name}.outputs.v}}")
    step.edges.append((how, other.name, test if how in {"hard if", "soft if", "when"} else ""))


def _draw_items(chance: random.Random) -> Json:
    items: Json = {"items": list(range(chance.choice((1, 2, 2, 3, 5)))), "failureTolerance": 0}
    if chance.random() < 0.5:
        items["maxParallel"] = chance.randint(1, 3)
    items["failureTolerance"] = chance.choice((0, 1, "50%"))
    return items


def _draw_retry(chance: random.Random) -> Json:
    return {
        "maxAttempts": chance.randint(1, 3),
        "infrastructureAttempts": chance.randint(1, 4),
        "initialDelay": chance.choice((0, "500ms", 2)),
        "backoff": chance.choice(("exponential", "linear")),
        "jitter": chance.choice((0, 0.5)),
    }
