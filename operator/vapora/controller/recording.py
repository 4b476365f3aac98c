"""The outbox of the knowledge graph: executions wait here, off the hot path, until the store has them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Protocol

from vapora.controller.ports import Clock, Meter
from vapora.core.learning.execution import Execution, GraphUnavailable, KnownCause, clamp, clamp_time, find_changes
from vapora.core.learning.signature import describe_known_cause
from vapora.core.plan import Key
from vapora.core.workflow.observed import WorkflowPlan

BATCH = 500
RECORDING = 0.25  # seconds that the knowledge graph is waited for; less costs further writes on a busy machine
LIMIT = 100_000  # executions kept in memory; beyond them the statuses keep them
_REMEMBERED = 100_000
_STORE_SECONDS = 30.0
_RETRY_FIRST, _RETRY_MAX = 0.1, 10.0


class ExecutionStore(Protocol):
    """Keeps executions durably."""

    @property
    def problem(self) -> str | None:
        """Says why the store cannot be used; None while it can."""
        ...

    async def record(self, executions: Sequence[Execution]) -> None:
        """Returns once they are durable; raises GraphUnavailable."""
        ...

    async def find_known_cause(self, signature: str, namespace: str | None = None) -> KnownCause | None:
        """Returns what is known of an error; None where it was never seen; raises GraphUnavailable."""
        ...


class Recorder:
    """Hands executions to the store, again and again while it is down, and tells when they are durable.

    `wake` names a Workflow to look at again: its executions became durable after `record` had given up waiting, or
    there is room again for those that were refused. `on_kept` is told what has become durable. Ids do not change, so
    handing one over twice does no harm.
    """

    def __init__(
        self,
        store: ExecutionStore,
        *,
        wake: Callable[[Key], None],
        clock: Clock,
        meter: Meter,
        on_kept: Callable[[Sequence[Execution]], None] = lambda _: None,
        limit: int = LIMIT,
    ) -> None:
        self._store = store
        self._wake = wake
        self._on_kept = on_kept
        self._clock = clock
        self._meter = meter
        self._limit = limit
        self._outbox: OrderedDict[Key, dict[str, Execution]] = OrderedDict()
        self._since: dict[Key, float] = {}
        self._count = 0
        self._durable: OrderedDict[str, None] = OrderedDict()
        self._waiters: dict[Key, set[asyncio.Future[None]]] = {}
        self._late: set[Key] = set()
        self._refused: set[Key] = set()
        self._has_work = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Says why nothing is recorded now; None while all is well."""
        return self._problem or self._store.problem

    @property
    def pending(self) -> int:
        """Is how many executions wait for the store."""
        return self._count

    @property
    def lag(self) -> float:
        """Is for how many seconds the oldest of them waits; 0 where none does."""
        oldest = next(iter(self._outbox), None)
        return 0.0 if oldest is None else self._clock.monotonic() - self._since[oldest]

    def is_durable(self, execution_id: str) -> bool:
        """Whether the store has said, to this process, that it has the execution."""
        return execution_id in self._durable

    def holds(self, execution: Execution) -> bool:
        """Whether the execution waits here for the store."""
        return execution.id in self._outbox.get(_key_of(execution), {})

    async def record(self, executions: Sequence[Execution], *, wait: float = 0.05) -> bool:
        """Takes executions over and waits up to `wait` seconds; returns whether all of their workflows' are durable.

        It does not wait while the store is known to be down. Where the outbox is full it takes none, and wakes the
        workflow when there is room.
        """
        keys = {_key_of(execution) for execution in executions}
        if self._count + len(executions) > self._limit:
            self._refused |= keys
            return False
        for execution in executions:
            self._put(execution)
        if wait > 0 and self.problem is None:
            await self._wait(keys, wait)
        late = {key for key in keys if key in self._outbox}
        self._late |= late
        return not late

    async def find_known_causes(self, failed: Sequence[Execution], *, wait: float = 0.05) -> dict[str, str]:
        """Returns, by id, a sentence on what the failed tries' own namespace knows of their errors.

        What the store does not answer within `wait` seconds, for all of them, is left out; it is not asked at all while
        it is known to be down.
        """
        known: dict[str, str] = {}
        causes: dict[tuple[str, str], KnownCause | None] = {}
        if self.problem is not None:
            return known
        with contextlib.suppress(GraphUnavailable, TimeoutError):
            async with asyncio.timeout(wait):
                for row in failed:
                    error = (row.error_signature, row.namespace)
                    if error not in causes:  # which many items may share
                        causes[error] = await self._store.find_known_cause(*error)
                    cause = causes[error]
                    known[row.id] = describe_known_cause(cause, row) if cause is not None else ""
        return known

    async def run(self) -> None:
        """Hands over what waits, until it is cancelled."""
        delay = _RETRY_FIRST
        while True:
            await self._has_work.wait()
            batch = list(islice(chain.from_iterable(rows.values() for rows in self._outbox.values()), BATCH))
            try:
                async with asyncio.timeout(_STORE_SECONDS):
                    await self._store.record(batch)
            except (GraphUnavailable, TimeoutError) as problem:
                self._problem = str(problem) or f"no answer in {_STORE_SECONDS:.0f} s"
                self._release(list(self._waiters))
                await asyncio.sleep(delay)
                delay = min(delay * 2, _RETRY_MAX)
            else:
                delay, self._problem = _RETRY_FIRST, None
                self._on_kept(batch)
                self._settle(batch)

    async def drain(self, seconds: float) -> bool:
        """Waits, while `run` works, until nothing waits for the store; returns whether that is so."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_idle.wait()
        except TimeoutError:
            return False
        return True

    def _put(self, execution: Execution) -> None:
        execution = self._clamp(execution)
        rows = self._outbox.setdefault(_key_of(execution), {})
        self._since.setdefault(_key_of(execution), self._clock.monotonic())
        self._count += execution.id not in rows
        rows[execution.id] = execution
        self._durable.pop(execution.id, None)
        self._has_work.set()
        self._is_idle.clear()

    def _clamp(self, claimed: Execution) -> Execution:
        kept = clamp(clamp_time(claimed, self._clock.now()))
        if kept is not claimed:
            for field in find_changes(claimed, kept):
                self._meter.execution_clamped(field)
        return kept

    async def _wait(self, keys: set[Key], seconds: float) -> None:
        """Waits until the store has all that the workflows handed over, or does not answer."""
        waiters = {key: asyncio.get_running_loop().create_future() for key in keys if key in self._outbox}
        for key, waiter in waiters.items():
            self._waiters.setdefault(key, set()).add(waiter)
        try:
            if waiters:
                await asyncio.wait(waiters.values(), timeout=seconds)
        finally:
            for key, waiter in waiters.items():
                if waiting := self._waiters.get(key):
                    waiting.discard(waiter)
                    if not waiting:
                        del self._waiters[key]

    def _settle(self, batch: Sequence[Execution]) -> None:
        done: list[Key] = []
        for execution in batch:
            key = _key_of(execution)
            rows = self._outbox[key]
            if rows[execution.id] is not execution:
                continue  # handed over again meanwhile, and perhaps changed
            del rows[execution.id]
            self._count -= 1
            self._remember(execution.id)
            if not rows:
                del self._outbox[key], self._since[key]
                done.append(key)
        if not self._outbox:
            self._has_work.clear()
            self._is_idle.set()
        self._release(done)
        self._tell(done)

    def _remember(self, execution_id: str) -> None:
        self._durable[execution_id] = None
        if len(self._durable) > _REMEMBERED:
            self._durable.popitem(last=False)

    def _release(self, keys: Sequence[Key]) -> None:
        for key in keys:
            for waiter in self._waiters.pop(key, ()):
                if not waiter.done():
                    waiter.set_result(None)

    def _tell(self, done: Sequence[Key]) -> None:
        awaited = [key for key in done if key in self._late]
        self._late.difference_update(awaited)
        if self._count <= self._limit // 2:
            awaited += sorted(self._refused)
            self._refused.clear()
        for key in awaited:
            self._wake(key)


def _key_of(execution: Execution) -> Key:
    return Key("Workflow", execution.namespace, execution.workflow)


def find_patience(decided: WorkflowPlan) -> float:
    """Returns how long executions may take to be durable before the status is written.

    The last write then says at once that all is recorded. What leaves no child is waited for too: of a try whose row is
    folded into ranges nobody could tell later what it was.
    """
    is_unreadable = any(execution.task_type != "run" for execution in decided.executions)
    return RECORDING if decided.status.phase.is_final or is_unreadable else 0.0
