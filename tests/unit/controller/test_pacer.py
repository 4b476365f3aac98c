"""The pacing of progress writes."""

import asyncio

from tests.fakes.virtual_time import VirtualClock, in_virtual_time, settle
from tests.unit.controller.builders import workflow_key

from vapora.controller.pacer import Pacer
from vapora.core.plan import Key

A = workflow_key("a")


class Paced:
    """Runs a pacer and notes when it releases whom."""

    def __init__(self, per_second: float = 10) -> None:
        self.clock = VirtualClock()
        self.released: list[tuple[float, str]] = []
        self.spare = 1.0
        self.pacer = Pacer(self.clock, self._release, per_second=per_second, spare=lambda: self.spare)

    def _release(self, key: Key) -> None:
        self.released.append((round(self.clock.monotonic(), 2), key.name))

    async def __aenter__(self) -> "Paced":
        self._task = asyncio.ensure_future(self.pacer.run())
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()


@in_virtual_time
async def test_the_first_progress_of_an_object_waits_a_quarter_of_a_second():
    async with Paced() as paced:
        assert not paced.pacer.admit(A)
        await paced.clock.sleep(1)
        assert paced.released == [(0.3, "a")]
        assert paced.pacer.admit(A)


@in_virtual_time
async def test_an_object_that_was_just_written_rests_ten_times_as_long_as_its_write_took():
    async with Paced() as paced:
        paced.pacer.written(A, seconds=0.3)
        assert not paced.pacer.admit(A)
        await paced.clock.sleep(10)
        [(when, _)] = paced.released
        assert 3.0 <= when <= 3.1


@in_virtual_time
async def test_over_all_objects_at_most_ten_a_second_are_released_and_the_oldest_first():
    async with Paced() as paced:
        for number in range(50):
            paced.pacer.admit(workflow_key(f"w{number:02}"))
            await paced.clock.sleep(0.001)
        await paced.clock.sleep(3)
        assert len(paced.released) in {28, 29}
        assert [name for _, name in paced.released] == sorted(name for _, name in paced.released)


@in_virtual_time
async def test_progress_is_written_more_seldom_while_the_workers_are_behind():
    async with Paced() as paced:
        paced.spare = 0.25
        for number in range(50):
            paced.pacer.admit(workflow_key(f"w{number:02}"))
        await paced.clock.sleep(10)
        assert len(paced.released) in {24, 25}


@in_virtual_time
async def test_asking_again_does_not_put_an_object_back_in_line():
    async with Paced() as paced:
        for _ in range(10):
            paced.pacer.admit(A)
            await paced.clock.sleep(0.05)
        assert [when for when, _ in paced.released] == [0.3]


@in_virtual_time
async def test_an_object_whose_final_write_went_out_is_not_released_any_more():
    async with Paced() as paced:
        paced.pacer.admit(A)
        paced.pacer.written(A, seconds=0.01)
        await paced.clock.sleep(5)
        assert paced.released == []
        assert paced.pacer.depth == 0


@in_virtual_time
async def test_a_grant_that_was_not_used_is_not_kept_for_later():
    async with Paced() as paced:
        paced.pacer.admit(A)
        await paced.clock.sleep(1)
        paced.pacer.withdraw(A)
        assert not paced.pacer.admit(A)
