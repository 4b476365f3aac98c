"""Follows the stream of results on a connection that comes and goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerInfo, StreamInfo
from nats.js.errors import APIError

from vapora.adapters.nats_results import Reading, fill_in_output, read_message
from vapora.adapters.nats_streams import RESULTS_ACK_WAIT_SECONDS, RESULTS_CONSUMER
from vapora.agent.connection import BROKER_ERRORS, Connection, NotConnected, describe
from vapora.agent.contract import RESULTS_STREAM, TASKS_STREAM
from vapora.agent.pull import ACK, NAK, PROGRESS, PullInbox, PullRefused
from vapora.core.agentpool.broker import Delivery

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5


class ResultReader:
    """Yields deliveries and holds each until it is acked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._held: dict[int, Msg] = {}

    async def read(self) -> AsyncGenerator[Delivery, None]:
        """Yields deliveries for ever; when it is closed, what is not acked goes back."""
        try:
            while True:
                client = await self._connection.wait_connected()
                inbox = PullInbox(client, stream=RESULTS_STREAM, consumer=RESULTS_CONSUMER)
                self._connection.when_lost(inbox.abandon)
                try:
                    async with inbox:
                        while not client.is_closed:
                            if delivery := await self._take(client, inbox):
                                yield delivery
                except (PullRefused, *BROKER_ERRORS) as error:
                    logger.info("no results", extra={"reason": describe(error)})
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            held, self._held = self._held, {}
            for message in held.values():
                await self._answer(message, NAK)

    async def count_pending(self, client: Client) -> int:
        """Returns how many messages were not yielded: not delivered at all, or to a reader that died."""
        stream = await client.jetstream().stream_info(RESULTS_STREAM)
        info = await client.jetstream().consumer_info(RESULTS_STREAM, RESULTS_CONSUMER)
        return _count_undelivered(stream, info) + max(int(info.num_ack_pending or 0) - len(self._held), 0)

    async def keep_renewing(self) -> None:
        """Renews the hold on every delivery that is not acked, until it is cancelled."""
        while True:
            await asyncio.sleep(RESULTS_ACK_WAIT_SECONDS / 3)
            for message in list(self._held.values()):
                await self._answer(message, PROGRESS)

    async def _take(self, client: Client, inbox: PullInbox) -> Delivery | None:
        message = await inbox.pull()
        if message is None:
            return None
        reading = await fill_in_output(client, await read_message(client, message))
        delivery = self._build_delivery(message, reading)
        if reading.is_answered:
            await delivery.ack()
            return None
        self._held[message.metadata.sequence.stream] = message
        return delivery

    def _build_delivery(self, message: Msg, reading: Reading) -> Delivery:
        async def ack() -> None:
            # The message may have come again since; the latest one is the one to answer.
            latest = self._held.pop(message.metadata.sequence.stream, message)
            if reading.spent is None or await self._remove_task(reading.spent):
                await self._answer(latest, ACK)

        return Delivery(result=reading.result, id=reading.id, error=reading.error, ack=ack, namespace=reading.namespace)

    async def _remove_task(self, sequence: int) -> bool:
        """Removes a task that nobody will be given any more; False where it may still be there."""
        try:
            await self._connection.client.jetstream().delete_msg(TASKS_STREAM, sequence)
        except APIError:
            return True  # it is gone
        except (NotConnected, *BROKER_ERRORS) as error:
            logger.info("a spent task is still there", extra={"reason": describe(error)})
            return False
        return True

    async def _answer(self, message: Msg, answer: bytes) -> None:
        try:
            await self._connection.client.publish(message.reply, answer)
        except (NotConnected, *BROKER_ERRORS) as error:
            logger.info("an ack did not go out", extra={"reason": describe(error)})


def _count_undelivered(stream: StreamInfo, consumer: ConsumerInfo) -> int:
    # The server tells a consumer of a message some time after the stream has it, so its own count may still be 0.
    delivered = consumer.delivered.stream_seq if consumer.delivered else 0
    behind = stream.state.last_seq - delivered if stream.state.messages else 0
    return max(int(consumer.num_pending or 0), behind)
