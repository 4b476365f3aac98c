"""What expressions look at: every variable by its name, in every field that takes an expression."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.workflow.world import START, World, run_step

from vapora.core.calls import Answer
from vapora.core.procedures.http import call_http
from vapora.core.procedures.wait import wait
from vapora.core.supported import SpecProblem
from vapora.core.workflow.observed import Surroundings

OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c"}
OF_ALL = {
    "a param": "params.env == 'prod' && params.limits.cpu == 2",
    "a step's state": "steps.build.state == 'Succeeded'",
    "a step's outputs": "steps.build.outputs.n == 3",
    "a step's attempt": "steps.build.attempt == 2",
    "a step by a quoted name": 'steps["build"].attempt == 2',
    "the workflow's name": "workflow.name == 'wf'",
    "its namespace": "workflow.namespace == 'default'",
    "its start": "workflow.startedAt == '2026-01-01T00:00:00Z'",
    "its start as a time": "timestamp(workflow.startedAt) < timestamp('2026-01-01T00:00:01Z')",
}


def begin(step: dict[str, Any]) -> World:
    """A step that comes after one whose second attempt, five seconds after the start, gave an output."""
    build = run_step("build", outputs=["n"], retry={"initialDelay": 5})
    world = World({"params": {"env": "prod", "limits": {"cpu": 2}}, "steps": [build, {"name": "s", **step}]})
    world.surroundings = Surroundings(world.surroundings.detector, procedures={"http": call_http, "wait": wait})
    world.settle()
    world.finish("build", exit_code=1)
    world.now = START + timedelta(seconds=5)
    world.settle()
    world.finish("build", message='{"n": 3}')
    return world


def negate(source: str) -> str:
    return f"!({source})"


@pytest.mark.parametrize("is_negated", [False, True])
@pytest.mark.parametrize("case", OF_ALL)
def test_when_looks_at(case: str, is_negated: bool) -> None:
    source = negate(OF_ALL[case]) if is_negated else OF_ALL[case]
    world = begin({"run": {"image": "x"}, "dependsOn": ["build"], "when": source})
    assert world.states()["s"] == ("Skipped" if is_negated else "Starting"), world.step("s")


@pytest.mark.parametrize("is_negated", [False, True])
@pytest.mark.parametrize("case", OF_ALL)
def test_the_condition_of_an_edge_looks_at(case: str, is_negated: bool) -> None:
    source = negate(OF_ALL[case]) if is_negated else OF_ALL[case]
    world = begin({"run": {"image": "x"}, "edges": [{"name": "build", "condition": source}]})
    assert world.states()["s"] == ("Skipped" if is_negated else "Starting"), world.step("s")


@pytest.mark.parametrize("case", {**OF_ALL, "the answer": "response.body.ok && response.status == 201"})
def test_what_an_answer_is_expected_to_be_looks_at(case: str) -> None:
    source = {**OF_ALL, "the answer": "response.body.ok && response.status == 201"}[case]
    for expect, state in ((source, "Succeeded"), (negate(source), "Failed")):
        ask = {"http": {"url": "https://x", "expect": expect}, "retry": {"maxAttempts": 1}, "dependsOn": ["build"]}
        world = begin(ask)
        world.reply("s", {"status": 201, "headers": {}, "body": {"ok": True}, "text": ""})
        assert world.states()["s"] == state, world.step("s")


@pytest.mark.parametrize("case", {**OF_ALL, "the object": "object.data.ready == 'yes'"})
def test_what_is_waited_for_looks_at(case: str) -> None:
    source = {**OF_ALL, "the object": "object.data.ready == 'yes'"}[case]
    for until, state in ((source, "Succeeded"), (negate(source), "Running")):
        world = begin({"wait": {"until": until, "object": OBJECT}, "dependsOn": ["build"]})
        world.reply("s", [{"data": {"ready": "yes"}}])
        assert world.states()["s"] == state, world.step("s")


@pytest.mark.parametrize("case", {**OF_ALL, "the result": "result.n == 7"})
def test_an_output_looks_at(case: str) -> None:
    source = {**OF_ALL, "the result": "result.n == 7"}[case]
    world = begin({"run": {"image": "x"}, "dependsOn": ["build"], "outputsFrom": [{"name": "out", "from": source}]})
    world.finish("s", message='{"n": 7}')
    assert world.step("s").outputs == {"out": True}


OF_ITEMS = {
    "the item": "item == 'b'",
    "its number": "index == 1",
    "both, and what is of all": "item == 'b' && index == 1 && params.env == 'prod' && workflow.name == 'wf'",
}


@pytest.mark.parametrize("case", OF_ITEMS)
def test_of_a_for_each_an_expression_looks_at(case: str) -> None:
    each = {"forEach": {"items": ["a", "b"], "failureTolerance": 2}, "retry": {"maxAttempts": 1}}
    world = begin({"http": {"url": "https://x", "expect": OF_ITEMS[case]}, **each})
    for item in (0, 1):
        world.reply("s", {"status": 200, "headers": {}, "body": None, "text": ""}, item=item)
    assert str(world.step("s").items.succeeded) == "1"
    world = begin({"wait": {"until": OF_ITEMS[case], "object": OBJECT}, **each})
    world.called |= dict.fromkeys(world.waiting_calls(), Answer([{}]))
    world.settle()
    assert str(world.step("s").items.succeeded) == "1"


FIELDS: dict[str, dict[str, Any]] = {
    "when": {"run": {"image": "x"}, "when": "steps.build.attempt > 0"},
    "http.expect": {"http": {"url": "https://x", "expect": "steps.build.attempt > 0"}},
    "wait.until": {"wait": {"until": "steps.build.attempt > 0", "object": OBJECT}},
    "outputsFrom": {"run": {"image": "x"}, "outputsFrom": [{"name": "out", "from": "steps.build.attempt"}]},
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_step_that_an_expression_looks_at_ends_before(field: str) -> None:
    world = World({"steps": [{"name": "s", **FIELDS[field]}, run_step("build")]})
    world.settle()
    assert world.states() == {"build": "Starting"}
    unknown = World({"steps": [{"name": "s", **FIELDS[field]}, run_step("bild")]}).definition
    assert isinstance(unknown, SpecProblem)
    assert unknown.message == f"spec.steps[s].{field}: there is no step 'build'; did you mean 'bild'?"
