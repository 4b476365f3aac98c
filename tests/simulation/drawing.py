"""Workflows drawn from a seed: graphs with edges of every sort, items, retries, limits, of twelve steps on average."""

import random
from collections.abc import Mapping
from typing import Any

from tests.simulation.chance import pick
from tests.simulation.kinds import KINDS, Json
from tests.simulation.specs import EDGES, TESTS, Drawn, DrawnStep

STEPS = (4, 20)
_COMPENSATIONS = {"pod": 5, "http": 3, "none": 1}


def draw_workflow(chance: random.Random) -> Drawn:
    """Draws a workflow; its list is in an order in which it could run, or shuffled."""
    made: dict[str, DrawnStep] = {}
    type_ = chance.choice(("batch", "batch", "batch", "sequential", "parallel"))
    palette, is_undone = _draw_palette(chance), chance.random() < 0.3
    for number in range(chance.randint(*STEPS)):
        step = _draw_step(f"s{number}", made, palette, chance)
        if is_undone:
            _draw_undoing(step, chance)
        made[step.name] = step
    listed = [step.fields for step in made.values()]
    if type_ != "sequential" and chance.random() < 0.5:
        chance.shuffle(listed)
    spec = {
        "type": type_,
        "maxParallel": chance.randint(1, 6),
        "failFast": chance.random() < 0.4,
        "onFailure": "rollback" if is_undone else chance.choice(("fail", "continue", "continue")),
        "retry": _draw_retry(chance),
        "steps": listed,
    }
    if is_undone and chance.random() < 0.4:
        spec["rollback"] = {
            "enabled": chance.random() < 0.9,
            "onPartialFailure": chance.random() < 0.8,
            "preserveSuccessful": chance.random() < 0.3,
        }
    completion = _draw_completion(chance) if chance.random() < 0.25 else {}
    if completion:
        spec["onCompletion"] = [step.fields for step in completion.values()]
    return Drawn(spec, made, completion)


def draw_leaf() -> Drawn:
    """Makes what a child workflow does: two steps, the second of which gives an output and can be undone."""
    first = DrawnStep("pod", {"name": "a", **KINDS["pod"].build("a", [])})
    undoing = {"compensate": KINDS["pod"].build("b", [])}
    second = DrawnStep("pod", {"name": "b", **KINDS["pod"].build("b", []), "outputs": ["v"], **undoing}, undoing="pod")
    second.fields["dependsOn"] = ["a"]
    second.edges.append(("hard", "a", ""))
    retry = {"maxAttempts": 1, "infrastructureAttempts": 3, "initialDelay": 0}
    steps = {step.name: step for step in (first, second)}
    spec = {"type": "batch", "maxParallel": 2, "retry": retry, "steps": [step.fields for step in steps.values()]}
    return Drawn(spec, steps)


def _draw_palette(chance: random.Random) -> Mapping[str, float]:
    """Draws which kinds a workflow has: half of them, each the likelier for it, so that their ways differ more."""
    palette = {kind: row.weight for kind, row in KINDS.items() if row.weight and chance.random() < 0.5}
    return palette or {"pod": 1.0}


def _draw_step(
    name: str, earlier: Mapping[str, DrawnStep], palette: Mapping[str, float], chance: random.Random
) -> DrawnStep:
    kind = pick(palette, chance.random())
    row = KINDS[kind]
    step = DrawnStep(kind, {"name": name})
    reads: list[str] = []
    recent = list(earlier.values())[-5:]
    for other in chance.sample(recent, min(len(recent), chance.choice((0, 1, 1, 1, 2, 2, 3)))):
        _draw_edge(step, other, reads if row.reads else None, chance)
    fields = step.fields
    fields |= row.build(name, reads)
    if row.fits_items and chance.random() < 0.12:
        fields["forEach"] = _draw_items(chance)
    elif kind != "wait" and chance.random() < 0.5:
        fields |= row.build_outputs()
    if chance.random() < 0.5 and kind != "approval":
        fields["timeout"] = chance.choice((30, 60))
    if kind in {"pod", "job"} and chance.random() < 0.25:
        fields["pendingTimeout"] = 15
    if chance.random() < 0.5:
        fields["retry"] = _draw_retry(chance)
    if chance.random() < 0.3:
        fields["onFailure"] = chance.choice(("fail", "continue"))
    if chance.random() < 0.02 and kind != "approval":  # one word would be of both
        fields["pauseBefore"] = True
    return step


def _draw_edge(step: DrawnStep, other: DrawnStep, reads: list[str] | None, chance: random.Random) -> None:
    how = pick(EDGES, chance.random())
    test = chance.choice(list(TESTS)) if how in {"hard if", "soft if", "when"} else ""
    source = test.format(other.name)
    fields: dict[str, Any] = step.fields
    if how == "output" and (not other.wants_output or reads is None):
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
        case "output" if reads is not None:
            reads.append(f"${{steps.{other.name}.outputs.v}}")
    step.edges.append((how, other.name, test if how in {"hard if", "soft if", "when"} else ""))


def _draw_undoing(step: DrawnStep, chance: random.Random) -> None:
    """Draws what undoes a step of a workflow that is rolled back where it fails."""
    by_itself = step.undone_by != ""
    if chance.random() < (0.1 if by_itself else 0.6):
        step.undoing = pick(_COMPENSATIONS, chance.random())
        body = {"none": True} if step.undoing == "none" else KINDS[step.undoing].build(step.name, [])
        step.fields["compensate"] = body
    if chance.random() < 0.04:
        step.fields["irreversible"] = True
    if chance.random() < 0.5:
        step.fields.pop("onFailure", None)


def _draw_completion(chance: random.Random) -> dict[str, DrawnStep]:
    steps = {}
    for number in range(chance.randint(1, 2)):
        kind = chance.choice(("pod", "http", "task"))
        name = f"after{number}"
        fields = {"name": name, **KINDS[kind].build(name, []), "runOn": chance.choice(("success", "failure", "always"))}
        steps[name] = DrawnStep(kind, {**fields, "timeout": 30, "retry": _draw_retry(chance)})
    return steps


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
