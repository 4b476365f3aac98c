"""From a handler to the result of a task: whatever a handler does becomes one TaskResult."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from pydantic_core import PydanticSerializationError

from vapora.agent.contract import MAX_OUTPUT_BYTES, AgentIdentity, TaskError, TaskResult
from vapora.agent.inflight import Attempt
from vapora.agent.logs import working_on
from vapora.agent.outputs import encode_output
from vapora.agent.schemas import SchemaInvalid, find_mismatch
from vapora.agent.task import Result, Task, TaskFailed
from vapora.agent.tracing import continue_trace

logger = logging.getLogger(__name__)

Handler = Callable[[Task], Awaitable[Result]]

_LONGEST_MESSAGE = 1024


class Unfinished(Exception):
    """The task was given up and has no result."""


async def perform(attempt: Attempt, handlers: Mapping[str | None, Handler], identity: AgentIdentity) -> TaskResult:
    """Runs the handler of the task's type and returns the task's result; Unfinished where the task was given up."""
    handler = handlers.get(attempt.task.task_type) or handlers.get(None)
    if attempt.over.is_set():
        answer: Result | TaskError | None = None
    elif handler is None:
        answer = TaskError(
            code="UnknownTaskType", message=f"this agent has no handler for {attempt.task.task_type!r}", retryable=False
        )
    else:
        answer = await _race(handler, attempt)
    if attempt.is_given_up:
        raise Unfinished
    return _build_result(attempt, answer, identity)


async def _race(handler: Handler, attempt: Attempt) -> Result | TaskError | None:
    """Returns the handler's answer, or None where the task was ended from outside; the handler is cancelled then."""
    async with asyncio.TaskGroup() as group:
        work = group.create_task(_answer(handler, attempt.task))
        over = group.create_task(attempt.over.wait())
        await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        work.cancel()
    if not work.cancelled():
        return work.result()
    if attempt.over.is_set():
        return None
    return TaskError(code="CancelledError", message="the handler was cancelled, and not by the agent")


async def _answer(handler: Handler, task: Task) -> Result | TaskError:
    working_on.set((task.id, task.traceparent or ""))
    continue_trace(task.traceparent or "")
    left = None if task.deadline is None else (task.deadline - datetime.now(UTC)).total_seconds()
    too_late = TaskError(code="DeadlineExceeded", message=f"the task was not done by {task.deadline}")
    if left is not None and left <= 0:
        return too_late
    try:
        async with asyncio.timeout(left) as limit:
            answer: object = await handler(task)
    except TaskFailed as error:
        return TaskError(code=error.code, message=_shorten(str(error)), retryable=error.retryable)
    except Exception as error:  # a handler is foreign code: whatever it raises is the task's outcome
        if limit.expired():
            return too_late
        logger.warning("a handler raised", extra={"task": task.id}, exc_info=error)
        return TaskError(code=type(error).__name__, message=_shorten(str(error)))
    if isinstance(answer, Result):
        return answer
    return TaskError(
        code="InvalidResult", message=f"the handler returned {type(answer).__name__}, not Result", retryable=False
    )


def _build_result(attempt: Attempt, answer: Result | TaskError | None, identity: AgentIdentity) -> TaskResult:
    base = TaskResult(
        id=attempt.task.id,
        outcome="failure",
        started_at=attempt.started_at,
        finished_at=datetime.now(UTC),
        agent=identity,
    )
    if attempt.task.cancelled or answer is None:
        return base.model_copy(update={"outcome": "cancelled"})
    if isinstance(answer, TaskError):
        return base.model_copy(update={"error": answer})
    result = base.model_copy(update={"outcome": "success", **dict(answer)})
    problem = _find_output_problem(result.output, attempt.task.output_schema)
    return base.model_copy(update={"error": problem}) if problem else result


def _find_output_problem(output: object, schema: dict[str, object] | None) -> TaskError | None:
    try:
        encoded = encode_output(output)
    except PydanticSerializationError as error:
        return TaskError(code="InvalidOutput", message=_shorten(str(error)), retryable=False)
    if len(encoded) > MAX_OUTPUT_BYTES:
        told = f"the output has {len(encoded)} bytes; {MAX_OUTPUT_BYTES} are allowed"
        return TaskError(code="OutputTooLarge", message=told, retryable=False)
    if schema is None:
        return None
    try:
        mismatch = find_mismatch("output", json.loads(encoded), schema)
    except SchemaInvalid as error:
        return TaskError(code="SchemaInvalid", message=_shorten(str(error)), retryable=False)
    return TaskError(code="OutputInvalid", message=_shorten(mismatch)) if mismatch else None


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
