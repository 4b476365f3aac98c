"""A wall clock that is set wakes what waits for a time of it."""

import asyncio
from datetime import timedelta

import pytest
from tests.fakes.virtual_time import VirtualClock, in_virtual_time

from vapora.controller.jumps import JumpWatch

CASES = {
    "set forward": ([3600.0], 1),
    "set back": ([-3600.0], 1),
    "set forward and back": ([3600.0, 0.0], 2),
    "left alone": ([0.0], 0),
    "hardly moved": ([0.4], 0),
    "moved bit by bit": ([0.4, 0.8, 1.2], 1),
}


@pytest.mark.parametrize(("skews", "jumps"), CASES.values(), ids=CASES)
@in_virtual_time
async def test_a_clock_that_is_set_is_noticed_once(skews: list[float], jumps: int) -> None:
    clock, noticed = VirtualClock(), []
    watch = asyncio.create_task(JumpWatch(clock, lambda: noticed.append(clock.monotonic())).run())
    await asyncio.sleep(5)
    for skew in skews:
        clock.skew = timedelta(seconds=skew)
        await asyncio.sleep(5)
    watch.cancel()
    assert len(noticed) == jumps
