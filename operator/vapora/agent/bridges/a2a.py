"""An agent that forwards every task to an agent that speaks A2A."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import httpx
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    TaskState,
)
from a2a.types import Task as RemoteTask
from a2a.utils.constants import TransportProtocol
from a2a.utils.errors import A2AError
from google.protobuf.json_format import MessageToDict, Parse
from google.protobuf.struct_pb2 import Value
from pydantic_core import to_json

from vapora.agent.agent import Agent
from vapora.agent.bridges.http import CONNECT_SECONDS, check_address
from vapora.agent.task import Result, Retryable, Task, TaskFailed

_POLL_SECONDS = 1.0
_CANCEL_SECONDS = 3.0
_WORKING = frozenset({TaskState.TASK_STATE_UNSPECIFIED, TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING})


def build_a2a_agent(target: str, *, role: str = "a2a") -> Agent:
    """Returns an agent that sends every task as a message to the A2A agent whose card `target` publishes.

    The message has the task's title and description as text and its input as data, and the task's id as its own. The
    output is the data of the remote task's artifacts, or of its answer, else their text; several are a list. A remote
    task that fails or that cannot be reached may be tried again (`A2aFailed`, `A2aUnreachable`); one that is rejected
    or asks back (`A2aRejected`, `A2aInputRequired`) may not. When the task is cancelled here, so it is there.

    ValueError where `target` is no HTTP address.
    """
    check_address(target)
    agent = Agent(role=role)

    @agent.task()
    async def forward(task: Task) -> Result:
        async with httpx.AsyncClient(timeout=httpx.Timeout(None, connect=CONNECT_SECONDS)) as http:
            bindings = [TransportProtocol.JSONRPC, TransportProtocol.HTTP_JSON]
            # Where the agent does not stream, the answer names the task at once, so that it can be cancelled.
            config = ClientConfig(
                httpx_client=http, supported_protocol_bindings=[str(one.value) for one in bindings], polling=True
            )
            try:
                client = await ClientFactory(config).create_from_url(target)
                return Result(output=await _send(client, task))
            except (A2AClientError, httpx.HTTPError) as error:
                raise Retryable(f"{target}: {error or type(error).__name__}", code="A2aUnreachable") from error
            except (A2AError, ValueError) as error:
                raise TaskFailed(f"{target}: {error or type(error).__name__}", code="A2aRefused") from error

    return agent


async def _send(client: Client, task: Task) -> object:
    remote = RemoteTask()
    try:
        async for event in client.send_message(SendMessageRequest(message=_build_message(task))):
            if event.HasField("message"):
                return _read_parts(event.message.parts)
            is_new = not remote.id
            _follow(remote, event)
            if is_new:
                await task.progress(0.0, f"it is the remote task {remote.id}")
        while remote.status.state in _WORKING:
            await asyncio.sleep(_POLL_SECONDS)
            remote = await client.get_task(GetTaskRequest(id=remote.id))
    except asyncio.CancelledError:
        await _cancel(client, remote.id)
        raise
    return _read_end(remote)


def _build_message(task: Task) -> Message:
    words = "\n\n".join(text for text in (task.title, task.description) if text)
    parts = [Part(text=words)] if words else []
    if task.input is not None:
        value = Value()
        Parse(to_json(task.input), value)
        parts.append(Part(data=value))
    return Message(message_id=task.id, role=Role.ROLE_USER, parts=parts or [Part(text=task.task_type)])


def _follow(remote: RemoteTask, event: StreamResponse) -> None:
    """Brings what is known of the remote task up to date."""
    if event.HasField("task"):
        remote.CopyFrom(event.task)
    elif event.HasField("status_update"):
        remote.id = event.status_update.task_id
        remote.status.CopyFrom(event.status_update.status)
    elif event.HasField("artifact_update"):
        remote.id = event.artifact_update.task_id
        added = event.artifact_update.artifact
        known = next((one for one in remote.artifacts if one.artifact_id == added.artifact_id), None)
        if known is None:
            remote.artifacts.append(added)
        elif event.artifact_update.append:
            known.parts.extend(added.parts)
        else:
            known.CopyFrom(added)


def _read_end(remote: RemoteTask) -> object:
    said = _read_parts(remote.status.message.parts)
    state = remote.status.state
    if state == TaskState.TASK_STATE_COMPLETED:
        output = _read_parts(part for artifact in remote.artifacts for part in artifact.parts)
        return said if output is None else output
    name = TaskState.Name(state).removeprefix("TASK_STATE_").lower().replace("_", " ")
    told = f"the remote task {remote.id} is {name}" + (f": {said}" if said else "")
    if state in {TaskState.TASK_STATE_FAILED, TaskState.TASK_STATE_CANCELED}:
        raise Retryable(told, code="A2aFailed")
    is_rejected = state == TaskState.TASK_STATE_REJECTED
    raise TaskFailed(told, code="A2aRejected" if is_rejected else "A2aInputRequired")


def _read_parts(parts: Iterable[Part]) -> object:
    """Returns the data of parts, else their text; None where there is neither."""
    found = list(parts)
    data = [MessageToDict(part.data) for part in found if part.HasField("data")]
    if data:
        return data[0] if len(data) == 1 else data
    texts = [part.text for part in found if part.HasField("text")]
    return "\n".join(texts) if texts else None


async def _cancel(client: Client, remote_id: str) -> None:
    if not remote_id:
        return
    # The task has ended here, whatever becomes of it there.
    with contextlib.suppress(A2AError, httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(_CANCEL_SECONDS):
            await client.cancel_task(CancelTaskRequest(id=remote_id))
