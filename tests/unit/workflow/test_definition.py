"""A spec made ready to run: what is refused with which words and at which place, and what defaults become."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.workflow.world import agent_step, run_step

from vapora.core.supported import SpecProblem
from vapora.core.workflow.definition import Definition, compute_digest, read_definition

GPU = {"limits": {"nvidia.com/gpu": 1}}
BODY = {"image": "x"}
INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "no steps": ({"steps": []}, "spec: exactly one of steps and templateRef is needed"),
    "an unknown field": ({"steps": [run_step("a", image="x")]}, "spec.steps[a].image: there is no such field"),
    "two bodies": (
        {"steps": [{**run_step("a"), "agent": {"role": "r"}}]},
        "spec.steps[a]: exactly one of run, agent,",
    ),
    "no body": ({"steps": [{"name": "a"}]}, "spec.steps[a]: exactly one of run, agent,"),
    "no image": ({"steps": [{"name": "a", "run": {}}]}, "spec.steps[a].run.image: Field required"),
    "a name that is no label": ({"steps": [run_step("A b")]}, "spec.steps[A b].name: String should match pattern"),
    "a bad duration": ({"steps": [run_step("a", timeout="soon")]}, "spec.steps[a].timeout:"),
    "a bad deadline": ({"deadline": "never", "steps": [run_step("a")]}, "spec.deadline:"),
    "a bad retry": (
        {"steps": [run_step("a", retry={"maxAttempts": 0})]},
        "spec.steps[a].retry.maxAttempts: Input should be greater than or equal to 1",
    ),
    "a number as text": ({"maxParallel": "3", "steps": [run_step("a")]}, "spec.maxParallel: Input should be a valid"),
    "a task for nobody": ({"steps": [{"name": "a", "agent": {}}]}, "spec.steps[a].agent: nobody is named"),
    "items and itemsFrom": (
        {"steps": [run_step("a", forEach={"items": [1], "itemsFrom": "${x}"})]},
        "spec.steps[a].forEach: exactly one of items and itemsFrom is needed",
    ),
    "a bad tolerance": (
        {"steps": [run_step("a", forEach={"items": [1], "failureTolerance": "some"})]},
        "spec.steps[a].forEach.failureTolerance: 'some' is no count",
    ),
    "a bad when": ({"steps": [run_step("a", when="1 +")]}, "spec.steps[a].when: '1 +': line 1, column"),
    "a bad condition": (
        {"steps": [run_step("a"), run_step("b", edges=[{"name": "a", "condition": ")"}])]},
        "spec.steps[b].edges[a].condition: ')':",
    ),
    "a bad outputsFrom": (
        {"steps": [run_step("a", outputsFrom=[{"name": "n", "from": "result."}])]},
        "spec.steps[a].outputsFrom[n]: 'result.':",
    ),
    "outputs of items": (
        {"steps": [run_step("a", outputs=["n"], forEach={"items": [1]})]},
        "spec.steps[a].outputs: a step with forEach has none; its items' results are not kept",
    ),
    "a task's pendingTimeout": (
        {"steps": [agent_step("a", pendingTimeout=5)]},
        "spec.steps[a].pendingTimeout: a task has none; its timeout counts from when it is given out",
    ),
    "ml never with a GPU": (
        {"steps": [{"name": "a", "run": {**BODY, "ml": "never", "resources": GPU}}]},
        "spec.steps[a].run: ml: never contradicts",
    ),
    "a MIG resource that is none": (
        {"steps": [{"name": "a", "run": {**BODY, "resources": {"limits": {"nvidia.com/mig-huge": 1}}}}]},
        "spec.steps[a].run: nvidia.com/mig-huge is no MIG resource; allowed are such as nvidia.com/mig-1g.5gb",
    ),
    "half a GPU": (
        {"steps": [{"name": "a", "run": {**BODY, "resources": {"limits": {"nvidia.com/gpu": "500m"}}}}]},
        "spec.steps[a].run: nvidia.com/gpu must be a whole number, found 500m",
    ),
    "a GPU that is only requested": (
        {"steps": [{"name": "a", "run": {**BODY, "resources": {"requests": {"nvidia.com/gpu": 1}}}}]},
        "spec.steps[a].run: nvidia.com/gpu stands in requests alone",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_is_invalid_names_the_place(case: str) -> None:
    spec, words = INVALID[case]
    problem = read_definition(spec)
    assert isinstance(problem, SpecProblem)
    assert (problem.reason, words in problem.message) == ("InvalidSpec", True), problem.message


NOT_SUPPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "logging of its own": ({"logging": {"level": "debug"}}, "spec.logging"),
    "monitoring of its own": ({"monitoring": {"enabled": False}}, "spec.monitoring"),
}


@pytest.mark.parametrize("case", NOT_SUPPORTED)
def test_what_is_not_built_is_refused_by_name(case: str) -> None:
    fields, words = NOT_SUPPORTED[case]
    spec = {name: value for name, value in {"steps": [run_step("a")], **fields}.items() if value is not None}
    problem = read_definition(spec)
    assert isinstance(problem, SpecProblem)
    assert (problem.reason, words in problem.message) == ("NotSupported", True), problem.message


def read(spec: dict[str, Any]) -> Definition:
    definition = read_definition(spec)
    assert isinstance(definition, Definition), definition
    return definition


def test_a_step_takes_what_it_does_not_say_from_the_workflow() -> None:
    spec = {
        "onFailure": "continue",
        "retry": {"maxAttempts": 7},
        "steps": [run_step("a"), run_step("b", onFailure="fail", retry={"maxAttempts": 2})],
    }
    first, second = read(spec).steps
    assert (first.on_failure, first.retry.max_attempts) == ("continue", 7)
    assert (second.on_failure, second.retry.max_attempts) == ("fail", 2)


def test_a_spec_above_700_kibibytes_is_refused_by_name() -> None:
    refused = read_definition({"steps": [run_step("a")], "description": "x" * 700 * 1024})
    assert isinstance(refused, SpecProblem)
    assert (refused.reason, "allowed are 716800" in refused.message) == ("SpecTooLarge", True)


def test_abort_is_read_as_fail() -> None:
    assert read({"onFailure": "abort", "steps": [run_step("a")]}).steps[0].on_failure == "fail"


def test_durations_are_seconds_and_references_wait_for_their_values() -> None:
    definition = read({"deadline": "1h30m", "steps": [run_step("a", timeout="${t}", pendingTimeout="500ms")]})
    step = definition.steps[0]
    assert (definition.deadline, step.timeout, step.pending_timeout) == (5400, None, 0.5)


def test_outputs_are_short_for_fields_of_the_result() -> None:
    step = read({"steps": [run_step("a", outputs=["n"], outputsFrom=[{"name": "m", "from": "result.a.b"}])]}).steps[0]
    assert [(name, expression.source) for name, expression in step.outputs] == [
        ("n", 'result["n"]'),
        ("m", "result.a.b"),
    ]


def test_the_digest_of_a_spec_does_not_depend_on_the_order_of_its_keys() -> None:
    assert compute_digest({"a": 1, "b": [1, 2]}) == compute_digest({"b": [1, 2], "a": 1})
    assert compute_digest({"a": [1, 2]}) != compute_digest({"a": [2, 1]})
