"""An event loop in virtual time, without threads or sockets, in which everything happens again as it did."""

import asyncio
import contextvars
import heapq
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

TICK = 0.001  # what is due within the same tick happens in an order that is drawn


class Violation(AssertionError):
    """Something happened that must never happen."""


class _Handle:
    """Is a callback that waits; the part of asyncio.TimerHandle that asyncio itself and the engine use."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "moment")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None, moment: float
    ) -> None:
        self.callback, self.args, self.moment = callback, args, moment
        self.context = context
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.moment


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Runs callbacks in the order in which they were asked for, as asyncio promises, and time passes in between.

    The order of timers that are due in the same tick is free, so it is drawn. `fail` ends the run: a violation that is
    found deep inside the engine must not be caught there.
    """

    def __init__(self, chance: random.Random, *, most_steps: int) -> None:
        self._draw = chance.random
        self._ready: deque[_Handle] = deque()
        self._timers: list[tuple[int, float, _Handle]] = []
        self._now = 0.0
        self._left = most_steps
        self._failure: BaseException | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    # What the simulation uses.

    def run(self, main: Coroutine[Any, Any, object]) -> None:
        """Runs a coroutine to its end; raises what it raises, or what `fail` was given."""
        events._set_running_loop(self)
        try:
            task = self.create_task(main)
            self._run_ready()
            while not task.done():
                self._pass_time()
                self._run_ready()
            task.result()
        finally:
            self._cancel_all()
            events._set_running_loop(None)

    def _cancel_all(self) -> None:
        """Ends what still waits, so that nothing of a run is left behind; time does not pass any more."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        self._timers.clear()
        while self._ready:
            handle = self._ready.popleft()
            if handle.context is not None and not handle.is_cancelled:
                handle.context.run(handle.callback, *handle.args)

    def fail(self, failure: BaseException) -> None:
        """Ends the run after the present callback; the first failure stands."""
        self._failure = self._failure or failure

    def _run_ready(self) -> None:
        ready = self._ready
        while ready:
            handle = ready.popleft()
            if handle.is_cancelled:
                continue
            self._left -= 1
            if handle.context is None:
                handle.callback(*handle.args)
            else:
                handle.context.run(handle.callback, *handle.args)
            if self._failure is not None:
                raise self._failure
            if self._left <= 0:
                raise Violation("it never comes to rest")

    def _pass_time(self) -> None:
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Violation("every task waits, and nothing will ever wake one")
        tick = timers[0][0]
        self._now = max(self._now, tick * TICK)
        while timers and timers[0][0] == tick:
            self._ready.append(heapq.heappop(timers)[2])

    # What asyncio and the engine use.

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> Any:
        handle = _Handle(callback, args, context, self._now)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None) -> Any:
        handle = _Handle(callback, args, context, when)
        heapq.heappush(self._timers, (-int(-when // TICK), self._draw(), handle))
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: contextvars.Context | None = None) -> Any:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    async def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        return func(*args)  # what others do beside the loop is done at once

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.fail(context.get("exception") or Violation(str(context)))
