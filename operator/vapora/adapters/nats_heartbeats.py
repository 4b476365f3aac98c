"""Hears what agents say about themselves, on a connection that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg

from vapora.agent.connection import BROKER_ERRORS, Connection, NotConnected, describe
from vapora.agent.contract import Heartbeat
from vapora.core.agentpool.broker import AgentReport

logger = logging.getLogger(__name__)

Hear = Callable[[str, str, str, AgentReport], None]

_SUBJECTS = "vapora.agents.*.*.*"
_PAUSE_SECONDS = 0.5


async def follow_heartbeats(connection: Connection, hear: Hear) -> None:
    """Calls `hear` with namespace, pool, pod and report of every heartbeat, until it is cancelled."""

    async def receive(message: Msg) -> None:
        _, _, namespace, pool, pod = message.subject.split(".")
        try:
            beat = Heartbeat.model_validate_json(message.data)
        except ValueError as error:
            logger.debug("a heartbeat has no meaning", extra={"subject": message.subject, "reason": describe(error)})
            return
        # Who speaks stands in the subject, which an agent's rights limit.
        hear(namespace, pool, pod, AgentReport(in_flight=beat.in_flight, is_draining=beat.draining))

    while True:
        client = await connection.wait_connected()
        try:
            await _follow(connection, client, receive)
        except (NotConnected, *BROKER_ERRORS) as error:
            logger.info("no heartbeats", extra={"reason": describe(error)})
        await asyncio.sleep(_PAUSE_SECONDS)


async def _follow(connection: Connection, client: Client, receive: Callable[[Msg], Awaitable[None]]) -> None:
    lost = asyncio.Event()
    connection.when_lost(lost.set)
    subscription = await client.subscribe(_SUBJECTS, cb=receive)
    try:
        await lost.wait()
    finally:
        with contextlib.suppress(*BROKER_ERRORS):
            await subscription.unsubscribe()
