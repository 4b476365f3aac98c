"""Takes tasks from the pool's queue and sees each through to its result."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterable, Mapping

from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry

from vapora.agent.connection import BROKER_ERRORS, Connection, NotConnected, describe
from vapora.agent.contract import (
    TASKS_STREAM,
    AgentIdentity,
    Control,
    consumer_name,
    control_subject,
    read_task,
)
from vapora.agent.heartbeat import Pulse
from vapora.agent.inflight import Held, InFlight
from vapora.agent.metrics import AgentMetrics
from vapora.agent.outcome import Handler, Unfinished, perform
from vapora.agent.pull import PullInbox, PullRefused
from vapora.agent.reporting import Reporter
from vapora.agent.settings import AgentSettings

logger = logging.getLogger(__name__)

_ACK_WAIT_SECONDS = 30.0
_LONGEST_RENEWAL_SECONDS = 10.0
# Time that a drain keeps back for handing tasks over before the pod is killed.
_HAND_BACK_SECONDS = 5.0


class Worker:
    """One agent at work: `max_concurrent` slots, each of which pulls one task when it is free to do it."""

    def __init__(
        self, settings: AgentSettings, handlers: Mapping[str | None, Handler], *, role: str, version: str
    ) -> None:
        self._settings = settings
        self._handlers = handlers
        self._identity = AgentIdentity(pod=settings.pod, pool=settings.pool, version=version)
        self._in_flight = InFlight()
        self._metrics = AgentMetrics(frozenset(name for name in handlers if name))
        self._connection = Connection(settings.nats_url, name=f"vapora-agent {settings.pod}", prepare=self._prepare)
        self._reporter = Reporter(self._connection, settings.namespace, self._identity)
        self._pulse = Pulse(self._connection, settings, role, self._identity, self._in_flight)
        self._inbox: PullInbox | None = None
        self._ack_wait = _ACK_WAIT_SECONDS
        self._busy: set[asyncio.Task[None]] = set()
        self._may_take = asyncio.Event()
        self._may_take.set()
        self._is_leaving = False
        self._drains: asyncio.Queue[float] = asyncio.Queue()

    @property
    def is_ready(self) -> bool:
        """Is true while the agent takes tasks."""
        return self._connection.problem is None and not self._in_flight.is_draining

    def describe_state(self) -> dict[str, object]:
        """Returns what /health says."""
        return {
            "connected": self._connection.problem is None,
            "problem": self._connection.problem,
            "draining": self._in_flight.is_draining,
            "inFlight": len(self._in_flight),
            "done": self._in_flight.done,
        }

    def collect_metrics(self) -> CollectorRegistry:
        """Returns the registry with its gauges brought up to date."""
        self._metrics.in_flight.set(len(self._in_flight))
        self._metrics.connected.set(self._connection.problem is None)
        return self._metrics.registry

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> None:
        """Works until `stop` is set, then drains; `hurry` ends the draining at once."""
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(work)
                for work in (self._connection.run(), self._renew(), self._pulse.run(), self._end_drains())
            ]
            slots = [group.create_task(self._fill_slot()) for _ in range(self._settings.max_concurrent)]
            await stop.wait()
            await self._drain(slots, hurry)
            for task in background:
                task.cancel()

    async def _prepare(self, client: Client) -> None:
        """Binds a new connection to the pool's queue; the operator makes the consumer, and until then there is none."""
        name = consumer_name(self._settings.namespace, self._settings.pool)
        info = await client.jetstream().consumer_info(TASKS_STREAM, name)
        self._ack_wait = float(info.config.ack_wait or _ACK_WAIT_SECONDS)
        await client.subscribe(control_subject(self._settings.namespace, self._settings.pool), cb=self._control)
        await self._open_inbox(client)
        self._in_flight.changed.set()

    async def _open_inbox(self, client: Client) -> None:
        name = consumer_name(self._settings.namespace, self._settings.pool)
        inbox = PullInbox(client, stream=TASKS_STREAM, consumer=name)
        await inbox.open()
        self._inbox = inbox
        self._connection.when_lost(inbox.abandon)

    async def _fill_slot(self) -> None:
        while not self._is_leaving:
            await self._may_take.wait()
            await self._connection.wait_connected()
            if self._inbox is None or not self._may_take.is_set():
                continue
            try:
                message = await self._inbox.pull()
            except (PullRefused, *BROKER_ERRORS) as error:
                logger.info("no task", extra={"reason": describe(error)})
                await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311 no secret
                continue
            if message is not None:
                await self._take(message)

    async def _take(self, message: Msg) -> None:
        if self._in_flight.is_draining:
            await self._reporter.hand_back(message)
            return
        slot = asyncio.current_task()
        if slot is None:
            raise RuntimeError("a slot is a task")
        self._busy.add(slot)
        try:
            await self._work(message)
        finally:
            self._busy.discard(slot)

    async def _work(self, message: Msg) -> None:
        try:
            envelope = read_task(message.data, self._settings.namespace)
        except ValueError as error:
            await self._reporter.refuse(message, error)
            return
        if self._in_flight.take_over(envelope.id, message):
            return
        held = Held(message, envelope, self._in_flight)
        with self._in_flight.hold(held):
            await self._see_through(held)

    async def _see_through(self, held: Held) -> None:
        # Asked for every task, not only for one that is said to come again: a broker that was killed forgets its last
        # acks, and how often it gave a task to somebody.
        if await self._reporter.has_result(held.task.id):
            logger.info("the task was done before", extra={"task": held.task.id})
            await self._reporter.ack(held.message)
            return
        logger.info("task begun", extra={"task": held.task.id})
        try:
            result = await perform(held, self._handlers, self._identity)
        except Unfinished:
            logger.info("the task goes back", extra={"task": held.task.id})
            await self._reporter.hand_back(held.message)
            return
        await self._reporter.report(result)
        await self._reporter.ack(held.message)
        self._metrics.count(held.task.task_type, result)
        logger.info("task ended", extra={"task": result.id, "outcome": result.outcome})

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(min(self._ack_wait / 3, _LONGEST_RENEWAL_SECONDS))
            for held in self._in_flight:
                await self._reporter.renew(held.message)

    async def _control(self, message: Msg) -> None:
        try:
            control = Control.model_validate_json(message.data)
        except ValueError as error:
            logger.warning("a control message has no meaning", extra={"reason": describe(error)})
            return
        if control.verb == "cancel" and control.id is not None:
            self._in_flight.cancel(control.id)
        elif control.verb == "drain" and self._identity.pod in control.pods:
            self._drains.put_nowait(control.seconds)
            await self._take_no_more()

    async def _take_no_more(self) -> None:
        self._may_take.clear()
        self._in_flight.note_draining(is_draining=True)
        if self._inbox is not None:
            await self._inbox.close()

    async def _end_drains(self) -> None:
        """Works on when the time of a drain is over and nobody has ended the agent."""
        while True:
            seconds: float | None = await self._drains.get()
            while seconds is not None:
                seconds = await _next_within(self._drains, seconds)
            with contextlib.suppress(NotConnected, *BROKER_ERRORS):
                # Without a connection, the next one brings an inbox of its own.
                await self._open_inbox(self._connection.client)
            if self._is_leaving or not self._drains.empty():
                continue  # told again meanwhile, and without a request the inbox brings nothing
            logger.info("the drain was not followed by an end; taking tasks again")
            self._in_flight.note_draining(is_draining=False)
            self._may_take.set()

    async def _drain(self, slots: Iterable[asyncio.Task[None]], hurry: asyncio.Event) -> None:
        logger.info("draining", extra={"inFlight": len(self._in_flight)})
        self._is_leaving = True
        await self._take_no_more()
        for slot in slots:
            if slot not in self._busy:
                slot.cancel()
        await self._wait_for_slots(hurry, self._settings.drain_seconds - _HAND_BACK_SECONDS)
        self._in_flight.give_up_all()
        await self._wait_for_slots(asyncio.Event(), _HAND_BACK_SECONDS / 2)
        for slot in slots:
            slot.cancel()
        await self._pulse.beat()
        with contextlib.suppress(NotConnected, *BROKER_ERRORS):
            await self._connection.client.flush(timeout=2)

    async def _wait_for_slots(self, hurry: asyncio.Event, seconds: float) -> None:
        hurried = asyncio.create_task(hurry.wait())
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                while self._busy and not hurried.done():
                    await asyncio.wait({*self._busy, hurried}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            logger.info("the time to drain is over", extra={"inFlight": len(self._in_flight)})
        finally:
            hurried.cancel()


async def _next_within(drains: asyncio.Queue[float], seconds: float) -> float | None:
    """Returns the next word to drain, or None where none came in time."""
    try:
        async with asyncio.timeout(seconds):
            return await drains.get()
    except TimeoutError:
        return None
