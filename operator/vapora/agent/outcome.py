"""From a handler to the result of a task: whatever a handler does becomes one TaskResult."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from pydantic_core import PydanticSerializationError

from vapora.agent.contract import MAX_OUTPUT_BYTES, AgentIdentity, TaskError, TaskResult
from vapora.agent.inflight import Held
from vapora.agent.task import Result, Task, TaskFailed

logger = logging.getLogger(__name__)

Handler = Callable[[Task], Awaitable[Result]]

_LONGEST_MESSAGE = 1024
# The rest of a result beside its output: figures and short texts.
_ENVELOPE_BYTES = 8 * 1024


class Unfinished(Exception):
    """The task was given up and has no result."""


async def perform(held: Held, handlers: Mapping[str | None, Handler], identity: AgentIdentity) -> TaskResult:
    """Runs the handler of the task's type and returns the task's result; Unfinished where the task was given up."""
    handler = handlers.get(held.task.task_type) or handlers.get(None)
    if held.over.is_set():
        answer: Result | TaskError | None = None
    elif handler is None:
        answer = TaskError(
            code="UnknownTaskType", message=f"this agent has no handler for {held.task.task_type!r}", retryable=False
        )
    else:
        answer = await _race(handler, held)
    if held.is_given_up:
        raise Unfinished
    return _build_result(held, answer, identity)


async def _race(handler: Handler, held: Held) -> Result | TaskError | None:
    """Returns the handler's answer, or None where the task was ended from outside; the handler is cancelled then."""
    async with asyncio.TaskGroup() as group:
        work = group.create_task(_answer(handler, held.task))
        over = group.create_task(held.over.wait())
        await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        work.cancel()
    if not work.cancelled():
        return work.result()
    if held.over.is_set():
        return None
    return TaskError(code="CancelledError", message="the handler was cancelled, and not by the agent")


async def _answer(handler: Handler, task: Task) -> Result | TaskError:
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


def _build_result(held: Held, answer: Result | TaskError | None, identity: AgentIdentity) -> TaskResult:
    base = TaskResult(
        id=held.envelope.id,
        outcome="failure",
        started_at=held.started_at,
        finished_at=datetime.now(UTC),
        agent=identity,
    )
    if held.task.cancelled or answer is None:
        return base.model_copy(update={"outcome": "cancelled"})
    if isinstance(answer, TaskError):
        return base.model_copy(update={"error": answer})
    result = base.model_copy(update={"outcome": "success", **dict(answer)})
    problem = _find_output_problem(result)
    return base.model_copy(update={"error": problem}) if problem else result


def _find_output_problem(result: TaskResult) -> TaskError | None:
    try:
        size = len(result.to_json())
    except PydanticSerializationError as error:
        return TaskError(code="InvalidOutput", message=_shorten(str(error)), retryable=False)
    if size <= MAX_OUTPUT_BYTES + _ENVELOPE_BYTES:
        return None
    return TaskError(
        code="OutputTooLarge", message=f"the result has {size} bytes; {MAX_OUTPUT_BYTES} are allowed", retryable=False
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
