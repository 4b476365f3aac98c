"""From what a handler does to the result of its task."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from vapora.agent import Result, Retryable, Task, TaskFailed, Tokens
from vapora.agent.contract import AgentIdentity, TaskEnvelope, TaskResult
from vapora.agent.inflight import Held, InFlight
from vapora.agent.outcome import Unfinished, perform
from vapora.agent.outputs import encode_output

IDENTITY = AgentIdentity(pod="p-1", version="2")


def build_held(**fields: object) -> Held:
    envelope = TaskEnvelope.model_validate({"id": "u/s/0/1", "namespace": "a", "taskType": "t", **fields})
    return Held(Msg(_client=Client()), envelope, InFlight())


async def do(handler: Callable[[Task], Awaitable[object]], held: Held | None = None) -> TaskResult:
    return await perform(held or build_held(), {None: handler}, IDENTITY)  # type: ignore[dict-item]  # bad ones too


async def test_a_result_becomes_a_success_with_its_figures() -> None:
    async def handler(_task: Task) -> Result:
        return Result(output={"ok": True}, quality=0.9, tokens=Tokens(prompt=3), model="m", provider="p", cost_cents=2)

    result = await do(handler)
    assert (result.outcome, result.output, result.quality, result.model, result.provider, result.cost_cents) == (
        "success",
        {"ok": True},
        0.9,
        "m",
        "p",
        2,
    )
    assert result.tokens == Tokens(prompt=3)
    assert result.agent == IDENTITY
    assert result.started_at is not None
    assert result.finished_at is not None
    assert result.started_at <= result.finished_at


async def raise_bug(_task: Task) -> Result:
    raise KeyError("diff")


async def raise_failure(_task: Task) -> Result:
    raise TaskFailed("no such branch", code="NoBranch")


async def raise_retryable(_task: Task) -> Result:
    raise Retryable("busy", code="RateLimited")


async def return_nothing(_task: Task) -> object:
    return None


async def return_no_json(_task: Task) -> Result:
    return Result(output={"socket": object()})


async def return_much(_task: Task) -> Result:
    return Result(output="x" * 1_100_000)


async def cancel_itself(_task: Task) -> Result:
    raise asyncio.CancelledError


FAILURES = {
    "an exception that nobody planned may go away": (raise_bug, "KeyError", True),
    "a failure that the handler knows is final": (raise_failure, "NoBranch", False),
    "a failure that the handler calls retryable": (raise_retryable, "RateLimited", True),
    "a handler that returns something else": (return_nothing, "InvalidResult", False),
    "an output that is no JSON": (return_no_json, "InvalidOutput", False),
    "an output over the limit": (return_much, "OutputTooLarge", False),
    "a handler that is cancelled by itself": (cancel_itself, "CancelledError", True),
}


@pytest.mark.parametrize(("handler", "code", "retryable"), FAILURES.values(), ids=FAILURES.keys())
async def test_what_goes_wrong_is_a_failure_with_a_code(handler, code: str, *, retryable: bool) -> None:
    result = await do(handler)
    assert result.outcome == "failure"
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (code, retryable)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_has_no_word_for_is_null(value: float) -> None:
    assert encode_output({"loss": value}) == b'{"loss":null}'


async def test_a_long_message_is_cut() -> None:
    async def handler(_task: Task) -> Result:
        raise ValueError("x" * 5000)

    result = await do(handler)
    assert result.error is not None
    assert len(result.error.message) == 1024


async def test_a_type_without_a_handler_fails_with_its_name() -> None:
    result = await perform(build_held(taskType="paint"), {"code": raise_bug}, IDENTITY)
    assert result.error is not None
    assert result.error.code == "UnknownTaskType"
    assert "paint" in result.error.message


async def test_a_type_of_its_own_goes_before_the_default() -> None:
    async def own(_task: Task) -> Result:
        return Result(output="own")

    assert (await perform(build_held(), {None: raise_bug, "t": own}, IDENTITY)).output == "own"


async def test_a_handler_is_cancelled_at_the_deadline() -> None:
    ended = asyncio.Event()

    async def handler(_task: Task) -> Result:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Result()

    deadline = (datetime.now(UTC) + timedelta(milliseconds=50)).isoformat()
    result = await do(handler, build_held(deadline=deadline))
    assert ended.is_set()
    assert result.error is not None
    assert result.error.code == "DeadlineExceeded"


async def test_a_task_past_its_deadline_is_not_begun() -> None:
    begun = asyncio.Event()

    async def handler(_task: Task) -> Result:
        begun.set()
        return Result()

    result = await do(handler, build_held(deadline="2020-01-01T00:00:00Z"))
    assert not begun.is_set()
    assert result.error is not None
    assert result.error.code == "DeadlineExceeded"


async def test_a_time_limit_of_the_handler_is_not_the_deadline() -> None:
    async def handler(_task: Task) -> Result:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
        return Result()

    result = await do(handler, build_held(deadline="2100-01-01T00:00:00Z"))
    assert result.error is not None
    assert result.error.code == "TimeoutError"


async def test_a_cancelled_task_ends_cancelled_and_its_handler_knows() -> None:
    held = build_held()
    seen: list[bool] = []

    async def handler(task: Task) -> Result:
        try:
            held.cancel()
            await asyncio.Event().wait()
        finally:
            seen.append(task.cancelled)
        return Result()

    result = await do(handler, held)
    assert result.outcome == "cancelled"
    assert seen == [True]


async def test_a_handler_that_goes_on_after_a_cancel_does_not_make_it_a_success() -> None:
    held = build_held()

    async def handler(_task: Task) -> Result:
        try:
            held.cancel()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Result(output="half")
        return Result()

    assert (await do(handler, held)).outcome == "cancelled"


async def test_a_task_that_is_given_up_has_no_result() -> None:
    held = build_held()

    async def handler(_task: Task) -> Result:
        held.give_up()
        await asyncio.Event().wait()
        return Result()

    with pytest.raises(Unfinished):
        await do(handler, held)


async def test_progress_is_kept_within_its_range() -> None:
    in_flight = InFlight()
    held = Held(Msg(_client=Client()), TaskEnvelope(id="u/s/0/1", namespace="a"), in_flight)
    with in_flight.hold(held):
        await held.task.progress(7, "nearly")
        assert (held.progress.fraction, held.progress.message) == (1.0, "nearly")


async def test_a_handler_can_be_called_without_a_broker() -> None:
    await Task(id="u/s/0/1", input={"a": 1}).progress(0.5)


def test_a_cancel_that_comes_before_its_task_is_remembered() -> None:
    in_flight = InFlight()
    in_flight.cancel("u/s/0/1")
    held = build_held()
    with in_flight.hold(held):
        assert held.task.cancelled


def test_only_a_thousand_cancels_are_remembered() -> None:
    in_flight = InFlight()
    in_flight.cancel("u/s/0/1")
    for number in range(1000):
        in_flight.cancel(f"u/other/{number}/1")
    held = build_held()
    with in_flight.hold(held):
        assert not held.task.cancelled
