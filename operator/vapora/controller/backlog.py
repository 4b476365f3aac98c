"""What running workflows need of pools: compared once a second, so that no single task wakes a pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vapora.controller.ports import Clock
from vapora.core.agentpool.forecast import Forecast, Record, note_forecast
from vapora.core.agentpool.readings import Foreseen
from vapora.core.learning.assignment import PoolView, Request, can_do
from vapora.core.plan import Key
from vapora.core.views import PodView
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.demand import count_waiting, foresee, list_durations, sign_steps
from vapora.core.workflow.status import WorkflowStatus

EVERY = 1.0  # seconds
FIRST_READY_SECONDS = 30.0  # what a new agent takes to be ready, before one was seen to become so
_MOST_READY_SECONDS = 600.0
_WEIGHT = 0.2  # of the newest in the mean
_KIND = "AgentPool"


@dataclass(slots=True)
class _Coming:
    """Is how the agents of a pool become ready: those that are not yet, and what it takes them on the mean."""

    unready: set[str] = field(default_factory=set)
    seconds: float = FIRST_READY_SECONDS
    is_measured: bool = False


class Backlog:
    """Knows what each pool is waited for and will be needed for. `given` counts the tasks that a pool has been given.

    What was learned of durations and errors is lost with the process; until it is learned anew pools only react.
    """

    def __init__(
        self,
        pools: Callable[[str], Sequence[PoolView]],
        given: Callable[[str, str], int],
        enqueue: Callable[[Key], None],
        clock: Clock,
    ) -> None:
        self._pools = pools
        self._given = given
        self._enqueue = enqueue
        self._clock = clock
        self._runs: dict[Key, tuple[Definition, WorkflowStatus]] = {}
        self._signatures: dict[Key, tuple[Definition, tuple[str, ...]]] = {}
        self._durations: dict[str, float] = {}
        self._waiting: dict[Key, int] = {}
        self._predicting: set[Key] = set()
        self._coming: dict[Key, _Coming] = {}
        self._records: dict[Key, Record] = {}
        self._forecasts: dict[Key, Forecast] = {}

    def note_run(self, run: Key, definition: Definition, status: WorkflowStatus) -> None:
        """Keeps how far a run is; of one that has ended, how long its steps took."""
        if not status.phase.is_final:
            self._runs[run] = (definition, status)
        elif self._runs.pop(run, None) and self._predicting:
            names = self._sign(run, definition)
            for place, seconds in list_durations(definition, status):
                known = self._durations.get(names[place])
                self._durations[names[place]] = seconds if known is None else known + _WEIGHT * (seconds - known)

    def forget_run(self, run: Key) -> None:
        """Forgets a run that is gone or at rest."""
        self._runs.pop(run, None)
        self._signatures.pop(run, None)

    def look_at(self, pool: Key, pods: Iterable[PodView], *, is_predicting: bool) -> tuple[int, Forecast | None]:
        """Returns the tasks that wait for a pool, and what is foreseen; measures how its agents become ready."""
        if is_predicting:
            self._predicting.add(pool)
            self._measure(self._coming.setdefault(pool, _Coming()), pods, self._clock.now())
        elif pool in self._predicting:
            self.forget_pool(pool)
        return self._waiting.get(pool, 0), self._forecasts.get(pool)

    def forget_pool(self, pool: Key) -> None:
        """Forgets a pool that is gone, or that does not look ahead."""
        self._predicting.discard(pool)
        self._coming.pop(pool, None)
        self._records.pop(pool, None)
        self._forecasts.pop(pool, None)

    async def run(self) -> None:
        """Compares until it is cancelled."""
        while True:
            self.compare()
            await self._clock.sleep(EVERY)

    def compare(self) -> None:
        """Counts once; has those pools looked at for which something changed."""
        namespaces = {run.namespace for run in self._runs}
        waiting: dict[Key, int] = {}
        for namespace in namespaces:
            runs = [known for run, known in self._runs.items() if run.namespace == namespace]
            asked: Counter[Request] = Counter()
            for definition, status in runs:
                asked.update(count_waiting(definition, status))
            waiting.update(self._share(namespace, asked, is_divided=False) if asked else {})
        changed = {key for key in {*waiting, *self._waiting} if waiting.get(key) != self._waiting.get(key)}
        self._waiting = waiting
        for key in (*changed, *(pool for pool in list(self._predicting) if self._look_ahead(pool))):
            self._enqueue(key)

    def _share(self, namespace: str, asked: Counter[Request], *, is_divided: bool) -> dict[Key, int]:
        """Counts tasks by pool: what several could do counts for each of them, or for each a share of it."""
        found: Counter[Key] = Counter()
        pools = self._pools(namespace)
        for request, tasks in asked.items():
            able = [pool for pool in pools if can_do(request, pool)]
            part = -(-tasks // len(able)) if is_divided and able else tasks
            found.update({Key(_KIND, namespace, pool.name): part for pool in able})
        return dict(found)

    def _look_ahead(self, pool: Key) -> bool:
        """Makes a forecast and judges former ones; returns whether it differs from what is known."""
        now, within = self._clock.now(), self._coming[pool].seconds
        asked: Counter[Request] = Counter()
        for run, (definition, status) in self._runs.items():
            if run.namespace == pool.namespace:
                durations = self._expect(run, definition, status)
                asked.update(foresee(definition, status, durations, now, within))
        foreseen = Foreseen(self._share(pool.namespace, asked, is_divided=True).get(pool, 0), within)
        given = self._given(pool.namespace, pool.name)
        record = note_forecast(self._records.get(pool, Record()), foreseen, given, now)
        forecast = record.judge(foreseen)
        before, self._records[pool], self._forecasts[pool] = self._forecasts.get(pool), record, forecast
        return forecast != before

    def _expect(self, run: Key, definition: Definition, status: WorkflowStatus) -> list[float | None]:
        """Returns how long each step takes: what the run itself has shown counts more than what others have."""
        names = self._sign(run, definition)
        own = {names[place]: seconds for place, seconds in list_durations(definition, status)}
        return [own.get(name, self._durations.get(name)) for name in names]

    def _sign(self, run: Key, definition: Definition) -> tuple[str, ...]:
        known = self._signatures.get(run)
        if known is None or known[0] is not definition:
            known = self._signatures[run] = (definition, sign_steps(definition))
        return known[1]

    @staticmethod
    def _measure(coming: _Coming, pods: Iterable[PodView], now: datetime) -> None:
        views = {view.meta.key.name: view for view in pods}
        for name in [name for name in coming.unready if name in views and views[name].is_ready]:
            if (created := views[name].meta.created_at) is not None:
                took = min(max((now - created).total_seconds(), 1.0), _MOST_READY_SECONDS)
                coming.seconds = coming.seconds + _WEIGHT * (took - coming.seconds) if coming.is_measured else took
                coming.is_measured = True
        coming.unready = {name for name, view in views.items() if not view.is_ready and not view.is_finished}
