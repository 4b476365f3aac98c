"""Functions that are tracked, and the trace that a handler works in."""

import asyncio

import pytest
from opentelemetry import trace
from prometheus_client import REGISTRY, generate_latest

from vapora.agent import Agent, Result, Task, tracked


@tracked
def add(first: int, second: int) -> int:
    """Adds."""
    return first + second


@tracked
async def fail() -> None:
    await asyncio.sleep(0)
    raise RuntimeError("no")


def count(function: str, outcome: str) -> float:
    labels = {"function": function, "outcome": outcome}
    return REGISTRY.get_sample_value("vapora_agent_calls_total", labels) or 0.0


def test_a_tracked_function_is_what_it_was() -> None:
    before = count("add", "success")
    assert add(1, second=2) == 3
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert count("add", "success") == before + 1
    assert b'vapora_agent_call_seconds_count{function="add"}' in generate_latest(REGISTRY)


async def test_a_tracked_coroutine_is_counted_when_it_ends_and_raises_what_it_raised() -> None:
    before = count("fail", "failure")
    waiting = fail()
    assert count("fail", "failure") == before
    with pytest.raises(RuntimeError, match="no"):
        await waiting
    assert count("fail", "failure") == before + 1


async def test_what_a_handler_does_is_a_part_of_the_tasks_trace() -> None:
    agent, seen = Agent(role="worker"), list[trace.SpanContext]()

    @agent.task()
    async def work(task: Task) -> Result:
        seen.append(trace.get_current_span().get_span_context())
        return Result()

    await agent.perform(Task(id="u/s/0/1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    await agent.perform(Task(id="u/s/0/2"))
    assert [(found.trace_id, found.span_id) for found in seen] == [(int("a" * 32, 16), int("b" * 16, 16)), (0, 0)]
