"""What a program or a service answers to a task, read as the task's result."""

from __future__ import annotations

import json

from pydantic import ValidationError

from vapora.agent.task import Result, TaskFailed


def read_answer(data: bytes, source: str, *, is_result: bool) -> Result:
    """Returns the result that an answer holds; nothing at all is the output null.

    The answer is the output, any JSON. With `is_result` it is an object with `output` and, as far as they are known,
    `quality`, `tokens`, `model`, `provider` and `costCents`. TaskFailed `InvalidOutput` where it is something else;
    `source` says who answered.
    """
    try:
        output: object = json.loads(data) if data.strip() else None
    except ValueError as error:
        shown = data[:80].decode(errors="replace")
        raise TaskFailed(f"{source} answered no JSON ({error}): {shown!r}", code="InvalidOutput") from error
    if not is_result:
        return Result(output=output)
    try:
        return Result.model_validate(output)
    except ValidationError as error:
        told = " ".join(str(error).split())[:300]
        raise TaskFailed(f"{source} answered no result: {told}", code="InvalidOutput") from error
