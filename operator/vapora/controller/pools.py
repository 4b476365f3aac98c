"""The tasks that runs have given to pools and that have no outcome yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from vapora.core.learning.assignment import PoolView
from vapora.core.plan import Key
from vapora.core.workflow.status import WorkflowStatus


class Outstanding:
    """Counts them by pool: the broker's own count lags by up to a second, and misses what waits to be published."""

    def __init__(self) -> None:
        self._by_run: dict[Key, Counter[str]] = {}
        self._total: Counter[tuple[str, str]] = Counter()

    def note(self, run: Key, status: WorkflowStatus | None) -> None:
        """Replaces what is known of one run; None where it is gone or at rest."""
        for name, count in self._by_run.pop(run, Counter()).items():
            self._total[run.namespace, name] -= count
        units = status.units() if status else ()
        given = Counter(unit.pool for _, _, unit in units if unit.pool and unit.state.is_working)
        if given:
            self._by_run[run] = given
            self._total.update({(run.namespace, name): count for name, count in given.items()})

    def count(self, namespace: str, pool: str) -> int:
        """Returns how many tasks a pool has been given that have no outcome yet."""
        return self._total[namespace, pool]

    def add_to(self, pools: Iterable[PoolView]) -> Iterator[PoolView]:
        """Yields the pools with at least the tasks in flight that runs have given them."""
        for pool in pools:
            given = self._total[pool.namespace, pool.name]
            yield pool if given <= (pool.in_flight or 0) else replace(pool, in_flight=given)
