"""An event loop whose time passes only when nothing else can happen: an hour takes no time and never varies."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class _Selector(selectors.SelectSelector):
    """Lets virtual time pass instead of waiting."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if ready := super().select(0):
            return ready
        if timeout is None:
            raise RuntimeError("every task waits, and nothing will ever wake one")
        self.loop.elapsed += max(timeout, 0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer as soon as every task waits."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed


class VirtualClock:
    """Is Clock in virtual time; `skew` moves the wall clock against the monotonic one."""

    def __init__(self) -> None:
        self.skew = timedelta()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic()) + self.skew

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtually(scenario: Coroutine[Any, Any, T]) -> T:
    """Runs a scenario to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)


def in_virtual_time(scenario: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Makes an asynchronous test run in virtual time."""

    @functools.wraps(scenario)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtually(scenario(*args, **kwargs))

    return run


async def settle() -> None:
    """Lets every task go as far as it can without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)
