"""The latest executions of pools, in memory: read from the knowledge graph once, then kept current by what it takes."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from vapora.core.learning.execution import Execution
from vapora.core.learning.profile import (
    LearningProfile,
    LearningRules,
    Past,
    add_task_type_expertise,
    build_expertise,
    create_learning_profile,
    find_dearest,
    keep_past,
    set_success_rate,
)

FRESH_SECONDS = 600.0  # after which a history is read anew: days have passed a little, others may have imported

Wanted = tuple[str, str | None]
"""A pool, `namespace/name`, and a task type; None stands for all types."""


class _PoolHistory:
    """Holds the executions of one pool that count, by task type, the oldest first, and the profile that they give."""

    def __init__(self, pool: str, rules: LearningRules, monotonic: float) -> None:
        self.read_at = monotonic
        self._rules = rules
        self._rows: dict[str | None, list[Past]] = {}
        self._ids: dict[str | None, set[str]] = {}
        self._stale: set[str | None] = set()
        self._profile = create_learning_profile(pool)

    def knows(self, task_type: str | None) -> bool:
        return task_type in self._rows

    def put(self, task_type: str | None, rows: Sequence[Past], arrived: Iterable[Past]) -> None:
        """Takes what was read, beside what is known of what came meanwhile."""
        newer = (*self._rows.get(task_type, ()), *arrived)
        self._rows[task_type] = sorted(rows, key=_order)[-self._rules.limit :]
        self._ids[task_type] = {row.id for row in rows}
        self._stale.add(task_type)
        for row in newer:
            self.add(task_type, row)

    def add(self, task_type: str | None, past: Past) -> None:
        """Takes an execution; one that is recorded again replaces itself."""
        rows, ids = self._rows[task_type], self._ids[task_type]
        if past.id in ids:
            rows[:] = [row for row in rows if row.id != past.id]
        ids.add(past.id)
        insort(rows, past, key=_order)
        if len(rows) > self._rules.limit:
            ids.discard(rows.pop(0).id)
        self._stale.add(task_type)

    def rate(self, now: datetime) -> LearningProfile:
        """Returns the profile; only what changed is computed anew."""
        for task_type in self._stale:
            rows = self._rows[task_type]
            if task_type is None:
                profile = set_success_rate(self._profile, [row.is_success for row in rows])
                self._profile = replace(profile, dearest_cents=find_dearest(rows))
            else:
                expertise = build_expertise(task_type, rows, now, self._rules.recency)
                self._profile = add_task_type_expertise(self._profile, expertise)
        self._stale.clear()
        return self._profile


class Histories:
    """Keeps the histories of pools, for a while, and shows them as profiles."""

    def __init__(self, rules: LearningRules) -> None:
        self._rules = rules
        self._pools: defaultdict[str, dict[str, _PoolHistory]] = defaultdict(dict)  # by namespace and pool
        self._arrived: dict[Wanted, list[Past]] = {}  # recorded while they are read
        self._views: dict[str, Mapping[str, LearningProfile]] = {}

    def clear(self) -> None:
        """Forgets all."""
        self._pools.clear()
        self._arrived.clear()
        self._views.clear()

    def list_missing(self, wanted: Iterable[Wanted]) -> list[Wanted]:
        """Returns those that are not known."""
        return [key for key in wanted if (known := self._find(key[0])) is None or not known.knows(key[1])]

    def begin(self, wanted: Iterable[Wanted]) -> None:
        """Notes that these are being read, so that what is recorded meanwhile is not missed."""
        for key in wanted:
            self._arrived.setdefault(key, [])

    def put(self, key: Wanted, executions: Iterable[Execution], monotonic: float) -> None:
        """Takes what was read."""
        pool, task_type = key
        known = self._find(pool)
        if known is None:
            known = self._pools[_read_namespace(pool)][pool] = _PoolHistory(pool, self._rules, monotonic)
        past = [kept for row in executions if (kept := keep_past(row)) is not None]
        known.put(task_type, past, self._arrived.pop(key, ()))
        self._views.pop(_read_namespace(pool), None)

    def end(self, wanted: Iterable[Wanted]) -> None:
        """Notes that these are not being read any more."""
        for key in wanted:
            self._arrived.pop(key, None)

    def note(self, execution: Execution) -> bool:
        """Takes what was recorded; returns whether that says something of a pool."""
        past = keep_past(execution) if execution.pool else None
        if past is None:
            return False
        known = self._find(execution.pool)
        for task_type in (execution.task_type, None):
            if (arrived := self._arrived.get((execution.pool, task_type))) is not None:
                arrived.append(past)
            if known is not None and known.knows(task_type):
                known.add(task_type, past)
                self._views.pop(_read_namespace(execution.pool), None)
        return True

    def drop_old(self, monotonic: float) -> None:
        """Forgets what was read too long ago: who needs it reads it anew."""
        for namespace, pools in list(self._pools.items()):
            fresh = {pool: known for pool, known in pools.items() if monotonic - known.read_at < FRESH_SECONDS}
            if len(fresh) < len(pools):
                self._pools[namespace] = fresh
                self._views.pop(namespace, None)

    def view(self, namespace: str, now: datetime) -> Mapping[str, LearningProfile]:
        """Returns the profiles of a namespace's pools, by their names; the same until one of them changes."""
        known = self._views.get(namespace)
        if known is None:
            pools = self._pools.get(namespace, {})
            known = self._views[namespace] = {
                pool.partition("/")[2]: history.rate(now) for pool, history in pools.items()
            }
        return known

    def rate(self, pool: str, now: datetime) -> LearningProfile:
        """Returns what is known of one pool."""
        known = self._find(pool)
        return create_learning_profile(pool) if known is None else known.rate(now)

    def _find(self, pool: str) -> _PoolHistory | None:
        return self._pools.get(_read_namespace(pool), {}).get(pool)


def _read_namespace(pool: str) -> str:
    return pool.partition("/")[0]


def _order(past: Past) -> tuple[datetime, str]:
    return (past.finished, past.id)
