"""What pools have spent and what is reserved of their budgets: read from the graph and the statuses of runs.

Nothing of it is kept here alone. What tasks have cost stands in the knowledge graph, or waits to be recorded there;
what is reserved for tasks under way stands in the statuses of their workflows, from which it is taken at the start.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vapora.api.agentpool import Budget
from vapora.controller.ports import Clock, KnowledgeGraph, Meter
from vapora.controller.store import Store
from vapora.core.budget.spending import Spend, Spending, SpendUnknown, find_tier, is_limited, list_uses
from vapora.core.budget.windows import Window, find_month, find_week
from vapora.core.learning.assignment import PoolView
from vapora.core.learning.execution import Execution, GraphUnavailable
from vapora.core.plan import Key
from vapora.core.views import child, project_meta, text
from vapora.core.workflow.children import FINAL
from vapora.core.workflow.observed import Observed, WorkflowPlan
from vapora.core.workflow.purse import count_reserved, read_reserved
from vapora.core.workflow.summary import is_recorded

log = logging.getLogger(__name__)

TICK = 0.25  # seconds
_NUMBERS_AT_ONCE = 2  # pools a tick whose status is to show other numbers, where they decide nothing
_READS_AT_ONCE = 50  # pools a tick
_READ_SECONDS = 30.0
_RETRY_SECONDS = 5.0
# Seconds after which an account is read again: where tasks have cost something since, and where nothing happened.
_LIMITED_EVERY, _FREE_EVERY, _PROBE_EVERY = 5.0, 60.0, 60.0
_SCAN_EVERY = 1.0
_POOL, _RUN = "AgentPool", "Workflow"
_NO_GRAPH = SpendUnknown("the operator has no knowledge graph that would tell (VAPORA_GRAPH_URL)")
_UNCOUNTED = SpendUnknown("it is being counted")


@dataclass(slots=True)
class _Row:
    """Is what a task cost that the sums of an account may lack."""

    finished: datetime
    cents: int
    is_durable: bool


@dataclass(slots=True)
class _Account:
    """Is a pool's: the sums that were read, for the windows that begin at `starts`, and what came since."""

    budget: Budget | None = None
    starts: tuple[datetime, ...] = ()
    sums: tuple[int, int] = (0, 0)
    read_at: float | None = None
    rows: dict[str, _Row] = field(default_factory=dict)
    shown: tuple[object, ...] = ()
    ratios: Mapping[str, float] = field(default_factory=dict)

    def add_up(self, windows: tuple[Window, Window], reserved: int) -> Spend:
        """Returns the spend in the present windows; what was read for former ones says nothing of them."""
        starts = [window.start for window in windows]
        found = [
            (self.sums[place] if self.starts and self.starts[place] == start else 0)
            + sum(row.cents for row in self.rows.values() if row.finished >= start)
            for place, start in enumerate(starts)
        ]
        return Spend(found[0], found[1], reserved)

    def is_due(self, monotonic: float) -> bool:
        """Returns whether it should be read."""
        if self.read_at is None:
            return True
        age, limited = monotonic - self.read_at, is_limited(self.budget)
        if any(row.is_durable for row in self.rows.values()):
            return age >= (_LIMITED_EVERY if limited else _FREE_EVERY)
        return limited and age >= _PROBE_EVERY


class Ledger:
    """Keeps accounts. `problem` says why the graph is not to be trusted now, `enqueue` has a pool looked at.

    `wake_held` is told a namespace in which money may have become free.
    """

    def __init__(
        self,
        graph: KnowledgeGraph | None,
        store: Store,
        clock: Clock,
        meter: Meter,
        *,
        problem: Callable[[], str | None],
        enqueue: Callable[[Key], None],
        wake_held: Callable[[str], None],
    ) -> None:
        self._graph, self._store, self._clock, self._meter = graph, store, clock, meter
        self._recording_problem, self._enqueue, self._wake_held = problem, enqueue, wake_held
        self._accounts: dict[str, _Account] = {}
        self._changed: dict[str, None] = {}  # accounts with something new to read or show, those of before first
        self._scan_at = 0.0
        self._by_run: dict[Key, Counter[str]] = {}
        self._reserved: Counter[str] = Counter()
        self._unseen: set[Key] = set()  # runs of which an earlier process may have left costs unrecorded
        self._stirred: set[str] = set()
        self._problem: str | None = None
        self._last: tuple[object, ...] = ()
        self._windows = find_week(clock.now()), find_month(clock.now())
        self._retry_at = 0.0

    def begin(self) -> None:
        """Begins a term as leader: takes from the workflows what is reserved; sums are read anew."""
        self._accounts.clear()
        self._changed.clear()
        self._by_run.clear()
        self._reserved.clear()
        self._problem = None
        self._unseen = set()
        for obj in self._store.objects(_RUN):
            key, status = project_meta(obj, _RUN).key, child(obj, "status")
            self._put(key, read_reserved(status))
            if text(status, "phase") not in FINAL or not is_recorded(status):
                self._unseen.add(key)

    def seen(self, run: Key) -> None:
        """Notes that a run was looked at in this term, and so what it had left unrecorded is known here."""
        if run in self._unseen:
            self._unseen.discard(run)
            if not self._unseen:
                self._stir_all()

    def view(self, pools: Sequence[PoolView], without: Key) -> dict[str, Spending]:
        """Returns the spend of pools that have a budget, by their names, less what one run itself has reserved."""
        own = self._by_run.get(without, Counter())
        limited = [pool for pool in pools if is_limited(pool.budget)]
        return {pool.name: self._find(pool.identity, own[pool.identity]) for pool in limited}

    def book(self, observed: Observed, decided: WorkflowPlan) -> bool:
        """Takes what a plan reserves and what its tasks have cost; False where that rests on numbers of before."""
        run, namespace = observed.workflow, observed.identity.namespace
        wanted = Counter(
            {f"{namespace}/{name}": n for name, n in count_reserved(decided.status.steps.values()).items()}
        )
        own = self._by_run.get(run, Counter())
        more = [pool for pool in observed.pools if wanted[pool.identity] > own[pool.identity]]
        now = self.view(more, run)
        if any(observed.spending.get(name) != spending for name, spending in now.items()):
            return False
        self._put(run, wanted)
        for execution in decided.executions:
            self._add(execution, is_durable=False)
        return True

    def forget(self, run: Key) -> None:
        """Lets go of what a run has reserved that is gone or at rest."""
        self._put(run, Counter())

    def note_kept(self, executions: Sequence[Execution]) -> None:
        """Takes what has become durable in the graph."""
        for execution in executions:
            self._add(execution, is_durable=True)

    def look(self, pool: Key, budget: Budget | None) -> Spending | None:
        """Returns the spend of a pool, as its status is to show it; None before it is counted."""
        name = f"{pool.namespace}/{pool.name}"
        account = self._open(name)
        if account.budget != budget:
            account.budget = budget
            self._changed[name] = None
            self._stirred.add(pool.namespace)
        found = self._find(name)
        return None if found is _UNCOUNTED else found

    def forget_pool(self, pool: Key) -> None:
        """Forgets a pool that is gone; the graph keeps what it has spent."""
        self._accounts.pop(f"{pool.namespace}/{pool.name}", None)

    async def run(self) -> None:
        """Reads and tells until it is cancelled."""
        while True:
            if self._graph is not None:
                await self._read_due(self._graph)
            self._tell()
            await self._clock.sleep(TICK)

    def _find(self, pool: str, own: int = 0) -> Spending:
        if self._graph is None:
            return _NO_GRAPH
        account = self._open(pool)
        if (problem := self._find_problem()) is not None:
            return SpendUnknown(problem)
        if account.read_at is None or self._unseen:
            return _UNCOUNTED
        return account.add_up(self._list_windows(), self._reserved[pool] - own)

    def _open(self, pool: str) -> _Account:
        if pool not in self._accounts:
            self._accounts[pool] = _Account()
            self._changed[pool] = None
        return self._accounts[pool]

    def _stir_all(self) -> None:
        self._stirred |= {name.partition("/")[0] for name in self._accounts}
        self._changed |= dict.fromkeys(self._accounts)

    def _find_problem(self) -> str | None:
        return self._recording_problem() or self._problem

    def _list_windows(self) -> tuple[Window, Window]:
        now = self._clock.now()
        if not all(window.start <= now < window.end for window in self._windows):
            self._windows = find_week(now), find_month(now)
        return self._windows

    def _put(self, run: Key, wanted: Mapping[str, int]) -> None:
        before = self._by_run.pop(run, Counter())
        if before == wanted:
            if before:
                self._by_run[run] = before
            return
        self._reserved.subtract(before)
        self._reserved.update(wanted)
        self._changed |= dict.fromkeys([*before, *wanted])
        if any(wanted.values()):
            self._by_run[run] = Counter(wanted)
        self._stirred.add(run.namespace)

    def _add(self, execution: Execution, *, is_durable: bool) -> None:
        if not execution.pool or not execution.cost_cents:
            return
        self._changed[execution.pool] = None
        self._open(execution.pool).rows[execution.id] = _Row(execution.finished, execution.cost_cents, is_durable)
        if not is_durable:
            self._stirred.add(execution.namespace)

    async def _read_due(self, graph: KnowledgeGraph) -> None:
        monotonic = self._clock.monotonic()
        if monotonic < self._retry_at:
            return
        names = [name for name in self._changed if name in self._accounts]
        if monotonic >= self._scan_at:
            names, self._scan_at = list(self._accounts), monotonic + _SCAN_EVERY
        due = [(name, account) for name in names if (account := self._accounts[name]).is_due(monotonic)]
        if not due:
            return
        due.sort(key=lambda pair: (not is_limited(pair[1].budget), pair[1].read_at or 0.0))
        try:
            async with asyncio.timeout(_READ_SECONDS):
                for name, account in due[:_READS_AT_ONCE]:
                    await self._read(graph, name, account)
            self._problem = None
        except (GraphUnavailable, TimeoutError) as problem:
            self._problem = str(problem) or "the knowledge graph does not answer"
            self._retry_at = monotonic + _RETRY_SECONDS

    async def _read(self, graph: KnowledgeGraph, name: str, account: _Account) -> None:
        """Reads the sums; what was durable before that is part of them now."""
        included = [(row_id, row) for row_id, row in account.rows.items() if row.is_durable]
        windows = self._list_windows()
        week, month = [await graph.sum_spend(name, window.start) for window in windows]
        account.starts, account.sums = tuple(window.start for window in windows), (week, month)
        if account.read_at is None:
            self._stirred.add(name.partition("/")[0])
        account.read_at = self._clock.monotonic()
        self._changed[name] = None
        for row_id, row in included:
            if account.rows.get(row_id) is row:
                del account.rows[row_id]

    def _tell(self) -> None:
        """Has pools looked at that have something new to show, and wakes who waits for money."""
        if (turn := (self._find_problem(), self._list_windows())) != self._last:
            self._last = turn
            self._stir_all()
        if self._changed:
            self._show()
        stirred, self._stirred = self._stirred, set()
        for namespace in stirred:
            self._wake_held(namespace)

    def _show(self) -> None:
        """Has those pools looked at of which something changed: at once where that means something, else a few."""
        places, later = _NUMBERS_AT_ONCE, dict[str, None]()
        for name in [name for name in self._changed if name in self._accounts]:
            account, spending = self._accounts[name], self._find(name)
            if spending is _UNCOUNTED:
                continue
            shown = self._summarize(account, spending)
            if shown == account.shown or (account.budget is None and spending == Spend()):
                continue
            is_news = shown[:1] != account.shown[:1]
            if not is_news and not places:
                later[name] = None
                continue
            places -= not is_news
            account.shown = shown
            self._enqueue(Key(_POOL, *name.split("/", 1)))
        self._changed = later
        for word in ("week", "month"):
            ratios = [account.ratios[word] for account in self._accounts.values() if word in account.ratios]
            if ratios:
                self._meter.budget_spent(word, max(ratios))

    def _summarize(self, account: _Account, spending: Spending) -> tuple[object, ...]:
        """Returns what a pool has to show, the turning point of its condition first; keeps how far it is."""
        account.ratios = {}
        if account.budget is None or not is_limited(account.budget):
            return None, spending
        if isinstance(spending, SpendUnknown):
            return spending.reason, spending
        now = self._clock.now()
        uses = list_uses(account.budget, spending, now)
        account.ratios = {use.window.word: use.spent / use.limit if use.limit else 1.0 for use in uses}
        return str(find_tier(account.budget, spending, now)), spending
