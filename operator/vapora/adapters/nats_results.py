"""Reads the stream of results, and turns each message into a delivery."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError
from pydantic import BaseModel, ValidationError

from vapora.adapters.nats_streams import MAX_DELIVERIES, TERMINATED
from vapora.agent.contract import (
    MESSAGE_ID_HEADER,
    RESULTS_STREAM,
    TASKS_STREAM,
    TaskError,
    TaskResult,
    parse_consumer_name,
    parse_result_subject,
    result_subject,
    split_task_id,
)
from vapora.agent.outputs import OutputLost, load_output

Json = dict[str, object]
# What an agent says of its answer beside the answer itself.
_CLAIMS = {(name,) for name in ("quality", "tokens", "costCents", "llmSeconds", "startedAt", "finishedAt")}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one message of the stream says. `spent` is the sequence of the task that the ack removes from its queue."""

    namespace: str = ""
    id: str = ""
    result: Json | None = None
    error: str | None = None
    spent: int | None = None
    is_answered: bool = False


class _Advisory(BaseModel):
    consumer: str
    stream_seq: int
    deliveries: int
    reason: str = ""


async def read_message(client: Client, message: Msg) -> Reading:
    """Returns what a message of the stream of results says; a message without meaning is a reading with an error."""
    if message.subject.startswith(f"{MAX_DELIVERIES}."):
        return await _read_undeliverable(client, message.data)
    if message.subject.startswith(f"{TERMINATED}."):
        return _read_terminated(message.data)
    return read_result(message.subject, message.data)


def read_result(subject: str, data: bytes) -> Reading:
    """Returns the result in a message. Who it is for stands in the subject, which an agent's rights limit."""
    try:
        namespace, task_id = parse_result_subject(subject)
    except ValueError as error:
        return Reading(error=str(error))
    try:
        result = _read_task_result(data)
    except ValueError as error:
        return Reading(namespace, task_id, error=" ".join(str(error).split())[:1000])
    if result["id"] != task_id:
        return Reading(namespace, task_id, error=f"the result says it is of {result['id']!r}")
    return Reading(namespace, task_id, result=result)


def _read_task_result(data: bytes) -> Json:
    """Returns a TaskResult in its JSON form; raises ValueError.

    Where only what is said beside the answer cannot be, such as a quality of 7, the answer counts all the same: who
    reads it brings that into bounds.
    """
    try:
        return encode_result(TaskResult.model_validate_json(data))
    except ValidationError as error:
        if not all(problem["loc"][:1] in _CLAIMS for problem in error.errors()):
            raise
    result: Json = json.loads(data, parse_constant=lambda _: None)
    return result


async def fill_in_output(client: Client, reading: Reading) -> Reading:
    """Returns a reading with the output that its result only refers to; one that is lost makes the task a failure."""
    reference = reading.result.get("outputRef") if reading.result is not None else None
    if reading.result is None or not isinstance(reference, str):
        return reading
    try:
        output = await load_output(client, reading.namespace, reference)
    except OutputLost as error:
        failure = TaskError(code="OutputLost", message=str(error))
        lost = TaskResult(id=reading.id, outcome="failure", error=failure)
        return replace(reading, result=encode_result(lost))
    result = {name: value for name, value in reading.result.items() if name != "outputRef"}
    return replace(reading, result=result | {"output": output})


def encode_result(result: TaskResult) -> Json:
    """Returns a result in its JSON form."""
    encoded: Json = json.loads(result.to_json())
    return encoded


# The broker's own word for a message that was removed while an agent held it: withdrawn, or done before a crash.
_REMOVED = "Unacknowledged message was deleted"


def _read_terminated(data: bytes) -> Reading:
    try:
        advisory = _Advisory.model_validate_json(data)
        namespace, pool = parse_consumer_name(advisory.consumer)
    except ValueError as error:
        return Reading(error=f"an advisory that cannot be read: {error}")
    if advisory.reason == _REMOVED:
        return Reading(namespace, is_answered=True)
    return Reading(namespace, error=f"an agent of pool {pool} refused message {advisory.stream_seq}: {advisory.reason}")


async def _read_undeliverable(client: Client, data: bytes) -> Reading:
    try:
        advisory = _Advisory.model_validate_json(data)
        namespace, pool = parse_consumer_name(advisory.consumer)
    except ValueError as error:
        return Reading(error=f"an advisory that cannot be read: {error}")
    task_id = await _find_task_id(client, advisory.stream_seq)
    if task_id is None:
        # Answered or withdrawn meanwhile: nobody waits for it.
        return Reading(namespace, is_answered=True)
    if not task_id:
        problem = f"message {advisory.stream_seq} of pool {pool} names no task and no agent took it"
        return Reading(namespace, error=problem, spent=advisory.stream_seq)
    if await _has_result(client, namespace, task_id):
        return Reading(namespace, task_id, spent=advisory.stream_seq, is_answered=True)
    failure = TaskResult(
        id=task_id,
        outcome="failure",
        error=TaskError(
            code="Undeliverable",
            message=f"given to agents of pool {pool} {advisory.deliveries} times; none finished it",
        ),
    )
    return Reading(namespace, task_id, result=encode_result(failure), spent=advisory.stream_seq)


async def _find_task_id(client: Client, sequence: int) -> str | None:
    """Returns the id of the task in a message of the queue, "" where it has none, None where the message is gone."""
    try:
        message = await client.jetstream().get_msg(TASKS_STREAM, sequence)
    except NotFoundError:
        return None
    task_id = str((message.headers or {}).get(MESSAGE_ID_HEADER, ""))
    try:
        split_task_id(task_id)
    except ValueError:
        return ""
    return task_id


async def _has_result(client: Client, namespace: str, task_id: str) -> bool:
    try:
        await client.jetstream().get_last_msg(RESULTS_STREAM, result_subject(namespace, task_id))
    except NotFoundError:
        return False
    return True
