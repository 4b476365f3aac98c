"""Takes back a task that no agent has been given yet."""

from __future__ import annotations

import json

from nats.aio.client import Client
from nats.js.errors import APIError

from vapora.adapters.nats_depths import read_last_delivered
from vapora.agent.contract import MESSAGE_ID_HEADER, TASKS_STREAM, task_subject


async def withdraw(client: Client, namespace: str, pool: str, message_id: str, *, timeout_seconds: float) -> bool:
    """Removes a task from the queue; False where an agent was given it, or it is gone or older than the window."""
    sequence = await _find_sequence(client, namespace, pool, message_id, timeout_seconds)
    if sequence is None or sequence <= await read_last_delivered(client, namespace, pool):
        return False
    try:
        return await client.jetstream().delete_msg(TASKS_STREAM, sequence)
    except APIError:
        # Gone between the two calls.
        return False


async def _find_sequence(
    client: Client, namespace: str, pool: str, message_id: str, timeout_seconds: float
) -> int | None:
    """Returns where in the stream a task stands, in one call at any depth of the queue.

    A publish under the same id answers with the place of the first one. The expected last id is one that no message
    has, so where the broker does not know the id (its window of an hour is over) it stores nothing and answers no.
    """
    answer = await client.request(
        task_subject(namespace, pool),
        b"",
        timeout=timeout_seconds,
        headers={MESSAGE_ID_HEADER: message_id, "Nats-Expected-Last-Msg-Id": "none-has-this-id"},
    )
    said = json.loads(answer.data)
    return int(said["seq"]) if said.get("duplicate") else None
