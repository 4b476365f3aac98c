"""What a pool has spent and may still spend, and what is reserved of that for a task: the one place of these rules.

A task reserves what its step may still cost (`maxCostCents`). Where the step does not say, it reserves twice what the
dearest of the pool's latest tasks of its kind has cost, and where none is known, all that is left: so the first task
runs alone, and what it costs tells how many may run side by side. No task reserves more than is left. It starts as long
as the dearest of its kind, or without history the step's limit, could still be paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from vapora.api.agentpool import Budget
from vapora.api.reasons import Reason
from vapora.core.budget.windows import Window, find_month, find_week
from vapora.core.conditions import timestamp

_SAFETY = 2  # by which a task may be dearer than all of its kind were


@dataclass(frozen=True, slots=True)
class Spend:
    """Is what a pool's tasks have cost in the present windows, and what is reserved for those under way, in cents."""

    week: int = 0
    month: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class SpendUnknown:
    """Says why it is not known what a pool has spent. It is not nothing."""

    reason: str


Spending = Spend | SpendUnknown


class Tier(StrEnum):
    """Says how a pool works for its spend: as it likes, with its cheaper provider, or not at all."""

    NORMAL = "normal"
    CHEAPER = "cheaper"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Use:
    """Is how much of one limit is used."""

    window: Window
    limit: int
    spent: int
    reserved: int

    @property
    def rest(self) -> int:
        """Is what is neither spent nor reserved; below 0 once it is overspent."""
        return self.limit - self.spent - self.reserved

    @property
    def share(self) -> float:
        """Is the share that is spent or reserved; of a limit of 0 all."""
        return (self.spent + self.reserved) / self.limit if self.limit else 1.0

    def describe(self) -> str:
        """Says how far it is used, as what follows the pool's name."""
        reserved = f", {self.reserved} more are reserved for tasks under way" if self.reserved else ""
        return f"has spent {self.spent} of {self.limit} cents this {self.window.word}{reserved}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Is what is known of a task's cost before it is given: `dearest` is what the dearest of its kind has cost lately.

    `step` and `workflow` are what their own limits leave, None where they have none.
    """

    step: int | None = None
    workflow: int | None = None
    dearest: int | None = None

    @property
    def wanted(self) -> int | None:
        """Is what it reserves at most; None for all that there is."""
        if self.step is not None or self.dearest is None:
            return self.step
        return max(self.dearest * _SAFETY, 1)

    @property
    def least(self) -> int:
        """Is what must be left for it to start."""
        if self.dearest is None:
            return 1 if self.step is None else self.step
        return self.dearest if self.step is None else min(self.dearest, self.step)


@dataclass(frozen=True, slots=True)
class Claim:
    """Is what a task gets: `reserved` cents, and as `budget_cents` what it may cost where that is limited.

    `tier` says which provider it uses, `why` what that follows from.
    """

    reserved: int = 0
    budget_cents: int | None = None
    tier: Tier = Tier.NORMAL
    why: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """Says why a pool may not be given a task now, as what follows its name, and when time alone changes that."""

    reason: Reason
    words: str
    frees_at: datetime | None = None


def is_limited(budget: Budget | None) -> bool:
    """Returns whether a budget limits anything."""
    return budget is not None and (budget.weekly_cents is not None or budget.monthly_cents is not None)


def list_uses(budget: Budget, spend: Spend, now: datetime) -> tuple[Use, ...]:
    """Returns how far each limit of a budget is used."""
    week, month = (budget.weekly_cents, spend.week, find_week), (budget.monthly_cents, spend.month, find_month)
    found = ((limit, spent, find) for limit, spent, find in (week, month) if limit is not None)
    return tuple(Use(find(now), limit, spent, spend.reserved) for limit, spent, find in found)


def find_tier(budget: Budget, spending: Spending, now: datetime) -> Tier:
    """Returns how a pool works for what it has spent."""
    if isinstance(spending, SpendUnknown):
        return Tier.HELD if budget.at_limit == "hold" else Tier.NORMAL
    settled = Spend(spending.week, spending.month)
    if budget.at_limit == "hold" and any(use.rest <= 0 for use in list_uses(budget, settled, now)):
        return Tier.HELD
    return _find_provider_tier(budget, list_uses(budget, settled, now))


def claim(budget: Budget | None, spending: Spending, asked: Asked, now: datetime) -> Claim | Denied:
    """Decides what is reserved for a task of a pool, or why it may not have it now."""
    if asked.workflow is not None and asked.workflow < asked.least:
        words = f"may cost {asked.least} cents a task, and the workflow's maxCostCents leaves {max(asked.workflow, 0)}"
        return Denied(Reason.CostLimitReached, words)
    if budget is None or not is_limited(budget):
        return _grant(asked, None)
    if isinstance(spending, SpendUnknown):
        words = f"holds, as its spend is unknown: {spending.reason}"
        return Denied(Reason.BudgetUnknown, words) if budget.at_limit == "hold" else _grant(asked, None)
    uses = list_uses(budget, spending, now)
    is_hard = budget.at_limit == "hold"
    if is_hard and (lacking := [use for use in uses if use.rest <= 0 or use.rest < asked.least]):
        return _deny(lacking, asked)
    rest = min(use.rest for use in uses) if is_hard else None
    return _grant(asked, rest, _find_provider_tier(budget, uses), uses)


def _find_provider_tier(budget: Budget, uses: Sequence[Use]) -> Tier:
    if budget.at_limit == "allow" and any(use.rest <= 0 for use in uses):
        return Tier.NORMAL  # a limit that is only there to be told of has no say beyond it
    return Tier.CHEAPER if any(use.share >= budget.alert_at for use in uses) else Tier.NORMAL


def _grant(asked: Asked, rest: int | None, tier: Tier = Tier.NORMAL, uses: Sequence[Use] = ()) -> Claim:
    limits = [left for left in (asked.workflow, rest) if left is not None]
    wanted = [asked.wanted] if asked.wanted is not None else []
    reserved = max(min((*limits, *wanted), default=0), 0)
    is_hard = bool(limits) or asked.step is not None
    why = max(uses, key=lambda use: use.share).describe() if uses and tier is Tier.CHEAPER else ""
    return Claim(reserved, reserved if is_hard else None, tier, why)


def _deny(lacking: Sequence[Use], asked: Asked) -> Denied:
    frees_at = max(use.window.end for use in lacking)
    needs = f", and the task may cost {asked.least}" if all(use.rest > 0 for use in lacking) else ""
    used = " and ".join(use.describe() for use in lacking)
    early = " at the latest" if all(use.spent + max(asked.least, 1) <= use.limit for use in lacking) else ""
    return Denied(Reason.BudgetExhausted, f"{used}{needs}; it frees at {timestamp(frees_at)}{early}", frees_at)
