"""What a step hands on: what is taken from its result, what is no output, and how much is kept."""

from __future__ import annotations

import json

import pytest
from tests.unit.workflow.world import World, agent_step, pool, run_step

from vapora.core.workflow.definition import Definition, StepDefinition, read_definition
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.outputs import MAX_ALL_BYTES, MAX_OUTPUT_BYTES, compute_outputs, measure


def read_step(**fields: object) -> StepDefinition:
    definition = read_definition({"steps": [run_step("a", **fields)]})
    assert isinstance(definition, Definition), definition
    return definition.steps[0]


def take(source: str) -> StepDefinition:
    return read_step(outputsFrom=[{"name": "out", "from": source}])


GIVEN = {
    "a field by its name": (read_step(outputs=["n"]), {"n": 7, "other": 8}, {"n": 7}),
    "a field whose name has a dash": (read_step(outputs=["row-count"]), {"row-count": 7}, {"row-count": 7}),
    "a field whose name is a word of CEL": (read_step(outputs=["in"]), {"in": 7}, {"in": 7}),
    "every JSON type keeps its type": (
        read_step(outputs=["n"]),
        {"n": {"a": [1, 2.5, None, True, "x"]}},
        {"n": {"a": [1, 2.5, None, True, "x"]}},
    ),
    "a field that is null is an output": (read_step(outputs=["n"]), {"n": None}, {"n": None}),
    "an expression over the result": (take("result.rows.size() > 1"), {"rows": [1, 2]}, {"out": True}),
    "a result that is text": (take("result"), "done", {"out": "done"}),
    "keys that are numbers read as they are written": (take("{1: result.n}"), {"n": 2}, {"out": {"1": 2}}),
    "no declared output gives none, whatever the result": (read_step(), {"n": 7}, None),
}


@pytest.mark.parametrize("case", GIVEN)
def test_what_a_step_gives(case: str) -> None:
    step, result, want = GIVEN[case]
    assert compute_outputs(step, result, 0) == want


REFUSED = {
    "a field that is not there": (read_step(outputs=["n"]), {"m": 1}, "no such key 'n'"),
    "a result that is nothing": (read_step(outputs=["n", "m"]), None, "outputs n, m are taken from a JSON object"),
    "a result that is a list": (read_step(outputs=["n"]), [1, 2], "the result was [1, 2]"),
    "a time, which JSON has not": (take('timestamp("2026-01-01T00:00:00Z")'), {}, "output 'out' is no JSON"),
    "bytes, which JSON has not": (take("b'abc'"), {}, "output 'out' is no JSON"),
    "NaN, which JSON has not": (take("0.0 / 0.0"), {}, "output 'out' is no JSON"),
    "infinity in the result": (read_step(outputs=["n"]), {"n": float("inf")}, "output 'n' is no JSON"),
    "a division by zero": (take("1 / result.n"), {"n": 0}, "division by zero"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_output(case: str) -> None:
    step, result, words = REFUSED[case]
    refusal = compute_outputs(step, result, 0)
    assert isinstance(refusal, Failure)
    assert (refusal.reason, words in refusal.message) == ("OutputInvalid", True), refusal.message


def ask_http(source: str) -> StepDefinition:
    definition = read_definition(
        {"steps": [{"name": "ask", "http": {"url": "https://x"}, "outputsFrom": [{"name": "id", "from": source}]}]}
    )
    assert isinstance(definition, Definition), definition
    return definition.steps[0]


PAGE = {"status": 200, "body": None, "contentType": "text/html", "text": "<html>\n hello"}
ANSWERS = {
    "a page": (
        ask_http("result.body.id"),
        PAGE,
        ("HttpAnswerInvalid", "status 200; the answer is no JSON (text/html): <html>\n hello; output 'id': "),
    ),
    "a page of no type": (
        ask_http('result["body"].id'),
        {**PAGE, "contentType": ""},
        ("HttpAnswerInvalid", "status 200; the answer is no JSON (of no content type): <html>"),
    ),
    "nothing": (
        ask_http("result.body.id"),
        {"status": 204, "body": None},
        ("HttpAnswerInvalid", "status 204; the answer is empty; output 'id': "),
    ),
    "JSON without the field": (
        ask_http("result.body.id"),
        {"status": 200, "body": {"n": 1}},
        ("OutputInvalid", "output 'id': 'result.body.id': no such key"),
    ),
    "a mistake that is not the answer's": (ask_http("1 / 0"), PAGE, ("OutputInvalid", "output 'id': '1 / 0'")),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_output_of_an_http_answer_that_is(case: str) -> None:
    step, result, (reason, words) = ANSWERS[case]
    refusal = compute_outputs(step, result, 0)
    assert isinstance(refusal, Failure)
    assert (refusal.reason, refusal.message[: len(words)]) == (reason, words)


def text_of(size: int) -> str:
    """A text that takes `size` bytes as JSON."""
    return "x" * (size - 2)


def test_one_output_has_at_most_512_kibibytes() -> None:
    step = read_step(outputs=["n"])
    assert compute_outputs(step, {"n": text_of(MAX_OUTPUT_BYTES)}, 0) == {"n": text_of(MAX_OUTPUT_BYTES)}
    refusal = compute_outputs(step, {"n": text_of(MAX_OUTPUT_BYTES + 1)}, 0)
    assert refusal == Failure("OutputTooLarge", "output 'n' has 524289 bytes; allowed are 524288")


def test_all_outputs_have_at_most_four_mebibytes() -> None:
    step = read_step(outputs=["n"])
    outputs = {"n": text_of(100)}
    assert compute_outputs(step, outputs, MAX_ALL_BYTES - measure(outputs)) == outputs
    refusal = compute_outputs(step, outputs, MAX_ALL_BYTES - measure(outputs) + 1)
    assert refusal == Failure("OutputTooLarge", "with n all outputs together pass 4194304 bytes")


def test_a_workflow_that_passes_the_limit_fails_the_step_that_passes_it_also_after_a_restart() -> None:
    steps = [run_step(f"s{n}", outputs=["n"]) for n in range(9)]
    world = World({"type": "sequential", "steps": steps})
    world.settle()
    for n in range(9):
        world.finish(f"s{n}", message=json.dumps({"n": text_of(500 * 1024)}))
        world.restart()
        world.settle()
    assert (str(world.status.phase), world.status.reason) == ("Failed", "OutputTooLarge")
    assert world.states()["s8"] == "Failed"


def test_a_termination_message_of_nothing_but_brackets_is_text() -> None:
    world = World({"steps": [run_step("a", outputsFrom=[{"name": "out", "from": "result"}])]})
    world.settle()
    world.finish("a", message="[" * 4096)
    assert world.step("a").outputs == {"out": "[" * 4096}


def test_an_agents_fractions_of_cents_are_rounded() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("p"),))
    world.settle()
    world.answer("t", cost_cents=13)
    assert [execution.cost_cents for execution in world.executions] == [13]


def test_what_a_skipped_step_did_not_give_is_tested_with_has() -> None:
    steps = [
        run_step("a", when="false", outputs=["n"]),
        run_step("careful", dependsOn=["a"], when="has(steps.a.outputs.n) && steps.a.outputs.n > 1"),
        run_step("careless", dependsOn=["a"], when="steps.a.outputs.n > 1"),
    ]
    world = World({"failFast": False, "steps": steps})
    world.settle()
    assert world.states() == {"a": "Skipped", "careful": "Skipped", "careless": "Failed"}
    assert (world.step("careful").unit.reason, world.step("careless").unit.reason) == ("WhenFalse", "MissingOutput")


def test_an_expression_that_fails_at_the_gate_fails_the_step_with_its_words() -> None:
    world = World({"params": {"n": 0}, "steps": [run_step("a", when="1 / params.n > 0")]})
    world.settle()
    assert (str(world.status.phase), world.status.reason) == ("Failed", "ExpressionFailed")
    assert "division by zero" in world.status.message
