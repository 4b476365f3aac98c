"""An outside system that fails again and again is left alone for a while."""

from tests.fakes.virtual_time import VirtualClock, in_virtual_time

from vapora.controller.breakers import FAILURES, REST, Breakers


def fail(breakers: Breakers, times: int) -> None:
    for _ in range(times):
        breakers.failed("db", "no route")


@in_virtual_time
async def test_fewer_failures_than_five_change_nothing() -> None:
    breakers = Breakers(VirtualClock())
    fail(breakers, FAILURES - 1)
    assert breakers.admit("db")
    assert breakers.describe("db") == "no route"


@in_virtual_time
async def test_after_five_failures_it_rests_and_then_one_call_is_let_through() -> None:
    clock = VirtualClock()
    breakers = Breakers(clock)
    fail(breakers, FAILURES)
    assert not breakers.admit("db")
    assert breakers.describe("db") == "no route; after 5 failures it is asked every 30 s"
    assert breakers.admit("another")
    await clock.sleep(REST)
    assert [breakers.admit("db"), breakers.admit("db")] == [True, False]
    fail(breakers, 1)
    assert not breakers.admit("db")


@in_virtual_time
async def test_a_success_forgets_all_failures() -> None:
    clock = VirtualClock()
    breakers = Breakers(clock)
    fail(breakers, FAILURES)
    await clock.sleep(REST)
    assert breakers.admit("db")
    breakers.succeeded("db")
    fail(breakers, FAILURES - 1)
    assert breakers.admit("db")


@in_virtual_time
async def test_what_nobody_asks_any_more_is_forgotten() -> None:
    breakers = Breakers(VirtualClock())
    fail(breakers, FAILURES)
    breakers.forget_unused(frozenset({"another"}))
    assert breakers.admit("db")
