"""Profiles in memory: read together when they are needed, kept current by what is recorded, shown in the pools."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.unit.learning.builders import NOW, an_execution
from tests.unit.learning.memory import MemoryGraph

from vapora.controller.histories import FRESH_SECONDS, Histories
from vapora.controller.learning import SHOW_EVERY, Learning
from vapora.core.learning.execution import Execution, GraphUnavailable
from vapora.core.learning.profile import LearningRules
from vapora.core.plan import Key

DEVELOPER = Key("AgentPool", "shop", "developer")


class ManualClock:
    """Tells NOW and later; sleepers wait until time passes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self):
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return 1000.0 + self.seconds

    async def sleep(self, seconds: float) -> None:
        done = asyncio.Event()
        self._sleepers.append((self.seconds + seconds, done))
        await done.wait()

    async def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        for due, done in self._sleepers:
            if due <= self.seconds:
                done.set()
        for _ in range(50):
            await asyncio.sleep(0)


class Stage:
    def __init__(self, *executions: Execution, rules: LearningRules | None = None) -> None:
        self.graph, self.clock, self.told = MemoryGraph(*executions), ManualClock(), list[Key]()
        self.learning = Learning(self.graph, self.clock, rules or LearningRules(), self.told.append)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator["Stage"]:
        tasks = [asyncio.create_task(work()) for work in (self.learning.run, self.learning.show)]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def ask(self, *pools: str, task_type: str = "implementation", wait: float = 5.0):
        return await self.learning.look_up("shop", [(pool, task_type) for pool in pools], wait=wait)

    def record(self, *executions: Execution) -> None:
        self.graph.keep(*executions)
        self.learning.note(executions)


def some(count: int, *, pool: str = "shop/developer", uid: str = "a", **changes) -> list[Execution]:
    return [an_execution(number, uid=uid, pool=pool, **changes) for number in range(count)]


async def test_a_profile_is_read_once_and_then_remembered() -> None:
    async with Stage(*some(4)).run() as stage:
        for _ in range(3):
            learned = await stage.ask("developer")
        profile = learned.profiles["developer"]
        assert (profile.executions, profile.expertise["implementation"].executions) == (4, 4)
        assert len(stage.graph.reads) == 2  # of the task type, and of all


async def test_profiles_of_many_pools_are_read_together_and_side_by_side() -> None:
    names = [f"pool-{number}" for number in range(50)]
    async with Stage(*(row for name in names for row in some(2, pool=f"shop/{name}", uid=name))).run() as stage:
        learned = await stage.ask(*names)
        assert len(learned.profiles) == 50
        assert (len(stage.graph.reads), stage.graph.most_at_once) == (2, 2)


async def test_what_is_recorded_changes_a_profile_without_another_read() -> None:
    async with Stage(*some(4)).run() as stage:
        before = await stage.ask("developer")
        stage.record(*some(4, uid="b", outcome="failure"))
        after = stage.learning.view("shop")
        assert before.profiles["developer"].success_rate == 1.0
        assert after.profiles["developer"].expertise["implementation"].expertise == pytest.approx(0.5)
        assert after.profiles["developer"].success_rate == 0.5
        assert len(stage.graph.reads) == 2


async def test_what_is_recorded_twice_counts_once() -> None:
    async with Stage(*some(4)).run() as stage:
        await stage.ask("developer")
        stage.record(*some(4, outcome="failure"))
        profile = stage.learning.view("shop").profiles["developer"]
        assert (profile.executions, profile.success_rate) == (4, 0.0)


async def test_only_the_latest_hundred_count() -> None:
    old = [an_execution(number, uid="old", days_ago=5, outcome="failure") for number in range(90)]
    async with Stage(*old).run() as stage:
        await stage.ask("developer")
        stage.record(*some(60))
        profile = stage.learning.view("shop").profiles["developer"]
        assert (profile.executions, profile.success_rate) == (100, 0.6)


async def test_what_is_recorded_while_it_is_read_is_not_missed() -> None:
    async with Stage(*some(4)).run() as stage:
        stage.graph.gate.clear()
        asking = asyncio.create_task(stage.ask("developer"))
        await stage.graph.is_asked.wait()
        stage.learning.note(some(1, uid="b"))
        stage.graph.gate.set()
        assert (await asking).profiles["developer"].executions == 5


async def test_a_slow_store_holds_no_decision_up() -> None:
    async with Stage(*some(4)).run() as stage:
        stage.graph.gate.clear()
        assert dict((await stage.ask("developer", wait=0.01)).profiles) == {}
        stage.graph.gate.set()
        assert "developer" in (await stage.ask("developer")).profiles


async def test_a_store_that_fails_is_left_alone_for_a_while() -> None:
    async with Stage(*some(4)).run() as stage:
        stage.graph.is_broken = True
        assert dict((await stage.ask("developer")).profiles) == {}
        reads = len(stage.graph.reads)
        await stage.ask("developer")
        assert len(stage.graph.reads) == reads
        stage.graph.is_broken = False
        await stage.clock.pass_time(6)
        assert "developer" in (await stage.ask("developer")).profiles


async def test_a_store_that_is_known_to_be_down_is_not_asked_and_what_is_known_stays() -> None:
    async with Stage(*some(4)).run() as stage:
        await stage.ask("developer")
        stage.graph.problem = "the file is gone"
        learned = await stage.ask("developer", "junior")
        assert list(learned.profiles) == ["developer"]


async def test_profiles_load_singly_and_all_at_once() -> None:
    stage = Stage(*some(4), *some(2, pool="shop/junior", uid="b"))
    one = await stage.learning.load_learning_profile("shop/developer", "implementation")
    assert one.expertise["implementation"].executions == 4
    pools = ["shop/developer", "shop/junior", "shop/new"]
    found = await stage.learning.load_all_learning_profiles(pools, "implementation")
    assert {name: profile.executions for name, profile in found.items()} == dict(zip(pools, (4, 2, 0), strict=True))


async def test_loading_says_why_it_cannot() -> None:
    stage = Stage()
    stage.graph.is_broken = True
    with pytest.raises(GraphUnavailable, match="the disk is gone"):
        await stage.learning.load_learning_profile("shop/developer", "implementation")


async def test_history_is_read_anew_after_a_while() -> None:
    async with Stage(*some(4)).run() as stage:
        await stage.ask("developer")
        stage.graph.keep(*some(9, uid="imported"))
        await asyncio.sleep(0)
        await stage.clock.pass_time(FRESH_SECONDS + SHOW_EVERY)
        assert (await stage.ask("developer")).profiles["developer"].executions == 13


async def test_a_new_leader_reads_anew() -> None:
    async with Stage(*some(4)).run() as stage:
        await stage.ask("developer")
        stage.graph.keep(*some(9, uid="by another"))
        stage.learning.clear()
        assert (await stage.ask("developer")).profiles["developer"].executions == 13


async def test_a_pool_shows_what_is_learned_with_its_trend() -> None:
    days = [an_execution(day, days_ago=day, outcome="success" if day < 2 else "failure") for day in range(4)]
    async with Stage(*days).run() as stage:
        assert stage.learning.find_shown(DEVELOPER) is None
        await asyncio.sleep(0)
        await stage.clock.pass_time(SHOW_EVERY)
        assert stage.told == [DEVELOPER]
        shown = stage.learning.find_shown(DEVELOPER)
        assert shown is not None
        assert shown.expertise["implementation"].trend.direction == "Improving"


async def test_a_pool_is_looked_at_once_a_minute_however_much_it_does() -> None:
    async with Stage().run() as stage:
        await asyncio.sleep(0)
        for number in range(50):
            stage.record(an_execution(number))
        await stage.clock.pass_time(SHOW_EVERY)
        assert stage.told == [DEVELOPER]
        await stage.clock.pass_time(SHOW_EVERY)
        assert stage.told == [DEVELOPER]


def test_work_without_a_pool_teaches_nothing_of_pools() -> None:
    assert not Histories(LearningRules()).note(an_execution(1, pool="", task_type="run"))
