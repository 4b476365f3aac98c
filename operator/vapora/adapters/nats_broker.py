"""The task broker on NATS JetStream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from vapora.adapters.nats_depths import Pool, read_depths
from vapora.adapters.nats_heartbeats import Hear, follow_heartbeats
from vapora.adapters.nats_reader import ResultReader
from vapora.adapters.nats_streams import ensure_consumer, ensure_outputs, ensure_streams, remove_consumer
from vapora.adapters.nats_withdrawal import withdraw
from vapora.agent.connection import BROKER_ERRORS, Connection, NotConnected, describe
from vapora.agent.contract import (
    MESSAGE_ID_HEADER,
    RESULTS_STREAM,
    TASKS_STREAM,
    Control,
    TaskError,
    TaskResult,
    control_subject,
    result_subject,
    task_subject,
)
from vapora.core.agentpool.broker import BrokerUnavailable, Delivery, QueueDepth, TaskTooLarge
from vapora.core.agentpool.depth import Unknown

T = TypeVar("T")

_HEADER_BYTES = 1024


class NatsBroker:
    """Publishes tasks, reads depths and results, over one connection that comes back by itself.

    `url` may name several servers, separated by commas. Every call is bounded by `timeout_seconds` and raises
    BrokerUnavailable. `replicas` is the number of copies of the streams, for a broker that is a cluster.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 5.0, replicas: int = 1) -> None:
        self._timeout = timeout_seconds
        self._replicas = replicas
        self._connection = Connection(url, name="vapora-operator", prepare=self._prepare)
        self._run: asyncio.Task[None] | None = None
        self._reader = ResultReader(self._connection)
        # What ensure_pool has made on the present connection. A broker that came back may have lost it.
        self._made: dict[Pool, tuple[int, float]] = {}
        self._stores: set[str] = set()
        self._pools: set[Pool] = set()

    @property
    def problem(self) -> str | None:
        """Says why the broker cannot be used; None while it can."""
        if self._run is not None and self._run.done():
            return "the connection to the broker has ended"
        return self._connection.problem

    async def connect(self) -> None:
        """Starts connecting, and waits for the first attempt alone; a broker that is down is tried again for ever."""
        if self._run is None:
            self._run = asyncio.create_task(self._keep_going(), name="broker")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._connection.wait_tried()

    async def close(self) -> None:
        """Ends the connection."""
        if self._run is not None:
            self._run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._run
            self._run = None

    async def ensure_pool(self, namespace: str, pool: str, *, max_deliver: int, ack_wait: float) -> None:
        """Makes the pool's durable consumer.

        Costs nothing where it was made on this connection, so it may be called at every look at a pool; that also
        brings back what a broker lost.
        """
        wanted = (max_deliver, ack_wait)
        self._pools.add((namespace, pool))
        if self._made.get((namespace, pool)) == wanted:
            return

        async def ensure(client: Client) -> None:
            if namespace not in self._stores:
                await ensure_outputs(client, namespace, replicas=self._replicas)
                self._stores.add(namespace)
            try:
                await ensure_consumer(client, namespace, pool, max_deliver=max_deliver, ack_wait=ack_wait)
            except NotFoundError:
                await ensure_streams(client, replicas=self._replicas)
                await ensure_consumer(client, namespace, pool, max_deliver=max_deliver, ack_wait=ack_wait)

        await self._call(f"make the queue of {namespace}/{pool}", ensure)
        self._made[namespace, pool] = wanted

    async def remove_pool(self, namespace: str, pool: str) -> None:
        """Removes the pool's consumer and the tasks that wait for it."""
        self._made.pop((namespace, pool), None)
        self._pools.discard((namespace, pool))
        await self._call(
            f"remove the queue of {namespace}/{pool}", lambda client: remove_consumer(client, namespace, pool)
        )

    async def publish(self, task: Mapping[str, object], *, namespace: str, pool: str, message_id: str) -> None:
        """Puts a task into the pool's queue and returns once the stream has it; a repeated id within an hour is none.

        After BrokerUnavailable the task may be there all the same: publish it again under the same id. TaskTooLarge
        where the broker takes no message of that size.
        """
        payload = json.dumps(task).encode()
        headers = {MESSAGE_ID_HEADER: message_id}
        if trace := task.get("traceparent"):
            headers["traceparent"] = str(trace)  # for whoever reads headers only, as tracing libraries do

        async def publish(client: Client) -> None:
            if len(payload) + _HEADER_BYTES > client.max_payload:
                raise TaskTooLarge(f"the task has {len(payload)} bytes; the broker takes {client.max_payload}")
            await client.jetstream(timeout=self._timeout).publish(
                task_subject(namespace, pool), payload, stream=TASKS_STREAM, headers=headers
            )

        await self._call(f"publish {message_id}", publish)

    async def withdraw(self, namespace: str, pool: str, message_id: str) -> bool:
        """Takes back a task; False where an agent was given it already, or it is gone, or older than an hour."""
        return await self._call(
            f"withdraw {message_id}",
            lambda client: withdraw(client, namespace, pool, message_id, timeout_seconds=self._timeout),
        )

    async def cancel(self, namespace: str, pool: str, message_id: str, *, also_claimed: bool = True) -> None:
        """Withdraws a task, or, if `also_claimed`, asks the agent that holds it to give it up.

        Either way a result with the outcome `cancelled` follows, unless the task was done before. The word to the
        agents is not kept for one that is away: ask again until the result is there.
        """
        if await self.withdraw(namespace, pool, message_id):
            await self._answer_for_agents(namespace, message_id)
        elif not also_claimed:
            return
        # Also after a withdrawal: an agent may have been given the task in between.
        await self._tell_agents(namespace, pool, Control(verb="cancel", id=message_id))

    async def drain(self, namespace: str, pool: str, pods: Sequence[str]) -> None:
        """Asks agents to take no more tasks; their next heartbeats say that they do not. Ask again until they do."""
        await self._tell_agents(namespace, pool, Control(verb="drain", pods=tuple(pods)))

    async def follow_agents(self, hear: Hear) -> None:
        """Calls `hear` with namespace, pool, pod and report of every heartbeat, until it is cancelled."""
        await follow_heartbeats(self._connection, hear)

    async def read_depths(self) -> Mapping[Pool, QueueDepth]:
        """Returns the depth of every pool that was ensured and not removed, and of any other that has tasks."""
        depths = await self._call(
            "read the depths", lambda client: read_depths(client, self._pools, timeout_seconds=self._timeout)
        )
        for pool, depth in depths.items():
            if isinstance(depth.queued, Unknown):
                self._made.pop(pool, None)
        return depths

    async def pending_results(self) -> int:
        """Returns how many results this process has not yielded yet, those of a reader that died included."""
        return await self._call("count the results", self._reader.count_pending)

    def results(self) -> AsyncGenerator[Delivery, None]:
        """Yields results for ever.

        What is not acked stays with this process while it lives, and goes back when the iterator is closed; another
        reader then gets it at once.
        """
        return self._reader.read()

    async def _keep_going(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run())
            group.create_task(self._reader.keep_renewing())

    async def _prepare(self, client: Client) -> None:
        self._made.clear()
        self._stores.clear()
        await ensure_streams(client, replicas=self._replicas)

    async def _tell_agents(self, namespace: str, pool: str, control: Control) -> None:
        async def send(client: Client) -> None:
            await client.publish(control_subject(namespace, pool), control.to_json())
            await client.flush(timeout=max(1, int(self._timeout)))

        await self._call(f"tell the agents of {namespace}/{pool} to {control.verb}", send)

    async def _answer_for_agents(self, namespace: str, message_id: str) -> None:
        reason = TaskError(code="Withdrawn", message="taken back before an agent had it")
        result = TaskResult(id=message_id, outcome="cancelled", error=reason)

        async def publish(client: Client) -> None:
            await client.jetstream(timeout=self._timeout).publish(
                result_subject(namespace, message_id),
                result.to_json(),
                stream=RESULTS_STREAM,
                headers={MESSAGE_ID_HEADER: message_id},
            )

        await self._call(f"say that {message_id} was withdrawn", publish)

    async def _call(self, what: str, call: Callable[[Client], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await call(self._connection.client)
        except (NotConnected, *BROKER_ERRORS) as error:
            raise BrokerUnavailable(f"cannot {what}: {describe(error)}") from error
