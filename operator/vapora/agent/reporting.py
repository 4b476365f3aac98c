"""What an agent tells the broker about tasks: results, acks, and tasks that it cannot read."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from vapora.agent.connection import BROKER_ERRORS, Connection, NotConnected, describe
from vapora.agent.contract import (
    INLINE_OUTPUT_BYTES,
    MESSAGE_ID_HEADER,
    RESULTS_STREAM,
    AgentIdentity,
    TaskError,
    TaskResult,
    result_subject,
    split_task_id,
)
from vapora.agent.outputs import encode_output, refer_to, store_output
from vapora.agent.pull import ACK, NAK, PROGRESS, TERM

logger = logging.getLogger(__name__)

_CALL_SECONDS = 5.0


class Reporter:
    """Speaks for one agent. What must not get lost is tried again until it is through or the caller is cancelled."""

    def __init__(self, connection: Connection, namespace: str, identity: AgentIdentity) -> None:
        self._connection = connection
        self._namespace = namespace
        self._identity = identity

    async def report(self, result: TaskResult) -> None:
        """Publishes a result and returns once the stream has it; the id makes a second one a duplicate."""
        subject = result_subject(self._namespace, result.id)
        payload = (await self._set_aside(result)).to_json()

        async def publish(client: Client) -> None:
            await client.jetstream(timeout=_CALL_SECONDS).publish(
                subject, payload, stream=RESULTS_STREAM, headers={MESSAGE_ID_HEADER: result.id}
            )

        await self._insist("publish a result", publish)

    async def _set_aside(self, result: TaskResult) -> TaskResult:
        """Puts a large output into the object store, and returns the result that refers to it."""
        encoded = encode_output(result.output)
        if len(encoded) <= INLINE_OUTPUT_BYTES:
            return result
        await self._insist("store an output", lambda client: store_output(client, self._namespace, encoded))
        return result.model_copy(update={"output": None, "output_ref": refer_to(encoded)})

    async def has_result(self, task_id: str) -> bool:
        """Says whether a result of this id was published before, by whomever."""
        subject = result_subject(self._namespace, task_id)
        found = False

        async def look(client: Client) -> None:
            nonlocal found
            try:
                await client.jetstream(timeout=_CALL_SECONDS).get_last_msg(RESULTS_STREAM, subject, direct=True)
            except NotFoundError:
                return
            found = True

        await self._insist("look for a result", look)
        return found

    async def ack(self, message: Msg) -> None:
        """Says that the task needs no agent any more. A lost ack is harmless: its result is found the next time."""
        await self._send(message, ACK)

    async def hand_back(self, message: Msg) -> None:
        """Gives the task back to the queue at once."""
        await self._send(message, NAK)

    async def renew(self, message: Msg) -> None:
        """Says that the task is still being worked on."""
        await self._send(message, PROGRESS)

    async def refuse(self, message: Msg, error: ValueError) -> None:
        """Sends a message that is no task to the dead letters, and says so to whoever waits for its id."""
        reason = " ".join(describe(error).split())[:500]
        task_id = (message.headers or {}).get(MESSAGE_ID_HEADER, "")
        logger.error("a message is no task", extra={"task": task_id, "reason": reason})
        if _is_task_id(task_id):
            problem = TaskError(code="InvalidEnvelope", message=reason, retryable=False)
            await self.report(TaskResult(id=task_id, outcome="failure", error=problem, agent=self._identity))
        await self._send(message, TERM + b" " + reason.encode())

    async def _send(self, message: Msg, answer: bytes) -> None:
        # Not by the message's own methods: they hold the connection on which it came, which may be gone.
        try:
            await self._connection.client.publish(message.reply, answer)
        except (NotConnected, *BROKER_ERRORS) as error:
            logger.info("an ack did not go out", extra={"reason": describe(error)})

    async def _insist(self, what: str, call: Callable[[Client], Awaitable[None]]) -> None:
        pause = 0.1
        while True:
            client = await self._connection.wait_connected()
            try:
                await call(client)
            except BROKER_ERRORS as error:
                logger.warning("trying again", extra={"what": what, "reason": describe(error)})
            else:
                return
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 no secret
            pause = min(pause * 2, 5.0)


def _is_task_id(value: str) -> bool:
    try:
        split_task_id(value)
    except ValueError:
        return False
    return True
