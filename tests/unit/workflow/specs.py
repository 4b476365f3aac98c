"""Workflows that hypothesis makes up: graphs with edges of every kind, items, agents, retries, limits."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Spec = dict[str, Any]
Draw = Any


@st.composite
def retries(draw: Draw) -> Spec:
    """A retry block with small budgets and delays."""
    return {
        "maxAttempts": draw(st.integers(1, 3)),
        "infrastructureAttempts": draw(st.integers(1, 3)),
        "initialDelay": draw(st.sampled_from([0, 1, 5])),
        "backoff": draw(st.sampled_from(["exponential", "linear"])),
        "jitter": draw(st.sampled_from([0, 0.5])),
    }


@st.composite
def edges(draw: Draw, earlier: list[Spec]) -> Spec:
    """What one step waits for, and how: fields of the step."""
    fields: Spec = {"dependsOn": [], "edges": []}
    for step in draw(st.lists(st.sampled_from(earlier), max_size=3, unique_by=lambda s: s["name"])) if earlier else []:
        name = step["name"]
        kind = draw(st.sampled_from(["hard", "soft", "optional", "condition", "when", "output"]))
        if kind == "hard":
            fields["dependsOn"].append(name)
        elif kind in {"soft", "optional"}:
            fields["edges"].append({"name": name, "type": kind})
        elif kind == "condition":
            edge = draw(st.sampled_from(["hard", "soft"]))
            fields["edges"].append({"name": name, "type": edge, "condition": f"steps.{name}.attempt < 2"})
        elif kind == "when":
            fields["when"] = draw(
                st.sampled_from(
                    [f"steps.{name}.state == 'Succeeded'", f"has(steps.{name}.outputs.v)", f"steps.{name}.state != ''"]
                )
            )
        elif "outputs" in step:
            fields["reads"] = [*fields.get("reads", []), f"${{steps.{name}.outputs.v}}"]
    return fields


@st.composite
def steps(draw: Draw, name: str, earlier: list[Spec]) -> Spec:
    """One step that may wait for any of the earlier ones."""
    fields = draw(edges(earlier))
    reads = fields.pop("reads", [])
    step: Spec = {"name": name, **{field: value for field, value in fields.items() if value}}
    if draw(st.integers(0, 2)):
        step["run"] = {"image": "x", "args": reads}
        if draw(st.integers(0, 5)) == 0:
            step["run"]["executor"] = "Job"
    else:
        step["agent"] = {"role": "developer", "title": "work", "input": reads}
    if draw(st.integers(0, 3)) == 0:
        step["forEach"] = {"items": list(range(draw(st.integers(1, 5))))}
        if draw(st.booleans()):
            step["forEach"]["maxParallel"] = draw(st.integers(1, 3))
        step["forEach"]["failureTolerance"] = draw(st.sampled_from([0, 1, "50%"]))
    elif step.get("run", {}).get("executor") != "Job" and draw(st.booleans()):
        step["outputs"] = ["v"]
    if draw(st.booleans()):
        step["timeout"] = 30
    if "run" in step and draw(st.integers(0, 3)) == 0:
        step["pendingTimeout"] = 15
    if draw(st.booleans()):
        step["retry"] = draw(retries())
    if draw(st.integers(0, 2)) == 0:
        step["onFailure"] = draw(st.sampled_from(["fail", "continue"]))
    return step


@st.composite
def specs(draw: Draw, *, fail_fast: bool | None = None, may_time_out: bool = True) -> Spec:
    """A workflow of three to twelve steps; its list is in the order in which it could run, or shuffled."""
    made: list[Spec] = []
    for number in range(draw(st.integers(3, 12))):
        made.append(draw(steps(f"s{number}", made)))
    kind = draw(st.sampled_from(["batch", "batch", "sequential", "parallel"]))
    listed = made if kind == "sequential" else draw(st.permutations(made))
    spec: Spec = {
        "type": kind,
        "maxParallel": draw(st.integers(1, 4)),
        "failFast": draw(st.booleans()) if fail_fast is None else fail_fast,
        "onFailure": draw(st.sampled_from(["fail", "continue"])),
        "retry": draw(retries()),
        "steps": list(listed),
    }
    if may_time_out and draw(st.integers(0, 3)) == 0:
        spec["deadline"] = draw(st.sampled_from([20, 120]))
    return spec
