"""What a handler of an agent sees and gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from vapora.agent.contract import ProviderChoice, Seconds, TaskEnvelope, Tokens


class TaskFailed(Exception):
    """Raised by a handler: the task is not done, for a reason that the handler knows.

    `code` is a CamelCase word that stands in the step's status. `retryable` says whether another try may end otherwise.

    >>> from vapora.agent import TaskFailed
    >>> raise TaskFailed("there is no branch 'main'", code="NoBranch")
    Traceback (most recent call last):
    vapora.agent.task.TaskFailed: there is no branch 'main'
    """

    def __init__(self, message: str, *, code: str = "TaskFailed", retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class Retryable(TaskFailed):
    """Raised by a handler: the task is not done now, another try may do it (a rate limit, a service that is down).

    >>> from vapora.agent import Retryable
    >>> Retryable("too many requests", code="RateLimited").retryable
    True
    """

    def __init__(self, message: str, *, code: str = "Retryable") -> None:
        super().__init__(message, code=code, retryable=True)


class Result(BaseModel):
    """What a handler gives back for a task that is done.

    `output` is any JSON value, of at most 1 MiB; over 4 KiB it travels beside the result, which changes nothing for the
    step. It must meet the step's `outputSchema`, else the task fails with `OutputInvalid`. `quality` is the handler's
    own estimate from 0 to 1; by it and by `tokens`, `model`, `provider` and `cost_cents`, budgets are kept and pools
    chosen. `llm_seconds` is how long each of its requests to the model took.

    pydantic's ValidationError where a figure is out of its range. JSON has the names in camelCase.

    >>> from vapora.agent import Result, Tokens
    >>> Result(output={"approved": True}, quality=0.9, tokens=Tokens(prompt=800, completion=40), cost_cents=1.2).quality
    0.9
    >>> Result(output="fine", quality=7)
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Result
    ...
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")

    output: object = None
    quality: float | None = Field(default=None, ge=0, le=1)
    tokens: Tokens | None = None
    model: str | None = None
    provider: str | None = None
    cost_cents: float | None = Field(default=None, ge=0)
    llm_seconds: tuple[Seconds, ...] | None = None


ReportProgress = Callable[[float, str], Awaitable[None]]


async def _report_to_nobody(_fraction: float, _message: str) -> None:
    """Stands in where a handler is called without a broker, as in its own tests."""


@dataclass(slots=True, eq=False)
class Task:
    """One task that an agent works on.

    `id` is the idempotency key: a task that is delivered again has the same one. `deadline` is absolute; the handler
    is cancelled when it passes. `provider` is the model provider that the operator chose, if it chose one.
    `output_schema` is what the output must meet; `budget_cents` is the most that the task may cost. `traceparent` is
    the trace that calls to others should carry on, in the W3C's form. `cancelled` turns True when nobody wants the
    result any more.

    >>> from vapora.agent import Task
    >>> Task(id="0b2e3c1a/review/0/1", input={"diff": "-a +b"}, step="review").input["diff"]
    '-a +b'
    """

    id: str
    input: object = None
    title: str = ""
    description: str = ""
    task_type: str = ""
    namespace: str = ""
    workflow: str = ""
    step: str = ""
    attempt: int = 1
    deadline: datetime | None = None
    provider: ProviderChoice | None = None
    output_schema: dict[str, object] | None = None
    budget_cents: float | None = None
    traceparent: str | None = None
    cancelled: bool = False
    report: ReportProgress = field(default=_report_to_nobody, repr=False)

    async def progress(self, fraction: float, message: str = "") -> None:
        """Says how much of the task is done, from 0 to 1; the pool's heartbeats carry it. Never raises."""
        await self.report(min(max(fraction, 0.0), 1.0), message)


def build_task(envelope: TaskEnvelope, report: ReportProgress) -> Task:
    """Returns the task that an envelope holds."""
    return Task(
        id=envelope.id,
        input=envelope.input,
        title=envelope.title,
        description=envelope.description,
        task_type=envelope.task_type,
        namespace=envelope.namespace,
        workflow=envelope.workflow,
        step=envelope.step,
        attempt=envelope.attempt,
        deadline=envelope.deadline,
        provider=envelope.provider,
        output_schema=envelope.output_schema,
        budget_cents=envelope.budget_cents,
        traceparent=envelope.traceparent,
        report=report,
    )
