"""An agent that forwards every task to an HTTP endpoint."""

from __future__ import annotations

import httpx
from pydantic_core import to_json

from vapora.agent.agent import Agent
from vapora.agent.bridges.answers import read_answer
from vapora.agent.contract import MAX_OUTPUT_BYTES
from vapora.agent.task import Result, Retryable, Task, TaskFailed

CONNECT_SECONDS = 10.0

_LONGEST_ANSWER = 2 * MAX_OUTPUT_BYTES
_TOLD_BYTES = 300
_MAY_CHANGE = frozenset({408, 425, 429})


def build_http_agent(target: str, *, role: str = "http", is_result: bool = False) -> Agent:
    """Returns an agent that POSTs every task's input, as JSON, to `target` and takes the answer's body as the output.

    See `read_answer` for `is_result`. The headers `Idempotency-Key` (the task's id), `Vapora-Task-Type`,
    `Vapora-Provider`, `Vapora-Model` and `traceparent` tell of the task. Any 2xx is success; a 408, 425, 429 or 5xx and
    an endpoint that cannot be reached are failures that another try may mend (`HttpStatus`, `HttpUnreachable`), every
    other answer, redirections too, is final. The task's deadline is the only limit of time; when the task is cancelled,
    the connection is closed.

    ValueError where `target` is no HTTP address.

    >>> from vapora.agent import build_http_agent
    >>> build_http_agent("localhost:8080")
    Traceback (most recent call last):
    ValueError: 'localhost:8080' is no address as http://host:port/path
    """
    check_address(target)
    agent = Agent(role=role)

    @agent.task()
    async def forward(task: Task) -> Result:
        async with httpx.AsyncClient(timeout=httpx.Timeout(None, connect=CONNECT_SECONDS)) as client:
            return read_answer(await _post(client, target, task), target, is_result=is_result)

    return agent


def check_address(target: str) -> None:
    """Raises ValueError where `target` is no HTTP address."""
    try:
        url = httpx.URL(target)
    except httpx.InvalidURL as error:
        raise ValueError(f"{target!r} is no address: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"{target!r} is no address as http://host:port/path")


async def _post(client: httpx.AsyncClient, target: str, task: Task) -> bytes:
    body = bytearray()
    try:
        async with client.stream("POST", target, content=to_json(task.input), headers=_build_headers(task)) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _LONGEST_ANSWER:
                    raise TaskFailed(f"{target} answered more than {_LONGEST_ANSWER} bytes", code="OutputTooLarge")
    except httpx.HTTPError as error:
        raise Retryable(f"{target}: {error or type(error).__name__}", code="HttpUnreachable") from error
    if response.is_success:
        return bytes(body)
    said = " ".join(body[:_TOLD_BYTES].decode(errors="replace").split())
    may_change = response.is_server_error or response.status_code in _MAY_CHANGE
    raise TaskFailed(f"{target} answered {response.status_code}: {said}", code="HttpStatus", retryable=may_change)


def _build_headers(task: Task) -> dict[str, str]:
    told = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Idempotency-Key": task.id,
        "Vapora-Task-Type": task.task_type,
        "Vapora-Provider": task.provider.name if task.provider else "",
        "Vapora-Model": (task.provider.model or "") if task.provider else "",
        "traceparent": task.traceparent or "",
    }
    return {name: value for name, value in told.items() if value}
