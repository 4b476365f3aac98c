"""The workers: they take keys from the queue, have them reconciled, and decide by the outcome when to look again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from itertools import count
from typing import Protocol

from vapora.controller.looking import Look, looking_at
from vapora.controller.ports import ApiError, Clock, Conflict, Meter
from vapora.controller.workqueue import WorkQueue
from vapora.core.plan import Key

log = logging.getLogger(__name__)


class Retryable(Exception):  # names an outcome, not a fault of ours
    """Says that something outside refused for now: the key is looked at again after its backoff."""


class Terminal(Exception):  # names an outcome, not a fault of ours
    """Says that trying again is of no use until somebody changes something."""


class Reconciler(Protocol):
    """Brings one kind of object nearer to what its spec asks for."""

    async def reconcile(self, key: Key) -> float | None:
        """Looks at the object once; returns the seconds until it must be looked at without a change, or None."""
        ...


class Runner:
    """Runs the workers. Only a leader runs it; it ends when it is cancelled, and no reconcile is left running then."""

    def __init__(
        self,
        queue: WorkQueue,
        reconcilers: Mapping[str, Reconciler],
        *,
        clock: Clock,
        meter: Meter,
        workers: int,
        find_uid: Callable[[Key], str] = lambda _: "",
    ) -> None:
        self._find_uid = find_uid
        self._numbers = count(1)
        self._queue = queue
        self._reconcilers = reconcilers
        self._clock = clock
        self._meter = meter
        self._workers = workers

    async def run(self) -> None:
        """Works until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"worker-{number}")

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._meter.waited(self._queue.waited(key))
            started = self._clock.monotonic()
            looking_at.set(Look(key, next(self._numbers), self._find_uid))
            try:
                result = await self._look(key)
            finally:
                self._queue.done(key)
            seconds = self._clock.monotonic() - started
            self._meter.reconciled(key.kind, result, seconds)
            log.debug("reconciled", extra={"result": result, "seconds": seconds})
            looking_at.set(None)

    async def _look(self, key: Key) -> str:
        """Reconciles one key, queues it as the outcome asks, and names the outcome for the metric."""
        reconciler = self._reconcilers.get(key.kind)
        if reconciler is None:
            return "ignored"  # a kind that is watched only for what others need of it
        try:
            requeue_after = await reconciler.reconcile(key)
        except Conflict:
            return self._again(key, "conflict")
        except Terminal as problem:
            self._queue.forget(key)
            log.warning("reconcile ended for good", extra=_about(key, problem))
            return "terminal"
        except (Retryable, ApiError) as problem:
            level = logging.DEBUG if self._queue.failures(key) else logging.INFO
            log.log(level, "reconcile will be tried again", extra=_about(key, problem))
            return self._again(key, "retry")
        except Exception as problem:  # the one place: a defect in one reconcile must not stop the others
            log.exception("reconcile broke", extra=_about(key, problem))
            return self._again(key, "error")
        self._queue.forget(key)
        if requeue_after is not None:
            self._queue.add_after(key, requeue_after)
        return "success"

    def _again(self, key: Key, result: str) -> str:
        self._queue.retry(key)
        self._meter.retried(key.kind)
        return result


def _about(key: Key, problem: Exception) -> dict[str, object]:
    return {
        "kind": key.kind,
        "namespace": key.namespace,
        "object": key.name,
        "problem": str(problem),
        "error": type(problem).__name__,
    }
