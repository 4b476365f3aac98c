"""Counts and times functions of an agent: calls of a model, of a tool, of a service."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from prometheus_client import Counter, Histogram

from vapora.agent.metrics import CALL_SECONDS, CALLS

_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

# In the library's own registry, where other metrics of an agent's program are: functions are decorated on import.
_CALLS = Counter(CALLS[0], CALLS[3], CALLS[2])
_SECONDS = Histogram(CALL_SECONDS[0], CALL_SECONDS[3], CALL_SECONDS[2], buckets=_BUCKETS)

P = ParamSpec("P")
T = TypeVar("T")


def tracked(function: Callable[P, T]) -> Callable[P, T]:
    """Has the calls of a function, sync or async, counted by outcome and timed, under its qualified name.

    What it raises goes on as it is. The agent's /metrics shows `vapora_agent_calls_total{function,outcome}` and
    `vapora_agent_call_seconds{function}`.

    >>> from vapora.agent import tracked
    >>> @tracked
    ... async def ask_model(prompt: str) -> str:
    ...     return prompt.upper()
    """
    name = function.__qualname__
    if inspect.iscoroutinefunction(function):
        asked = cast("Callable[P, Awaitable[object]]", function)

        @wraps(function)
        async def wait(*args: P.args, **kwargs: P.kwargs) -> object:
            with _count(name):
                return await asked(*args, **kwargs)

        return cast("Callable[P, T]", wait)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with _count(name):
            return function(*args, **kwargs)

    return call


@contextmanager
def _count(name: str) -> Iterator[None]:
    started, outcome = time.perf_counter(), "failure"
    try:
        yield
        outcome = "success"
    finally:
        _CALLS.labels(name, outcome).inc()
        _SECONDS.labels(name).observe(time.perf_counter() - started)
