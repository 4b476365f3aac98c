"""JSON schemas of inputs and outputs."""

import pytest

from vapora.agent import Agent, Result, Task
from vapora.agent.schemas import SchemaInvalid, check_schema, find_mismatch

ID = "u/s/0/1"
SCHEMA = {
    "type": "object",
    "required": ["score"],
    "properties": {"score": {"type": "number"}, "notes": {"type": "array", "items": {"type": "string"}}},
}

MISMATCHES = {
    "it is what it should be": ({"score": 1}, None),
    "something is missing": ({}, "output: 'score' is a required property"),
    "a place deep inside is named": (
        {"score": 1, "notes": ["a", 2]},
        "output.notes[1]: 2 is not of type 'string'",
    ),
    "it is something else altogether": ([], "output: [] is not of type 'object'"),
}


@pytest.mark.parametrize(("value", "told"), MISMATCHES.values(), ids=MISMATCHES.keys())
def test_a_mismatch_is_told_with_its_place(value: object, told: str | None) -> None:
    assert find_mismatch("output", value, SCHEMA) == told


def test_a_large_value_is_not_told_in_full() -> None:
    told = find_mismatch("output", "x" * 10_000, {"type": "number"})
    assert told is not None
    assert len(told) < 250


def test_an_older_draft_is_read_as_itself() -> None:
    # In draft 4, exclusiveMaximum is a word beside maximum.
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True}
    assert find_mismatch("output", 3, schema) is not None


NO_SCHEMAS = {
    "a type that is none": {"type": "text"},
    "an unknown place in itself": {"$ref": "#/$defs/nothing"},
    "a place elsewhere, which is never fetched": {"$ref": "http://127.0.0.1:9/schema.json"},
}


@pytest.mark.parametrize("schema", NO_SCHEMAS.values(), ids=NO_SCHEMAS.keys())
def test_a_schema_that_is_none_is_said_so(schema: dict[str, object]) -> None:
    with pytest.raises(SchemaInvalid):
        find_mismatch("output", {}, schema)


async def perform(output: object, schema: dict[str, object]) -> tuple[str, str, bool]:
    agent = Agent(role="r")

    @agent.task()
    async def handle(_task: Task) -> Result:
        return Result(output=output)

    error = (await agent.perform(Task(id=ID, output_schema=schema))).error
    return ("", "", False) if error is None else (error.code, error.message, error.retryable)


async def test_an_output_that_meets_the_schema_is_a_success() -> None:
    assert await perform({"score": 1, "notes": ("a",)}, SCHEMA) == ("", "", False)


async def test_an_output_that_does_not_is_a_failure_that_another_try_may_mend() -> None:
    assert await perform({"score": "x"}, SCHEMA) == ("OutputInvalid", "output.score: 'x' is not of type 'number'", True)


async def test_a_step_with_a_bad_schema_fails_for_good() -> None:
    code, _, retryable = await perform({}, {"type": "text"})
    assert (code, retryable) == ("SchemaInvalid", False)


async def test_an_input_is_looked_at_before_the_handler_is_called() -> None:
    agent = Agent(role="r")
    called: list[object] = []

    @agent.task("t", input_schema=SCHEMA)
    async def handle(task: Task) -> Result:
        called.append(task.input)
        return Result()

    result = await agent.perform(Task(id=ID, task_type="t", input={"score": "x"}))
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("InvalidInput", False)
    await agent.perform(Task(id=ID, task_type="t", input={"score": 1}))
    assert called == [{"score": 1}]


def test_an_agents_own_schema_is_looked_at_at_once() -> None:
    with pytest.raises(ValueError, match=r"none at \$\.type"):
        Agent(role="r").task("t", input_schema={"type": "text"})
    with pytest.raises(SchemaInvalid):
        check_schema({"type": 1})
