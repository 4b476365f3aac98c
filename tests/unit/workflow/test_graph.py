"""What each step waits for: edges by the type of the workflow, by reference, by expression; cycles with their path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.workflow.specs import specs
from tests.unit.workflow.world import agent_step, run_step

from vapora.core.supported import SpecProblem
from vapora.core.workflow.definition import Definition, read_definition

Spec = dict[str, Any]


def with_args(name: str, *args: str, **fields: object) -> Spec:
    return {"name": name, "run": {"image": "x", "args": list(args)}, **fields}


def edges_of(spec: Spec) -> dict[str, dict[str, str]]:
    """For each step the kinds of its edges by the earlier step."""
    definition = read_definition(spec)
    assert isinstance(definition, Definition), definition
    graph = definition.graph
    return {
        name: {graph.names[need.step]: need.kind + ("?" if need.condition else "") for need in graph.needs[place]}
        for place, name in enumerate(graph.names)
    }


A, B, GIVES = run_step("a"), run_step("b"), run_step("a", outputs=["rows"])
SOFT, OPTIONAL = {"name": "a", "type": "soft"}, {"name": "a", "type": "optional"}
EDGES = {
    "dependsOn is hard": ([A, run_step("c", dependsOn=["a"])], {"a": "hard"}),
    "an edge is hard unless it says more": ([A, run_step("c", edges=[{"name": "a"}])], {"a": "hard"}),
    "a soft edge": ([A, run_step("c", edges=[SOFT])], {"a": "soft"}),
    "an optional edge": ([A, run_step("c", edges=[OPTIONAL])], {"a": "optional"}),
    "an optional edge to nothing": ([run_step("c", edges=[OPTIONAL])], {}),
    "the stronger of two counts": ([A, run_step("c", dependsOn=["a"], edges=[SOFT])], {"a": "hard"}),
    "a condition stays with the stronger edge": (
        [A, run_step("c", dependsOn=["a"], edges=[{**SOFT, "condition": "true"}])],
        {"a": "hard?"},
    ),
    "a reference to an output is hard": ([GIVES, with_args("c", "${steps.a.outputs.rows}")], {"a": "hard"}),
    "a reference with brackets": (
        [run_step("a-b", outputs=["n"]), with_args("c", '${steps["a-b"].outputs.n}')],
        {"a-b": "hard"},
    ),
    "a reference in the middle of a text": ([GIVES, with_args("c", "n=${ steps.a.outputs.rows } rows")], {"a": "hard"}),
    "a reference that is escaped is none": ([GIVES, with_args("c", "$${steps.a.outputs.rows}")], {}),
    "a reference in a task's input": (
        [GIVES, {"name": "c", "agent": {"role": "r", "input": {"deep": ["${steps.a.outputs.rows}"]}}}],
        {"a": "hard"},
    ),
    "a reference in a timeout": ([GIVES, run_step("c", timeout="${steps.a.outputs.rows}")], {"a": "hard"}),
    "a reference in itemsFrom": (
        [GIVES, run_step("c", forEach={"itemsFrom": "${steps.a.outputs.rows}"})],
        {"a": "hard"},
    ),
    "a bare name that one step gives": ([GIVES, with_args("c", "${rows}")], {"a": "hard"}),
    "a bare name that two steps give is no edge": (
        [GIVES, run_step("b", outputs=["rows"]), with_args("c", "${rows}")],
        {},
    ),
    "a step's own output is no edge": ([with_args("c", "${rows}", outputs=["rows"])], {}),
    "what when looks at is waited for": ([A, run_step("c", when="steps.a.state == 'Failed'")], {"a": "soft"}),
    "when does not weaken an edge": (
        [A, run_step("c", dependsOn=["a"], when="steps.a.state == 'Failed'")],
        {"a": "hard"},
    ),
    "what a condition looks at is waited for": (
        [A, B, run_step("c", edges=[{"name": "a", "condition": "steps.b.state == 'Failed'"}])],
        {"a": "hard?", "b": "soft"},
    ),
    "a condition on its own step keeps the kind": (
        [A, run_step("c", edges=[{**OPTIONAL, "condition": "steps.a.attempt < 2"}])],
        {"a": "optional?"},
    ),
}


@pytest.mark.parametrize("case", EDGES)
def test_what_a_step_waits_for(case: str) -> None:
    steps, want = EDGES[case]
    assert edges_of({"steps": steps})["c"] == want


def test_a_param_of_the_name_comes_before_an_output() -> None:
    assert edges_of({"params": {"rows": 1}, "steps": [GIVES, with_args("c", "${rows}")]})["c"] == {}


MIXED = [
    A,
    run_step("b", edges=[SOFT]),
    run_step("c", dependsOn=["a"], edges=[{"name": "b", "type": "optional"}]),
    run_step("d", edges=[{"name": "b", "type": "hard"}]),
]
TYPES = {
    "batch is the graph": ("batch", [{}, {"a": "soft"}, {"a": "hard", "b": "optional"}, {"b": "hard"}]),
    "sequential adds the step before": (
        "sequential",
        [{}, {"a": "hard"}, {"a": "hard", "b": "hard"}, {"b": "hard", "c": "hard"}],
    ),
    "parallel keeps only hard edges": ("parallel", [{}, {}, {"a": "hard"}, {"b": "hard"}]),
}


@pytest.mark.parametrize("case", TYPES)
def test_what_the_type_of_a_workflow_makes_of_the_edges(case: str) -> None:
    kind, want = TYPES[case]
    assert list(edges_of({"type": kind, "steps": MIXED}).values()) == want


def test_parallel_steps_still_wait_for_what_they_refer_to() -> None:
    assert edges_of({"type": "parallel", "steps": [GIVES, with_args("c", "${rows}")]})["c"] == {"a": "hard"}


def refusal(spec: Spec) -> str:
    problem = read_definition(spec)
    assert isinstance(problem, SpecProblem), problem
    assert problem.reason == "InvalidSpec"
    return problem.message


REFUSED = {
    "a step that waits for itself": (
        [run_step("a", dependsOn=["a"])],
        "spec.steps: a -> a is a cycle; a step cannot wait for itself",
    ),
    "a cycle is told in the order in which it would run, without what hangs on it": (
        [
            run_step("z"),
            run_step("a", dependsOn=["c", "z"]),
            run_step("b", dependsOn=["a"]),
            run_step("c", dependsOn=["b"]),
            run_step("d", dependsOn=["c"]),
        ],
        "spec.steps: a -> b -> c -> a is a cycle; a step cannot wait for itself",
    ),
    "a cycle by a reference": (
        [with_args("a", "${steps.b.outputs.n}"), run_step("b", dependsOn=["a"], outputs=["n"])],
        "is a cycle",
    ),
    "a cycle by a condition": (
        [run_step("a", when="steps.b.state == ''"), run_step("b", dependsOn=["a"])],
        "is a cycle",
    ),
    "an unknown step with the nearest names": (
        [run_step("build"), run_step("built"), run_step("c", dependsOn=["buil"])],
        "spec.steps[c].dependsOn: there is no step 'buil'; did you mean 'built' or 'build'?",
    ),
    "an unknown step that is near to nothing": (
        [A, run_step("c", dependsOn=["xylophone"])],
        "spec.steps[c].dependsOn: there is no step 'xylophone'",
    ),
    "an unknown step of an edge": (
        [A, run_step("c", edges=[{"name": "aa", "type": "soft"}])],
        "spec.steps[c].edges: there is no step 'aa'; did you mean 'a'?",
    ),
    "an unknown step of a reference": (
        [A, with_args("c", "${steps.aa.outputs.n}")],
        "spec.steps[c].${steps.aa.outputs.n}: there is no step 'aa'; did you mean 'a'?",
    ),
    "an unknown step of when": (
        [A, run_step("c", when="steps.aa.state == ''")],
        "spec.steps[c].when: there is no step 'aa'; did you mean 'a'?",
    ),
    "an unknown step of a condition": (
        [A, run_step("c", edges=[{"name": "a", "condition": "steps.aa.state == ''"}])],
        "spec.steps[c].edges[a].condition: there is no step 'aa'; did you mean 'a'?",
    ),
    "a name that stands twice": ([A, A], "spec.steps: the name 'a' stands twice; every step needs its own"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_graphs_that_are_refused_with_the_place(case: str) -> None:
    steps, words = REFUSED[case]
    assert words in refusal({"steps": steps})


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(specs(), st.data())
def test_edges_are_the_same_seen_from_both_ends_and_lead_only_forwards(spec: Spec, data: st.DataObject) -> None:
    definition = read_definition(spec)
    assert isinstance(definition, Definition)
    graph = definition.graph
    places = range(len(graph.names))
    assert {(need.step, place) for place in places for need in graph.needs[place]} == {
        (place, later) for place in places for later in graph.dependents[place]
    }
    place = data.draw(st.sampled_from(places))
    earlier, waiting = set[int](), [place]
    while waiting:
        found = {need.step for need in graph.needs[waiting.pop()]} - earlier
        earlier |= found
        waiting += found
    assert {graph.index[name] for name in graph.names if graph.is_earlier(name, place)} == earlier
    assert place not in earlier


def test_a_task_may_name_its_pool_by_an_output_of_an_earlier_step() -> None:
    step = agent_step("c")
    step["agent"] = {"role": "r", "title": "for ${rows}"}
    assert edges_of({"steps": [GIVES, step]})["c"] == {"a": "hard"}
