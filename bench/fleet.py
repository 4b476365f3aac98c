"""A simulated fleet: pools with abilities that drift, and policies that give tasks to them.

The learned policy is the operator's own: `assign`, profiles from its knowledge graph in SQLite, the shipped defaults.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from vapora.controller.learning import Learning
from vapora.controller.ports import KnowledgeGraph
from vapora.core.learning.assignment import Asking, PoolView, Request, assign
from vapora.core.learning.execution import Execution, execution_id
from vapora.core.learning.profile import LearningRules
from vapora.settings import Settings

SEEDS = range(20)
DAYS, ROUNDS, TASKS = 30, 4, 8  # rounds a day, tasks a round: all of a round are under way at once
DRIFT_DAY = 15
RESTART_DAYS = 10  # after which the operator starts again and reads what it knows from the store
POOLS = ("amber", "birch", "cedar", "delta", "ember", "fjord")
TYPES = ("implementation", "code-review", "testing")
ALPHA, BETA = 4.0, 2.0  # abilities come from a beta distribution: mean 0.67, deviation 0.18
DRIFT_SHARE = 0.5  # of the abilities, drawn anew
START = datetime(2026, 1, 5, 8, tzinfo=UTC)

Abilities = dict[tuple[str, str], float]
"""The chance of success, by pool and task type."""


@dataclass(frozen=True, slots=True)
class World:
    """Is a course of abilities, day by day, the tasks of every round, and the chance of each task at each pool."""

    namespace: str
    days: tuple[Abilities, ...]
    tasks: tuple[tuple[str, ...], ...]  # task types, by round
    luck: tuple[tuple[dict[str, float], ...], ...]
    views: tuple[PoolView, ...]
    newcomer: str = ""  # a pool that is there from the day of the drift on

    def list_pools(self, day: int) -> list[PoolView]:
        """Returns the pools that are there on a day."""
        return [view for view in self.views if view.name != self.newcomer or day >= DRIFT_DAY]


def draw_world(kind: str, seed: int, change: Callable[[random.Random, Abilities], Abilities]) -> World:
    """Draws a world; `change` gives the abilities from the day of the drift on."""
    chance = random.Random(f"{kind}/{seed}")
    before = {(pool, type_): chance.betavariate(ALPHA, BETA) for pool in POOLS for type_ in TYPES}
    after = change(chance, before)
    if kind == "equal":
        before = after
    newcomer = find_best(after) if kind == "newcomer" else ""
    rounds = DAYS * ROUNDS
    tasks = tuple(tuple(chance.choice(TYPES) for _ in range(TASKS)) for _ in range(rounds))
    luck = tuple(tuple({pool: chance.random() for pool in POOLS} for _ in range(TASKS)) for _ in range(rounds))
    namespace = f"{kind}-{seed}"
    sizes = [chance.randint(1, 3) for _ in POOLS]
    views = tuple(
        PoolView(namespace, pool, "developer", frozenset(), replicas=size, max_concurrent=2, in_flight=0)
        for pool, size in zip(POOLS, sizes, strict=True)
    )
    days = tuple(before if day < DRIFT_DAY else after for day in range(DAYS))
    return World(namespace, days, tasks, luck, views, newcomer)


def drift(chance: random.Random, before: Abilities) -> Abilities:
    """Draws half of the abilities anew."""
    return {
        key: chance.betavariate(ALPHA, BETA) if chance.random() < DRIFT_SHARE else ability
        for key, ability in before.items()
    }


def make_equal(_: random.Random, before: Abilities) -> Abilities:
    """Gives all pools the mean ability."""
    return dict.fromkeys(before, ALPHA / (ALPHA + BETA))


def spoil_best(_: random.Random, before: Abilities) -> Abilities:
    """Makes the best pool of the first task type fail nine of ten of its tasks, of that type only."""
    best = find_best(before)
    return {**before, (best, TYPES[0]): 0.1}


def bring_better(_: random.Random, before: Abilities) -> Abilities:
    """Makes the first pool, which is only there from then on, the best of all at everything."""
    return before | {(POOLS[0], task_type): 0.97 for task_type in TYPES}


def find_best(abilities: Abilities) -> str:
    """Returns the pool that is best at the first task type."""
    return max(POOLS, key=lambda pool: abilities[pool, TYPES[0]])


@dataclass(frozen=True, slots=True)
class Given:
    """Is one task: when, of what type, to whom, and how it ended."""

    day: int
    task_type: str
    pool: str
    is_success: bool


class SimulatedClock:
    """Is Clock; a simulation sets its time."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Policy:
    """Gives tasks to pools; `start_day` and `end_round` are told to it."""

    async def start_day(self, day: int) -> None: ...

    async def end_round(self, time: datetime, given: Sequence[Given]) -> None: ...

    def choose(self, task_type: str, key: str, day: int, load: dict[str, int]) -> str:
        raise NotImplementedError


@dataclass
class RoundRobin(Policy):
    """Takes one pool after the other."""

    world: World
    turn: int = -1

    def choose(self, task_type: str, key: str, day: int, load: dict[str, int]) -> str:
        self.turn += 1
        return POOLS[self.turn % len(POOLS)]


@dataclass
class LeastLoaded(Policy):
    """Is the operator without history."""

    world: World

    def choose(self, task_type: str, key: str, day: int, load: dict[str, int]) -> str:
        found = assign(Request(task_type, role="developer"), self.world.list_pools(day), load)
        assert found.pool is not None
        return found.pool


@dataclass
class Oracle(Policy):
    """Knows the abilities: takes the best pool that has a free place."""

    world: World

    def choose(self, task_type: str, key: str, day: int, load: dict[str, int]) -> str:
        there = self.world.list_pools(day)
        free = [view.name for view in there if load.get(view.name, 0) < view.replicas * view.max_concurrent]
        return max(free or [view.name for view in there], key=lambda pool: self.world.days[day][pool, task_type])


@dataclass
class Learned(Policy):
    """Is the operator with its knowledge graph."""

    world: World
    graph: KnowledgeGraph
    epsilon: float = field(default_factory=lambda: Settings().learning_epsilon)
    name: str = "learned"

    def __post_init__(self) -> None:
        self._namespace = f"{self.world.namespace}-{self.name}"
        self._clock = SimulatedClock()
        rules = LearningRules(epsilon=self.epsilon)
        self._learning = Learning(self.graph, self._clock, rules, lambda _: None)
        self._count = 0

    async def start_day(self, day: int) -> None:
        self._clock.time = START + timedelta(days=day)
        if day % RESTART_DAYS == 0:
            self._learning.clear()
        if day % RESTART_DAYS == 0 or day == DRIFT_DAY:
            pools = [f"{self._namespace}/{view.name}" for view in self.world.list_pools(day)]
            for task_type in TYPES:
                await self._learning.load_all_learning_profiles(pools, task_type)

    def choose(self, task_type: str, key: str, day: int, load: dict[str, int]) -> str:
        learned = self._learning.view(self._namespace)
        request, asking = Request(task_type, role="developer"), Asking(key=key)
        found = assign(request, self.world.list_pools(day), load, learned=learned, asking=asking)
        assert found.pool is not None
        return found.pool

    async def end_round(self, time: datetime, given: Sequence[Given]) -> None:
        self._clock.time = time
        rows = [self._build(time, task) for task in given]
        await self.graph.record(rows)
        self._learning.note(rows)

    def _build(self, time: datetime, task: Given) -> Execution:
        self._count += 1
        return Execution(
            id=execution_id(f"{self._namespace}-{self._count}", "task", None, 1),
            namespace=self._namespace,
            workflow=f"{task.task_type}-{self._count}",
            step="task",
            item=None,
            try_=1,
            pool=f"{self._namespace}/{task.pool}",
            role="developer",
            task_type=task.task_type,
            outcome="success" if task.is_success else "failure",
            reason="" if task.is_success else "TaskFailed",
            started=time - timedelta(minutes=20),
            finished=time,
        )


async def play(world: World, policy: Policy) -> list[Given]:
    """Has a policy give out all tasks of a world."""
    course: list[Given] = []
    for day in range(DAYS):
        await policy.start_day(day)
        for place in range(ROUNDS):
            number = day * ROUNDS + place
            load: dict[str, int] = {}
            given = []
            for task, task_type in enumerate(world.tasks[number]):
                pool = policy.choose(task_type, f"{world.namespace}/{number}/{task}", day, load)
                load[pool] = load.get(pool, 0) + 1
                is_success = world.luck[number][task][pool] < world.days[day][pool, task_type]
                given.append(Given(day, task_type, pool, is_success))
            await policy.end_round(START + timedelta(days=day, hours=place + 1), given)
            course += given
    return course
