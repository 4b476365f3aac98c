"""What a step hands on: values computed from its result, within limits that keep the status small."""

from __future__ import annotations

import json
from collections.abc import Mapping

from vapora.core.expressions import Expression, ExpressionError
from vapora.core.workflow.definition import StepDefinition
from vapora.core.workflow.failure import Failure

MAX_OUTPUT_BYTES = 4 * 1024  # one output
MAX_ALL_BYTES = 32 * 1024  # all outputs of a workflow


def compute_outputs(step: StepDefinition, result: object, used: int) -> Mapping[str, object] | Failure | None:
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
        value = _compute_output(name, expression, result)
        if isinstance(value, Failure):
            return value
        outputs[name] = value
    if used + measure(outputs) > MAX_ALL_BYTES:
        return Failure("OutputTooLarge", f"with {_names(step)} all outputs together pass {MAX_ALL_BYTES} bytes")
    return outputs


def _compute_output(name: str, expression: Expression, result: object) -> object | Failure:
    try:
        value = _as_json(expression.evaluate({"result": result}))
    except ExpressionError as problem:
        return Failure("OutputInvalid", f"output {name!r}: {problem}")
    except (TypeError, ValueError, RecursionError) as problem:
        return Failure("OutputInvalid", f"output {name!r} is no JSON: {problem}")
    size = measure(value)
    if size > MAX_OUTPUT_BYTES:
        return Failure("OutputTooLarge", f"output {name!r} has {size} bytes; allowed are {MAX_OUTPUT_BYTES}")
    return value


def _as_json(value: object) -> object:
    """Returns a value as it reads once written: CEL has times, bytes and NaN, which JSON has not."""
    read: object = json.loads(json.dumps(value, allow_nan=False))
    return read


def measure(value: object) -> int:
    """Returns the bytes a JSON value takes."""
    return len(json.dumps(value, separators=(",", ":")).encode())


def _names(step: StepDefinition) -> str:
    return ", ".join(name for name, _ in step.outputs)
