"""The performer: calls in the background, their answers kept until they are forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.fakes.virtual_time import in_virtual_time, settle
from tests.unit.controller.builders import Engine

from vapora.controller.performer import Performer
from vapora.core.calls import Account, Answer, Call, HttpCall, Perform

ACCOUNT = Account("default", "builder")


class Outside:
    """Is Caller: a call to `slow` takes an hour, one to `broken` raises, any other is answered at once."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.at_once = self.most = 0

    async def call(self, call: Call, account: Account) -> Answer:
        assert isinstance(call, HttpCall)
        self.made.append(call.key)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(3600 if call.url == "slow" else 0)
        finally:
            self.at_once -= 1
        if call.url == "broken":
            raise RuntimeError("secret words")
        return Answer({"key": call.key, "as": account.name})


class World:
    """A performer with an outside, and whom it woke."""

    def __init__(self, at_once: int = 64) -> None:
        self.outside, self.woken = Outside(), list[str]()
        self.performer = Performer(self.outside, wake=self.woken.append, at_once=at_once)

    def ask(self, call_id: str, url: str = "quick") -> None:
        self.performer.perform(Perform(call_id, HttpCall("GET", url, key=call_id), ACCOUNT))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.performer.run())
        await settle()
        yield
        await settle()
        task.cancel()
        await asyncio.wait([task])

    def answered(self, uid: str) -> set[str]:
        return set(self.performer.answers(uid))


@in_virtual_time
async def test_an_answer_is_kept_by_workflow_and_call_and_wakes_the_workflow():
    world = World()
    async with world.running():
        world.ask("u/a/0/1/1")
        world.ask("v/a/0/1/1")
        await settle()
        assert world.performer.answers("u") == {"u/a/0/1/1": Answer({"key": "u/a/0/1/1", "as": "builder"})}
        assert sorted(world.woken) == ["u", "v"]


@in_virtual_time
async def test_what_was_answered_is_told_once():
    world = World()
    async with world.running():
        world.ask("u/a/0/1/1")
        await settle()
        assert world.performer.take_changes("u") == {"u/a/0/1/1"}
        assert world.performer.take_changes("u") == set()


@in_virtual_time
async def test_a_call_that_waits_is_under_way_or_was_answered_is_not_made_again():
    world = World(at_once=1)
    async with world.running():
        for call_id, url in (("u/a/0/1/1", "slow"), ("u/b/0/1/1", "quick")):
            world.ask(call_id, url)
            world.ask(call_id, url)
            await settle()
        assert world.performer.underway("u") == {"u/a/0/1/1", "u/b/0/1/1"}
        await asyncio.sleep(3601)
        world.ask("u/a/0/1/1")
        await settle()
        assert world.outside.made == ["u/a/0/1/1", "u/b/0/1/1"]


@in_virtual_time
async def test_whoever_asks_again_for_what_was_answered_is_told_of_it_again_but_not_at_once():
    world = World()
    async with world.running():
        world.ask("u/a/0/1/1")
        await settle()
        world.performer.take_changes("u")
        world.ask("u/a/0/1/1")
        await settle()
        assert (world.woken, world.performer.take_changes("u")) == (["u"], set())
        await asyncio.sleep(1)
        assert (world.woken, world.performer.take_changes("u")) == (["u", "u"], {"u/a/0/1/1"})
        assert world.outside.made == ["u/a/0/1/1"]


@in_virtual_time
async def test_a_forgotten_call_may_be_made_again():
    world = World()
    async with world.running():
        world.ask("u/a/0/1/1")
        await settle()
        world.performer.forget("u", "u/a/0/1/1")
        assert (world.answered("u"), world.performer.take_changes("u")) == (set(), set())
        world.ask("u/a/0/1/1")
        await settle()
        assert world.answered("u") == {"u/a/0/1/1"}


@in_virtual_time
async def test_what_nobody_asks_for_any_more_is_given_up_and_its_answer_forgotten():
    world = World()
    async with world.running():
        for call, url in {"a": "quick", "b": "quick", "c": "slow", "d": "slow"}.items():
            world.ask(f"u/{call}/0/1/1", url)
        await settle()
        world.performer.keep("u", {"u/b/0/1/1", "u/d/0/1/1"})
        assert (world.answered("u"), world.performer.underway("u")) == ({"u/b/0/1/1"}, {"u/d/0/1/1"})


@in_virtual_time
async def test_forgetting_what_is_not_there_does_nothing():
    world = World()
    world.performer.forget("u", "u/a/0/1/1")
    world.performer.forget_all("u")
    world.performer.cancel("u/a/0/1/1")
    assert world.performer.underway("u") == frozenset()


@in_virtual_time
async def test_further_calls_wait_in_order_until_others_have_ended():
    world = World(at_once=2)
    calls = [f"u/a/{item}/1/1" for item in range(6)]
    async with world.running():
        for call_id in calls:
            world.ask(call_id, "slow")
        await settle()
        assert world.outside.made == calls[:2]
        await asyncio.sleep(4 * 3600)
        assert (world.outside.made, world.outside.most, world.answered("u")) == (calls, 2, set(calls))


@in_virtual_time
async def test_at_most_sixty_four_calls_are_made_at_once():
    world = World()
    async with world.running():
        for item in range(100):
            world.ask(f"u/a/{item}/1/1", "slow")
        await settle()
        assert len(world.performer.underway("u")) == 100
        assert world.outside.most == 64


@in_virtual_time
async def test_a_call_taken_over_before_it_runs_is_made_when_it_does():
    world = World()
    world.ask("u/a/0/1/1")
    await settle()
    assert world.outside.made == []
    async with world.running():
        assert world.answered("u") == {"u/a/0/1/1"}


ENDS: dict[str, Callable[[Performer], None]] = {
    "it is cancelled": lambda performer: performer.cancel("u/a/0/1/1"),
    "its workflow is forgotten": lambda performer: performer.forget_all("u"),
    "all is cleared": lambda performer: performer.clear(),
}


async def end_a_call(end: Callable[[Performer], None], at_once: int) -> World:
    """A call under way, or in the queue where none is let through, is ended; then it is asked for anew."""
    world = World(at_once)
    async with world.running():
        world.ask("u/a/0/1/1", "slow")
        await settle()
        end(world.performer)
        assert world.performer.underway("u") == frozenset()
        world.ask("u/a/0/1/1", "quick")
        await settle()
        assert world.outside.at_once == 0
        if at_once:
            assert world.answered("u") == {"u/a/0/1/1"}
    return world


@in_virtual_time
async def test_a_call_under_way_that_is_given_up_ends_and_its_id_is_free():
    for end in ENDS.values():
        assert (await end_a_call(end, at_once=1)).outside.made == ["u/a/0/1/1"] * 2


@in_virtual_time
async def test_a_call_in_the_queue_that_is_given_up_is_not_made():
    for end in ENDS.values():
        assert (await end_a_call(end, at_once=0)).outside.made == []


@in_virtual_time
async def test_the_end_of_a_term_cancels_all_calls_and_forgets_all_answers():
    world = World(at_once=2)
    async with world.running():
        world.ask("u/a/0/1/1")
        await settle()
        for item in range(3):
            world.ask(f"u/b/{item}/1/1", "slow")
    assert (world.outside.at_once, world.answered("u")) == (0, set())
    assert (world.performer.underway("u"), world.performer.take_changes("u")) == (frozenset(), set())
    async with world.running():
        world.ask("u/a/0/1/1")
        await settle()
        assert world.answered("u") == {"u/a/0/1/1"}


@in_virtual_time
async def test_a_caller_that_breaks_is_an_answer_that_holds_none_of_its_words():
    world = World()
    async with world.running():
        world.ask("u/a/0/1/1", "broken")
        world.ask("u/b/0/1/1")
        await settle()
        answer = world.performer.answers("u")["u/a/0/1/1"]
        assert (answer.reason, answer.is_definite, "secret" in answer.message) == ("CallBroke", False, False)
        assert world.answered("u") == {"u/a/0/1/1", "u/b/0/1/1"}


@in_virtual_time
async def test_the_executor_hands_a_call_over_and_has_no_problem_with_it():
    engine = Engine()
    action = Perform("u/a/0/1/1", HttpCall("GET", "quick", key="k"), ACCOUNT)
    assert await engine.executor.execute([action]) == []
    assert engine.performed == [action]
