"""What runs and pools have to do with each other: who waits for whom, who was given what, what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vapora.api.reasons import Reason
from vapora.controller.backlog import Backlog
from vapora.controller.learning import Learning
from vapora.controller.ledger import Ledger
from vapora.controller.pools import Outstanding
from vapora.controller.runs import Run
from vapora.core.budget.spending import Spending
from vapora.core.learning.assignment import PoolView
from vapora.core.learning.execution import Execution
from vapora.core.learning.profile import Learned
from vapora.core.plan import Key
from vapora.core.supported import SpecProblem
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.demand import needs_pools
from vapora.core.workflow.observed import Observed, WorkflowPlan

_WOKEN_AT_ONCE = 50  # runs that wait for money: where the first find none, the others would not either
_FOR_MONEY = frozenset({Reason.BudgetExhausted, Reason.BudgetUnknown, Reason.CostLimitReached})


@dataclass(frozen=True, slots=True)
class Offer:
    """Is what a run can have of pools: who they are, what they have proven, what they have spent."""

    pools: Sequence[PoolView] = ()
    learned: Learned | None = None
    spending: Mapping[str, Spending] = field(default_factory=dict)


class Assigning:
    """Shows pools to runs, and keeps what runs do with them. `pools` are those of a namespace as they are now."""

    def __init__(
        self,
        pools: Callable[[str], Sequence[PoolView]],
        outstanding: Outstanding,
        learning: Learning | None,
        backlog: Backlog,
        ledger: Ledger,
    ) -> None:
        self._pools, self._outstanding, self._learning = pools, outstanding, learning
        self._backlog, self._ledger = backlog, ledger
        self._waiting_for_pool: set[Key] = set()
        self._waiting_for_money: dict[Key, None] = {}  # in the order in which they are woken

    def look(self, run: Key, definition: Definition | SpecProblem) -> Offer:
        """Returns what there is for a run now."""
        learned = self._learning.view(run.namespace) if self._learning else None
        if not needs_pools(definition):
            return Offer(learned=learned)
        pools = self._pools(run.namespace)
        return Offer(pools, learned, self._ledger.view(pools, run))

    async def look_up(self, namespace: str, wanted: Iterable[tuple[str, str]]) -> Learned | None:
        """Returns what is known once what is wanted was read, or a moment has passed."""
        return await self._learning.look_up(namespace, wanted) if self._learning else None

    def book(self, observed: Observed, decided: WorkflowPlan) -> Observed | None:
        """Books what a plan reserves and pays; returns what to plan anew with where others were faster."""
        if not observed.pools or self._ledger.book(observed, decided):
            return None
        return replace(observed, spending=self._ledger.view(observed.pools, observed.workflow))

    def note(self, key: Key, run: Run) -> None:
        """Keeps what a run has given to pools and what it waits for."""
        if isinstance(run.definition, SpecProblem) or not needs_pools(run.definition):
            return
        self._outstanding.note(key, run.status)
        self._backlog.note_run(key, run.definition, run.status)
        units = [step.unit for step in run.status.steps.values()] if not run.status.phase.is_final else []
        waits = bool(units) and bool(run.frontier.retrying)  # for a place or for a pool
        waits |= any(unit.reason == "NoMatchingPool" for unit in units)
        (self._waiting_for_pool.add if waits else self._waiting_for_pool.discard)(key)
        if waits or any(unit.reason in _FOR_MONEY and not unit.state.is_final for unit in units):
            self._waiting_for_money.setdefault(key)
        else:
            self._waiting_for_money.pop(key, None)

    def forget(self, key: Key) -> None:
        """Forgets a run that is gone or at rest."""
        self._waiting_for_pool.discard(key)
        self._waiting_for_money.pop(key, None)
        self._outstanding.note(key, None)
        self._backlog.forget_run(key)
        self._ledger.forget(key)

    def has_seen(self, key: Key) -> bool:
        """Returns whether it is known what a run had left unrecorded when this term began."""
        return self._ledger.has_seen(key)

    def see(self, key: Key, left: Iterable[Execution]) -> None:
        """Takes what a run has cost that an earlier process may not have recorded."""
        self._ledger.see(key, left)

    def list_waiting(self, namespace: str) -> list[Key]:
        """Returns the runs of a namespace that wait for a pool, for whatever reason."""
        return [key for key in {*self._waiting_for_pool, *self._waiting_for_money} if key.namespace == namespace]

    def take_held(self, namespace: str) -> list[Key]:
        """Returns some of the runs of a namespace that wait for money; others come first the next time."""
        found = [key for key in self._waiting_for_money if key.namespace == namespace][:_WOKEN_AT_ONCE]
        for key in found:
            self._waiting_for_money[key] = self._waiting_for_money.pop(key)
        return found
