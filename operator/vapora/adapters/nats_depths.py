"""Reads the depths of all pools' queues at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from vapora.agent.contract import TASK_SUBJECTS, TASKS_STREAM, consumer_name, parse_task_subject
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known, Unknown

Pool = tuple[str, str]

# Up to here one question for each pool costs less than a page with up to 256 consumers.
_MOST_SINGLE_READS = 8
_EMPTY = QueueDepth(queued=Known(0), in_flight=Known(0))


async def read_depths(client: Client, pools: Collection[Pool], *, timeout_seconds: float) -> Mapping[Pool, QueueDepth]:
    """Returns the depth of every pool in `pools` and of every other that has tasks.

    The broker's count of a subject includes tasks in flight, so `queued` is what remains without them.
    """
    try:
        counts = await _count_tasks(client)
    except NotFoundError:
        missing = Unknown(f"the stream {TASKS_STREAM} is missing")
        return dict.fromkeys(pools, QueueDepth(queued=missing, in_flight=missing))
    in_flight = await _read_in_flight(client, counts, timeout_seconds)
    return dict.fromkeys(pools, _EMPTY) | {
        pool: _build_depth(pool, count, in_flight.get(consumer_name(*pool))) for pool, count in counts.items()
    }


async def read_last_delivered(client: Client, namespace: str, pool: str) -> int:
    """Returns the stream sequence up to which the pool's agents were given tasks; 0 without a consumer."""
    try:
        info = await client.jetstream().consumer_info(TASKS_STREAM, consumer_name(namespace, pool))
    except NotFoundError:
        return 0
    return int(info.delivered.stream_seq) if info.delivered else 0


def _build_depth(pool: Pool, count: int, in_flight: int | None) -> QueueDepth:
    if in_flight is None:
        missing = Unknown(f"the consumer {consumer_name(*pool)} is missing")
        return QueueDepth(queued=missing, in_flight=missing)
    # Two reads are not of one moment: a task acked between them must not show as less than none.
    return QueueDepth(queued=Known(max(count - in_flight, 0)), in_flight=Known(min(in_flight, count)))


async def _count_tasks(client: Client) -> dict[Pool, int]:
    info = await client.jetstream().stream_info(TASKS_STREAM, subjects_filter=TASK_SUBJECTS)
    return {parse_task_subject(subject): count for subject, count in (info.state.subjects or {}).items() if count}


async def _read_in_flight(client: Client, counts: Mapping[Pool, int], timeout_seconds: float) -> dict[str, int]:
    """Returns the tasks in flight by consumer; a consumer that does not exist is not in it."""
    names = [consumer_name(*pool) for pool in counts]
    if len(names) > _MOST_SINGLE_READS:
        return await _list_in_flight(client, timeout_seconds)
    found = await asyncio.gather(*(_ask_in_flight(client, name) for name in names))
    return {name: number for name, number in zip(names, found, strict=True) if number is not None}


async def _ask_in_flight(client: Client, name: str) -> int | None:
    try:
        info = await client.jetstream().consumer_info(TASKS_STREAM, name)
    except NotFoundError:
        return None
    return int(info.num_ack_pending or 0)


async def _list_in_flight(client: Client, timeout_seconds: float) -> dict[str, int]:
    # Plain JSON: the library's objects cost more than the call for a thousand consumers, and lose the total.
    found: dict[str, int] = {}
    offset, total = 0, 1
    while offset < total:
        message = await client.request(
            f"$JS.API.CONSUMER.LIST.{TASKS_STREAM}", json.dumps({"offset": offset}).encode(), timeout=timeout_seconds
        )
        page = json.loads(message.data)
        consumers = page.get("consumers") or []
        found.update({consumer["name"]: int(consumer["num_ack_pending"]) for consumer in consumers})
        total = int(page.get("total", 0)) if consumers else 0
        offset += len(consumers)
    return found
