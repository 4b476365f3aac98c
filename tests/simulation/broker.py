"""The task broker and the agents behind it, in memory: ids seen once, results that come again until they are taken."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.simulation.budgets import CENTS
from tests.simulation.kinds import Json
from tests.simulation.loop import SimulatedLoop
from tests.simulation.nodes import next_beat
from tests.simulation.plays import Plays

from vapora.core.agentpool.broker import AgentReport, BrokerUnavailable, Delivery, QueueDepth
from vapora.core.agentpool.depth import Known

DEDUP_SECONDS = 3600.0
REDELIVERY_SECONDS = 5.0
NAMESPACE = "default"
_EMPTY = QueueDepth(Known(0), Known(0))

_RESULTS: Mapping[str, Json | None] = {
    "success": {"outcome": "success", "output": {"v": 1}},
    "no words": {"outcome": "success"},
    "failure": {"outcome": "failure", "error": {"code": "Tests", "message": "tests are red"}},
    "unreadable": None,
    "refusal": {"outcome": "failure", "error": {"code": "No", "message": "not my work", "retryable": False}},
    "gives up": {"outcome": "cancelled"},
    "undeliverable": {"outcome": "failure", "error": {"code": "Undeliverable", "message": "nobody finished it"}},
}
_UNPAID = frozenset({"gives up", "undeliverable"})


@dataclass(slots=True)
class Reader:
    """Is one process that reads the results."""

    waiting: deque[str] = field(default_factory=deque)
    held: set[str] = field(default_factory=set)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def give(self, task: str) -> None:
        self.waiting.append(task)
        self.wake.set()


@dataclass(slots=True)
class Broker:
    """Keeps tasks and results; `is_down` while nobody reaches it. `published` has every task ever taken in."""

    loop: SimulatedLoop
    chance: random.Random
    plays: Plays
    strike: Callable[[str], None]
    is_down: bool = False
    published: dict[str, float] = field(default_factory=dict)
    open_tasks: set[str] = field(default_factory=set)
    results: dict[str, str] = field(default_factory=dict)  # those that are not acknowledged: what was answered
    answers: dict[str, str] = field(default_factory=dict)  # all that were ever given
    readers: list[Reader] = field(default_factory=list)
    undelivered: deque[str] = field(default_factory=deque)
    called_back: set[str] = field(default_factory=set)
    loses_acks: bool = False
    watch: Callable[[str], None] = lambda _: None  # hears of each task before it is taken in
    hear: Callable[[str, str], None] = lambda _, __: None  # and how it was answered

    def check(self) -> None:
        if self.is_down:
            raise BrokerUnavailable("no connection")

    def publish(self, task: str) -> None:
        if self.loop.time() - self.published.get(task, -DEDUP_SECONDS) < DEDUP_SECONDS:
            self.strike("dedup")
            return
        self.watch(task)
        self.published[task] = self.loop.time()
        self.open_tasks.add(task)
        self.loop.call_at(next_beat(self.loop.time() + self.chance.random() * 2.5), self._answer, task)

    def cancel(self, task: str) -> None:
        self.called_back.add(task)
        if task in self.open_tasks and self._draw(task) != "silence" and self.chance.random() < 0.7:
            self.loop.call_later(self.chance.random(), self._settle, task, "gives up")

    def _answer(self, task: str) -> None:
        if task in self.open_tasks:
            end = self._draw(task)
            self.strike(f"end agent {end}")
            if end != "silence":
                self._settle(task, end)

    def _draw(self, task: str) -> str:
        uid, name, item, effect = task.split("/")
        return self.plays.draw((uid, name, int(item)), int(effect))

    def _settle(self, task: str, end: str) -> None:
        """Keeps the first answer to a task; an agent cannot answer one that was taken back."""
        if task in self.open_tasks:
            self.open_tasks.discard(task)
            self.results[task] = self.answers[task] = end
            self.hear(task, end)
            self._deliver(task)

    def _deliver(self, task: str) -> None:
        if task not in self.results:
            return
        if self.readers and not self.is_down:
            reader = self.chance.choice(self.readers)
            reader.give(task)
        else:
            self.undelivered.append(task)

    def flush(self) -> None:
        """Delivers what waited for a reader, or for the connection."""
        for _ in range(len(self.undelivered)):
            self._deliver(self.undelivered.popleft())

    async def read(self) -> AsyncGenerator[Delivery, None]:
        reader = Reader()
        self.readers.append(reader)
        self.flush()
        try:
            while True:
                while not reader.waiting:
                    reader.wake.clear()
                    await reader.wake.wait()
                task = reader.waiting.popleft()
                if task in self.results:
                    reader.held.add(task)
                    yield self._build(task, reader)
        finally:
            self.readers.remove(reader)
            for task in (*reader.waiting, *sorted(reader.held)):
                self._deliver(task)

    def _build(self, task: str, reader: Reader) -> Delivery:
        async def ack() -> None:
            await asyncio.sleep(self.chance.random() * 0.01)
            reader.held.discard(task)
            if self.is_down or self.loses_acks:
                self.strike("lost ack")
                self.loop.call_later(REDELIVERY_SECONDS, self._deliver, task)
            else:
                self.results.pop(task, None)

        result = _RESULTS[self.results[task]]
        if result and self.results[task] not in _UNPAID:
            result = {**result, "costCents": CENTS}
        error = None if result else "not JSON"
        return Delivery({**result, "id": task} if result else None, task, error, ack, NAMESPACE)


class BrokerPort:
    """Is TaskBroker for one life of the operator."""

    def __init__(self, broker: Broker, around: Callable[[str, str], Awaitable[None]], pools: list[str]) -> None:
        self._broker = broker
        self._around = around
        self._pools = pools

    @property
    def problem(self) -> str | None:
        return "no connection" if self._broker.is_down else None

    async def ensure_pool(self, namespace: str, pool: str, *, max_deliver: int, ack_wait: float) -> None:
        self._broker.check()

    async def remove_pool(self, namespace: str, pool: str) -> None:
        self._broker.check()

    async def publish(self, task: Mapping[str, object], *, namespace: str, pool: str, message_id: str) -> None:
        self._broker.check()
        await self._around("publish", "before")
        self._broker.check()
        self._broker.publish(message_id)
        await self._around("publish", "after")

    async def cancel(self, namespace: str, pool: str, message_id: str, *, also_claimed: bool = True) -> None:
        self._broker.check()
        await self._around("cancel task", "before")
        self._broker.check()
        self._broker.cancel(message_id)
        await self._around("cancel task", "after")

    async def drain(self, namespace: str, pool: str, pods: Sequence[str]) -> None:
        self._broker.check()

    async def follow_agents(self, hear: Callable[[str, str, str, AgentReport], None]) -> None:
        await asyncio.Event().wait()

    async def read_depths(self) -> Mapping[tuple[str, str], QueueDepth]:
        self._broker.check()
        return {(NAMESPACE, pool): _EMPTY for pool in self._pools}

    def results(self) -> AsyncGenerator[Delivery, None]:
        return self._broker.read()

    async def pending_results(self) -> int:
        self._broker.check()
        return len(self._broker.undelivered) + sum(len(reader.waiting) for reader in self._broker.readers)

    async def connect(self) -> None:
        pass

    async def close(self) -> None:
        pass
