"""The work queue."""

import asyncio
import time

from tests.fakes.virtual_time import VirtualClock, in_virtual_time, run_virtually, settle

from vapora.controller.workqueue import BACKLOG, BACKOFF_MAX, SPARING, Priority, WorkQueue
from vapora.core.plan import Key


def key(name: str) -> Key:
    return Key("Workflow", "default", name)


A, B, C = key("a"), key("b"), key("c")


def make_queue() -> WorkQueue:
    return WorkQueue(VirtualClock(), jitter=lambda: 0.0)


async def drain(queue: WorkQueue) -> list[str]:
    """Takes every key that can be had now."""
    names = []
    while queue.depth:
        taken = await queue.get()
        names.append(taken.name)
        queue.done(taken)
    return names


@in_virtual_time
async def test_telling_of_progress_gets_less_while_many_keys_wait():
    queue = make_queue()
    for number in range(BACKLOG):
        queue.add(key(str(number)))
    kept_up = queue.spare()
    queue.add(A)
    assert (kept_up, queue.spare()) == (1.0, SPARING)


@in_virtual_time
async def test_a_key_added_twice_comes_once():
    queue = make_queue()
    queue.add(A)
    queue.add(B)
    queue.add(A)
    assert await drain(queue) == ["a", "b"]


@in_virtual_time
async def test_a_key_added_while_it_is_processed_comes_again_only_after_it_is_done():
    queue = make_queue()
    queue.add(A)
    await queue.get()
    queue.add(A)
    queue.add(A)
    second = asyncio.ensure_future(queue.get())
    await settle()
    assert not second.done()
    queue.done(A)
    assert await second == A
    queue.done(A)
    assert queue.depth == 0


@in_virtual_time
async def test_fresh_changes_go_before_the_backlog_of_a_list():
    queue = make_queue()
    queue.add(A, Priority.BACKGROUND)
    queue.add(B, Priority.BACKGROUND)
    queue.add(C)
    queue.add(B)
    assert await drain(queue) == ["c", "b", "a"]


@in_virtual_time
async def test_a_fresh_key_is_not_put_back_by_a_resync():
    queue = make_queue()
    queue.add(A)
    queue.add(B)
    queue.add(A, Priority.BACKGROUND)
    assert await drain(queue) == ["a", "b"]


@in_virtual_time
async def test_the_earliest_of_several_delays_wins():
    clock = VirtualClock()
    queue = WorkQueue(clock, jitter=lambda: 0.0)
    queue.add_after(A, 60)
    queue.add_after(A, 5)
    queue.add_after(A, 30)
    await queue.get()
    assert clock.monotonic() == 5


@in_virtual_time
async def test_whoever_looks_now_is_not_woken_by_an_older_wish():
    queue = make_queue()
    queue.add_after(A, 5)
    queue.add(A)
    await queue.get()
    queue.done(A)
    assert queue.delayed == 0


@in_virtual_time
async def test_a_delay_asked_for_while_the_key_is_processed_counts():
    clock = VirtualClock()
    queue = WorkQueue(clock, jitter=lambda: 0.0)
    queue.add(A)
    await queue.get()
    queue.add_after(A, 5)
    queue.done(A)
    assert await queue.get() == A
    assert clock.monotonic() == 5


@in_virtual_time
async def test_the_backoff_doubles_up_to_a_quarter_of_an_hour_and_starts_anew_when_forgotten():
    queue = make_queue()
    delays = [queue.retry(A) for _ in range(20)]
    assert delays[:4] == [0.005, 0.01, 0.02, 0.04]
    assert delays[-1] == BACKOFF_MAX == 960
    queue.forget(A)
    assert queue.retry(A) == 0.005


@in_virtual_time
async def test_jitter_stretches_a_backoff_but_never_beyond_the_limit():
    queue = WorkQueue(VirtualClock(), jitter=lambda: 0.999)
    delays = [queue.retry(A) for _ in range(20)]
    assert 0.005 < delays[0] <= 0.006
    assert delays[-1] == BACKOFF_MAX


@in_virtual_time
async def test_a_worker_that_is_cancelled_as_it_is_woken_passes_the_key_on():
    queue = make_queue()
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await settle()
    queue.add(A)
    first.cancel()
    await settle()
    assert first.cancelled()
    assert await second == A


@in_virtual_time
async def test_it_tells_how_long_a_key_waited():
    clock = VirtualClock()
    queue = WorkQueue(clock, jitter=lambda: 0.0)
    queue.add(A, Priority.BACKGROUND)
    await clock.sleep(2)
    queue.add(A)
    await clock.sleep(1)
    await queue.get()
    assert queue.waited(A) == 3


def test_ten_times_the_keys_cost_about_ten_times_as_much():
    async def scenario(count: int) -> None:
        queue = make_queue()
        for number in range(count):
            queue.add_after(key(f"d{number}"), 1 + number % 7)
            queue.add(key(f"k{number}"), Priority(number % 2))
        for _ in range(2 * count):
            queue.done(await queue.get())

    def measure(count: int) -> float:
        started = time.process_time()
        run_virtually(scenario(count))
        return time.process_time() - started

    few, many = (min(measure(count) for _ in range(3)) for count in (2_000, 20_000))
    assert many / few < 40, "it grows with the square of the keys"


@in_virtual_time
async def test_delays_that_were_dropped_do_not_pile_up():
    queue = make_queue()
    for _ in range(10_000):
        queue.add_after(A, 600)
        queue.add(A)
        queue.done(await queue.get())
    assert len(queue._timeline) < 2_000


@in_virtual_time
async def test_a_closed_queue_forgets_what_it_had_and_takes_nothing_in():
    clock = VirtualClock()
    queue = WorkQueue(clock, jitter=lambda: 0.0)
    queue.add(A)
    queue.add_after(B, 5)
    queue.retry(C)
    queue.close()
    queue.add(A)
    queue.add_after(B, 5)
    await clock.sleep(60)
    assert (queue.depth, queue.delayed, queue.failures(C)) == (0, 0, 0)
    queue.open()
    queue.add(A)
    assert await drain(queue) == ["a"]
