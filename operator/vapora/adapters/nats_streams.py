"""The streams and consumers of the queue contract, made where they are absent."""

from __future__ import annotations

import contextlib

import nats.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, ObjectStoreConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from vapora.agent.contract import (
    RESULT_SUBJECTS,
    RESULTS_STREAM,
    TASK_SUBJECTS,
    TASKS_STREAM,
    consumer_name,
    outputs_bucket,
    task_subject,
)

RESULTS_CONSUMER = "vapora-operator"

# The broker publishes these once and keeps them nowhere. In the stream of results they wait for a reader as results do.
MAX_DELIVERIES = f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{TASKS_STREAM}"
TERMINATED = f"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.{TASKS_STREAM}"

_DUPLICATE_WINDOW_SECONDS = 3600.0
_RESULTS_AGE_SECONDS = 7 * 24 * 3600.0
# One for each pool. The broker's own default of 1,000 would refuse the 1,001st pool.
_MOST_POOLS = 100_000
_MOST_READERS = 16
# How long the results of an operator that died stay with it. It renews what it holds as long as it lives.
RESULTS_ACK_WAIT_SECONDS = 5.0
_MOST_UNACKED_RESULTS = 5000
_MOST_WAITING_AGENTS = 10_000


class StreamUnusable(nats.errors.Error):
    """A stream of our name exists and cannot carry the contract."""


async def ensure_streams(client: Client, *, replicas: int) -> None:
    """Makes both streams and the reader of results. StreamUnusable where somebody else's stream is in the way."""
    for wanted in (_build_tasks_stream(replicas), _build_results_stream(replicas)):
        await _ensure_stream(client, wanted)
    await client.jetstream().add_consumer(
        RESULTS_STREAM,
        ConsumerConfig(
            name=RESULTS_CONSUMER,
            durable_name=RESULTS_CONSUMER,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=RESULTS_ACK_WAIT_SECONDS,
            max_ack_pending=_MOST_UNACKED_RESULTS,
        ),
    )


def _build_tasks_stream(replicas: int) -> StreamConfig:
    return StreamConfig(
        name=TASKS_STREAM,
        subjects=[TASK_SUBJECTS],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        duplicate_window=_DUPLICATE_WINDOW_SECONDS,
        max_consumers=_MOST_POOLS,
        num_replicas=replicas,
    )


def _build_results_stream(replicas: int) -> StreamConfig:
    return StreamConfig(
        name=RESULTS_STREAM,
        subjects=[RESULT_SUBJECTS, f"{MAX_DELIVERIES}.*", f"{TERMINATED}.*"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        duplicate_window=_DUPLICATE_WINDOW_SECONDS,
        max_age=_RESULTS_AGE_SECONDS,
        max_consumers=_MOST_READERS,
        # Agents look for their own results by subject, so their rights can end at their namespace.
        allow_direct=True,
        num_replicas=replicas,
    )


async def ensure_outputs(client: Client, namespace: str, *, replicas: int) -> None:
    """Makes the store of a namespace's large outputs, which lives as long as the results that refer to it."""
    jetstream = client.jetstream()
    try:
        await jetstream.object_store(outputs_bucket(namespace))
    except NotFoundError:
        config = ObjectStoreConfig(ttl=_RESULTS_AGE_SECONDS, replicas=replicas)
        await jetstream.create_object_store(outputs_bucket(namespace), config)


async def ensure_consumer(client: Client, namespace: str, pool: str, *, max_deliver: int, ack_wait: float) -> None:
    """Makes a pool's consumer, or brings it up to date."""
    name = consumer_name(namespace, pool)
    await client.jetstream().add_consumer(
        TASKS_STREAM,
        ConsumerConfig(
            name=name,
            durable_name=name,
            filter_subject=task_subject(namespace, pool),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait,
            max_deliver=max_deliver,
            max_ack_pending=-1,
            max_waiting=_MOST_WAITING_AGENTS,
        ),
    )


async def remove_consumer(client: Client, namespace: str, pool: str) -> None:
    """Removes a pool's consumer and then its tasks; what is not there is removed already."""
    with contextlib.suppress(NotFoundError):
        await client.jetstream().delete_consumer(TASKS_STREAM, consumer_name(namespace, pool))
    with contextlib.suppress(NotFoundError):
        await client.jetstream().purge_stream(TASKS_STREAM, subject=task_subject(namespace, pool))


async def _ensure_stream(client: Client, wanted: StreamConfig) -> None:
    jetstream = client.jetstream()
    name = str(wanted.name)
    try:
        found = (await jetstream.stream_info(name)).config
    except NotFoundError:
        await jetstream.add_stream(wanted)
        return
    if found.retention != wanted.retention:
        raise StreamUnusable(f"the stream {name} keeps messages by {found.retention}, not by {wanted.retention}")
    missing = set(wanted.subjects or []) - set(found.subjects or [])
    if missing:
        await _add_subjects(client, found, missing)


async def _add_subjects(client: Client, found: StreamConfig, missing: set[str]) -> None:
    try:
        await client.jetstream().update_stream(found, subjects=[*(found.subjects or []), *sorted(missing)])
    except APIError as error:
        raise StreamUnusable(f"the stream {found.name} lacks {', '.join(sorted(missing))}: {error}") from error
