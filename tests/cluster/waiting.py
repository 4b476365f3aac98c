"""Waiting for a state of the world, with a deadline."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(probe: Callable[[], T | None], what: str, *, within: float = 20.0, every: float = 0.05) -> T:
    """Call `probe` until its answer is true, and return that answer; TimeoutError names `what` and the last answer."""
    deadline = time.monotonic() + within
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {within} s: {what} (last seen: {answer!r})")
        time.sleep(every)


async def until(probe: Callable[[], T | None], what: str, *, within: float = 20.0, every: float = 0.05) -> T:
    """As `wait_until`, for asynchronous tests: the event loop goes on meanwhile, `probe` runs in a thread."""
    deadline = time.monotonic() + within
    while True:
        answer = await asyncio.to_thread(probe)
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {within} s: {what} (last seen: {answer!r})")
        await asyncio.sleep(every)
