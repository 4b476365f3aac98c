"""One NATS connection that is made again for ever.

The client's own reconnecting is off: it keeps what was published while the broker was away and sends it later, it does
not come back from a refused login, and pull requests that the broker lost are waited for. A new client for every
connection has none of that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client

logger = logging.getLogger(__name__)

# Everything that a call to the broker may raise: the client's own errors, the network's, and our time limits.
BROKER_ERRORS = (nats.errors.Error, OSError, TimeoutError)

_LONGEST_PAUSE = 5.0
_DIAL_SECONDS = 10.0
_CLOSE_SECONDS = 2.0


class NotConnected(Exception):
    """There is no connection to the broker now; the message says why."""


class Connection:
    """Keeps a connection for as long as `run` runs.

    `url` may name several servers, separated by commas. `prepare` makes what each new connection needs; while it
    raises, the connection does not count as made.
    """

    def __init__(self, url: str, *, name: str, prepare: Callable[[Client], Awaitable[None]]) -> None:
        self._servers = [server.strip() for server in url.split(",") if server.strip()]
        self._name = name
        self._prepare = prepare
        self._client: Client | None = None
        self._connected = asyncio.Event()
        self._tried = asyncio.Event()
        self._when_lost: list[Callable[[], None]] = []
        self._problem: str | None = f"not yet connected to {self._places()}"
        self._last_error = ""

    @property
    def problem(self) -> str | None:
        """Says why there is no connection; None while there is one."""
        return self._problem

    @property
    def client(self) -> Client:
        """Returns the client of the present connection, or raises NotConnected."""
        if self._client is None or self._client.is_closed:
            raise NotConnected(self._problem or f"the connection to {self._places()} was lost")
        return self._client

    async def wait_connected(self) -> Client:
        """Waits for a connection and returns its client."""
        while True:
            await self._connected.wait()
            try:
                return self.client
            except NotConnected:
                # Lost, and `run` has not noticed yet.
                await asyncio.sleep(0.01)

    async def wait_tried(self) -> None:
        """Waits until the first attempt has ended, well or not."""
        await self._tried.wait()

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Calls `callback` once, when the present connection ends."""
        self._when_lost.append(callback)

    async def run(self) -> None:
        """Connects, follows the connection, and connects again, until it is cancelled."""
        failures = 0
        while True:
            client, closed = Client(), asyncio.Event()
            try:
                await self._open(client, closed)
            except BROKER_ERRORS as error:
                failures += 1
                self._note_failure(error)
            else:
                failures = 0
                await self._follow(client, closed)
            finally:
                self._let_go()
                await _close(client)
            # The spread keeps a fleet from coming back in one moment.
            await asyncio.sleep(min(0.1 * 2 ** min(failures, 10), _LONGEST_PAUSE) * random.uniform(0.5, 1.5))  # noqa: S311 no secret

    async def _open(self, client: Client, closed: asyncio.Event) -> None:
        async def note_error(error: Exception) -> None:
            self._last_error = describe(error)

        async def note_closed() -> None:
            closed.set()

        self._last_error = ""
        async with asyncio.timeout(_DIAL_SECONDS):
            await client.connect(
                self._servers,
                name=self._name,
                error_cb=note_error,
                closed_cb=note_closed,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                ping_interval=10,
            )
            await self._prepare(client)

    async def _follow(self, client: Client, closed: asyncio.Event) -> None:
        self._client = client
        self._problem = None
        self._tried.set()
        self._connected.set()
        logger.info("connected to the broker", extra={"server": self._places()})
        # Older clients do not call back when they may not reconnect, so the state is looked at as well.
        while not client.is_closed and not closed.is_set():
            try:
                async with asyncio.timeout(1.0):
                    await closed.wait()
            except TimeoutError:
                continue
        self._problem = f"the connection to {self._places()} was lost: {self._last_error or 'closed'}"
        logger.warning("lost the broker", extra={"reason": self._last_error})

    def _note_failure(self, error: BaseException) -> None:
        reason = describe(error)
        if isinstance(error, nats.errors.NoServersError) and self._last_error:
            reason = self._last_error
        problem = f"cannot use {self._places()}: {reason}"
        if problem != self._problem:
            logger.warning("no broker", extra={"reason": problem})
        self._problem = problem
        self._tried.set()

    def _let_go(self) -> None:
        self._client = None
        self._connected.clear()
        callbacks, self._when_lost = self._when_lost, []
        for callback in callbacks:
            callback()

    def _places(self) -> str:
        """Returns the servers without their credentials."""
        return ", ".join(urlsplit(server).netloc.rpartition("@")[2] or server for server in self._servers)


def describe(error: BaseException) -> str:
    """Returns an error in words; some of the client's and of asyncio have none."""
    return str(error) or type(error).__name__


async def _close(client: Client) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await client.close()
    except (AssertionError, *BROKER_ERRORS) as error:
        # AssertionError: the client refused the address before it began anything.
        logger.debug("closing failed", extra={"reason": describe(error)})
