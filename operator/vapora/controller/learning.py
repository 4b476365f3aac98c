"""What the operator has learned: profiles of pools, read from the knowledge graph when a decision needs them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta

from vapora.controller.histories import Histories, Wanted
from vapora.controller.ports import Clock, KnowledgeGraph
from vapora.core.learning.execution import Execution, GraphUnavailable
from vapora.core.learning.profile import (
    SHOWN_TYPES,
    Learned,
    LearningProfile,
    LearningRules,
    add_task_type_expertise,
)
from vapora.core.learning.trend import WINDOW_DAYS, build_learning_curve, compute_trend
from vapora.core.plan import Key

log = logging.getLogger(__name__)

PATIENCE = 0.25  # seconds that a decision waits for history; without it the least loaded pool is taken
SHOW_EVERY = 60.0  # seconds; what is learned of a pool costs a write of its status
_SHOWN_AT_ONCE = 50  # pools
_POOLS_AT_ONCE = 100  # in one query
_READ_SECONDS = 30.0
_RETRY_SECONDS = 5.0
_KIND = "AgentPool"


@dataclass(slots=True)
class _Batch:
    """Is what is read next, together; `is_done` is set whether it could be read or not."""

    wanted: set[Wanted] = field(default_factory=set)
    is_done: asyncio.Event = field(default_factory=asyncio.Event)


class Learning:
    """Keeps profiles: they are read in batches and side by side, and follow what is recorded until they are old.

    `enqueue` has a pool looked at of which something new is known.
    """

    def __init__(
        self, graph: KnowledgeGraph, clock: Clock, rules: LearningRules, enqueue: Callable[[Key], None]
    ) -> None:
        self._graph = graph
        self._clock = clock
        self._rules = rules
        self._enqueue = enqueue
        self._histories = Histories(rules)
        self._next = _Batch()
        self._has_work = asyncio.Event()
        self._retry_at = 0.0
        self._changed: dict[str, None] = {}  # pools to show, in the order in which they changed
        self._shown: dict[str, LearningProfile] = {}

    def clear(self) -> None:
        """Forgets all: another leader may have recorded since."""
        self._histories.clear()
        self._changed.clear()
        self._shown.clear()
        self._retry_at = 0.0

    def view(self, namespace: str) -> Learned:
        """Returns what is known now of a namespace's pools."""
        return Learned(self._histories.view(namespace, self._clock.now()), self._rules.epsilon)

    async def look_up(self, namespace: str, wanted: Iterable[tuple[str, str]], *, wait: float = PATIENCE) -> Learned:
        """Has profiles read, of pools by name each with a task type, and returns what is known a moment later."""
        pools = [(f"{namespace}/{name}", task_type) for name, task_type in wanted]
        keys: set[Wanted] = {*pools, *((pool, None) for pool, _ in pools)}
        missing = self._histories.list_missing(keys)
        if not missing or self._graph.problem is not None or self._clock.monotonic() < self._retry_at:
            return self.view(namespace)
        batch = self._next
        batch.wanted.update(missing)
        self._has_work.set()
        try:
            async with asyncio.timeout(wait):
                await batch.is_done.wait()
        except TimeoutError:
            log.info("history comes late", extra={"namespace": namespace, "profiles": len(missing)})
        return self.view(namespace)

    async def load_learning_profile(self, pool: str, task_type: str) -> LearningProfile:
        """Returns the profile of a pool with what is known at a task type; raises GraphUnavailable."""
        return (await self.load_all_learning_profiles([pool], task_type))[pool]

    async def load_all_learning_profiles(self, pools: Sequence[str], task_type: str) -> dict[str, LearningProfile]:
        """Returns the profiles of pools with what is known at a task type; raises GraphUnavailable."""
        keys: list[Wanted] = [(pool, kind) for pool in pools for kind in (task_type, None)]
        await self._read(self._histories.list_missing(keys))
        now = self._clock.now()
        return {pool: self._histories.rate(pool, now) for pool in pools}

    def note(self, executions: Sequence[Execution]) -> None:
        """Takes what was recorded."""
        for execution in executions:
            if self._histories.note(execution):
                self._changed[execution.pool] = None

    @property
    def trends(self) -> Mapping[str, int]:
        """Counts the kinds of work at which pools get better, worse or neither, as their statuses show it."""
        return Counter(known.trend.direction for shown in self._shown.values() for known in shown.expertise.values())

    def find_shown(self, pool: Key) -> LearningProfile | None:
        """Returns what the status of a pool is to show; None where nothing is known yet, which is then looked up."""
        identity = f"{pool.namespace}/{pool.name}"
        if identity not in self._shown:
            self._changed.setdefault(identity, None)
        return self._shown.get(identity)

    async def run(self) -> None:
        """Reads what decisions ask for, until it is cancelled."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            batch, self._next = self._next, _Batch()
            try:
                await self._read(self._histories.list_missing(batch.wanted))
            except GraphUnavailable as problem:
                self._retry_at = self._clock.monotonic() + _RETRY_SECONDS
                log.warning("history cannot be read", extra={"problem": str(problem)})
            batch.is_done.set()

    async def show(self) -> None:
        """Has pools looked at of which something new is known, once a minute, until it is cancelled."""
        while True:
            await self._clock.sleep(SHOW_EVERY)
            self._histories.drop_old(self._clock.monotonic())
            for pool in list(self._changed)[:_SHOWN_AT_ONCE]:
                try:
                    profile = await self._rate(pool)
                except GraphUnavailable:
                    break
                del self._changed[pool]
                if profile != self._shown.get(pool):
                    self._shown[pool] = profile
                    namespace, _, name = pool.partition("/")
                    self._enqueue(Key(_KIND, namespace, name))

    async def _rate(self, pool: str) -> LearningProfile:
        """Returns what is known of a pool at what it does most, with the trend of each."""
        now = self._clock.now()
        since = now.astimezone(UTC).date() - timedelta(days=WINDOW_DAYS - 1)
        windows = await self._graph.get_daily_aggregates(pool, None, since)
        counts: defaultdict[str, int] = defaultdict(int)
        for window in windows:
            counts[window.task_type] += window.executions
        kinds = sorted(counts, key=lambda kind: (-counts[kind], kind))[:SHOWN_TYPES]
        await self._read(self._histories.list_missing([(pool, kind) for kind in (*kinds, None)]))
        profile, curve = self._histories.rate(pool, now), build_learning_curve(windows)
        shown = replace(profile, expertise={})
        for kind in kinds:
            if (known := profile.expertise.get(kind)) is not None:
                trend = compute_trend(curve.get(kind, ()))
                shown = add_task_type_expertise(shown, replace(known, trend=trend))
        return shown

    async def _read(self, wanted: Sequence[Wanted]) -> None:
        """Reads histories side by side, those of one task type together; raises GraphUnavailable."""
        by_type: defaultdict[str | None, list[str]] = defaultdict(list)
        for pool, task_type in wanted:
            by_type[task_type].append(pool)
        self._histories.begin(wanted)
        try:
            async with asyncio.timeout(_READ_SECONDS), asyncio.TaskGroup() as group:
                for task_type, pools in by_type.items():
                    for start in range(0, len(pools), _POOLS_AT_ONCE):
                        group.create_task(self._read_some(pools[start : start + _POOLS_AT_ONCE], task_type))
        except* (GraphUnavailable, TimeoutError) as problems:
            raise GraphUnavailable(str(problems.exceptions[0]) or "the history took too long") from problems
        finally:
            self._histories.end(wanted)

    async def _read_some(self, pools: Sequence[str], task_type: str | None) -> None:
        if task_type is None:
            found = await self._graph.get_executions_of_agents(pools, self._rules.limit)
        else:
            found = await self._graph.get_executions_for_task_types(pools, task_type, self._rules.limit)
        for pool, executions in found.items():
            self._histories.put((pool, task_type), executions, self._clock.monotonic())
