"""What a step hands on: values computed from its result, and how much of them is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping

from vapora.core.expressions import Expression, ExpressionError
from vapora.core.procedures.http import describe_no_json
from vapora.core.workflow.definition import StepDefinition
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.procedure import Variables, know_nothing

MAX_OUTPUT_BYTES = 512 * 1024  # one output
MAX_STEP_BYTES = 960 * 1024  # all outputs of a step, or all that it keeps in mind: one ConfigMap has 1 MiB
MAX_ALL_BYTES = 4 * 1024 * 1024  # all outputs of a workflow; and what all its steps keep in mind


def compute_outputs(
    step: StepDefinition, result: object, used: int, variables: Variables = know_nothing
) -> Mapping[str, object] | Failure | None:
    """Returns the step's outputs, why there are none, or None where it declares none.

    `result` is any JSON or None; `used` are the bytes that other steps' outputs take already.
    """
    if not step.outputs:
        return None
    looks_into_it = any(source.source.startswith(("result.", "result[")) for _, source in step.outputs)
    if looks_into_it and not isinstance(result, Mapping):
        found = "nothing" if result is None else json.dumps(result)[:80]
        return Failure("OutputInvalid", f"outputs {_names(step)} are taken from a JSON object; the result was {found}")
    outputs: dict[str, object] = {}
    for name, expression in step.outputs:
        value = _compute_output(name, expression, {**variables(expression), "result": result})
        if isinstance(value, Failure):
            return _blame_answer(step, expression, result, value)
        outputs[name] = value
    size = measure(outputs)
    if size > MAX_STEP_BYTES:
        return Failure("OutputTooLarge", f"{_names(step)} together have {size} bytes; allowed are {MAX_STEP_BYTES}")
    if used + size > MAX_ALL_BYTES:
        return Failure("OutputTooLarge", f"with {_names(step)} all outputs together pass {MAX_ALL_BYTES} bytes")
    return outputs


def find_excess(before: Mapping[str, object], memory: Mapping[str, object], used: int) -> Failure | None:
    """Returns why a step cannot keep so much in mind; None where it can. `used` is what all keep, `before` included."""
    if memory == before:
        return None
    size = measure(memory)
    if size > MAX_STEP_BYTES:
        return Failure("OutputTooLarge", f"what it keeps to be undone has {size} bytes; allowed are {MAX_STEP_BYTES}")
    if size > measure(before) and used + size - measure(before) > MAX_ALL_BYTES:
        return Failure("OutputTooLarge", f"what all steps keep to be undone would pass {MAX_ALL_BYTES} bytes")
    return None


def _compute_output(name: str, expression: Expression, variables: Mapping[str, object]) -> object | Failure:
    try:
        value = _as_json(expression.evaluate(variables))
    except ExpressionError as problem:
        return Failure("OutputInvalid", f"output {name!r}: {problem}")
    except (TypeError, ValueError, RecursionError) as problem:
        return Failure("OutputInvalid", f"output {name!r} is no JSON: {problem}")
    size = measure(value)
    if size > MAX_OUTPUT_BYTES:
        return Failure("OutputTooLarge", f"output {name!r} has {size} bytes; allowed are {MAX_OUTPUT_BYTES}")
    return value


def _blame_answer(step: StepDefinition, expression: Expression, result: object, failure: Failure) -> Failure:
    """Returns a failure of its own for an output that was looked for in an HTTP answer without any JSON."""
    if step.kind != "http" or "body" not in expression.source or not isinstance(result, Mapping):
        return failure
    found = describe_no_json(result)
    return Failure("HttpAnswerInvalid", f"{found}; {failure.message}") if found else failure


def _as_json(value: object) -> object:
    """Returns a value as it reads once written: CEL has times, bytes and NaN, which JSON has not."""
    read: object = json.loads(json.dumps(value, allow_nan=False))
    return read


def measure(value: object) -> int:
    """Returns the bytes a JSON value takes."""
    return len(json.dumps(value, separators=(",", ":")).encode())


def _names(step: StepDefinition) -> str:
    return ", ".join(name for name, _ in step.outputs)
