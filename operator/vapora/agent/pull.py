"""Pull requests to a durable consumer, one message each.

The client library's `fetch` keeps a message that comes late in a queue of its own, unseen and not renewed, until the
broker gives it to somebody else. Here such a message is handed back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from types import TracebackType
from typing import Self

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

_SECOND = 1_000_000_000  # JetStream counts in nanoseconds
_EXPIRES_SECONDS = 30
_HEARTBEAT_SECONDS = 10
_REQUEST = json.dumps(
    {"batch": 1, "expires": _EXPIRES_SECONDS * _SECOND, "idle_heartbeat": _HEARTBEAT_SECONDS * _SECOND}
).encode()

_HEARTBEAT, _NO_MESSAGES, _EXPIRED = "100", "404", "408"

ACK = b"+ACK"
NAK = b"-NAK"
PROGRESS = b"+WPI"
TERM = b"+TERM"


class PullRefused(Exception):
    """The broker refused a pull request: the consumer is gone, or the broker is going."""


class PullInbox:
    """Receives what the pull requests of one consumer bring, on one connection."""

    def __init__(self, client: Client, *, stream: str, consumer: str) -> None:
        self._client = client
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._prefix = client.new_inbox()
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Queue[Msg | None]] = {}
        self._subscription: Subscription | None = None
        self._over = False

    async def open(self) -> None:
        """Subscribes to the answers."""
        self._subscription = await self._client.subscribe(f"{self._prefix}.*", cb=self._receive)

    async def pull(self) -> Msg | None:
        """Waits for one message; None where none came in time or the connection is gone. May raise PullRefused."""
        if self._over:
            return None
        token = str(next(self._numbers))
        answers: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._waiting[token] = answers
        try:
            await self._client.publish(self._next, _REQUEST, reply=f"{self._prefix}.{token}")
            return await _wait_for_message(answers)
        finally:
            self._waiting.pop(token, None)
            while not answers.empty():
                await self._hand_back(answers.get_nowait())

    async def close(self) -> None:
        """Takes no more: what the broker has sent already is handed back."""
        self._over = True
        if self._subscription is not None and not self._client.is_closed:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._subscription.drain()  # type: ignore[no-untyped-call]  # nats-py
        self.abandon()

    def abandon(self) -> None:
        """Ends every wait, because the connection is gone."""
        self._over = True
        for answers in self._waiting.values():
            answers.put_nowait(None)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _receive(self, message: Msg) -> None:
        # Only a status names its request; a message keeps the subject of its stream. The broker serves requests in
        # their order, so a message is for the oldest that waits.
        token = message.subject.rpartition(".")[2] if _status(message) else next(iter(self._waiting), "")
        answers = self._waiting.get(token)
        if answers is None:
            await self._hand_back(message)
            return
        answers.put_nowait(message)
        if _status(message) != _HEARTBEAT:
            del self._waiting[token]

    async def _hand_back(self, message: Msg | None) -> None:
        if message is None or _status(message) or self._client.is_closed:
            return
        await self._client.publish(message.reply, NAK)


async def _wait_for_message(answers: asyncio.Queue[Msg | None]) -> Msg | None:
    """Returns the first answer that is a message; the broker is given up when its heartbeats stay away."""
    while True:
        try:
            async with asyncio.timeout(2.5 * _HEARTBEAT_SECONDS):
                message = await answers.get()
        except TimeoutError:
            return None
        if message is None:
            return None
        match _status(message):
            case "":
                return message
            case code if code == _HEARTBEAT:
                continue
            case code if code in {_NO_MESSAGES, _EXPIRED}:
                return None
            case code:
                raise PullRefused(f"status {code} {(message.headers or {}).get('Description', '')}".strip())


def _status(message: Msg) -> str:
    return (message.headers or {}).get("Status", "")
