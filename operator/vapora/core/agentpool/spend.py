"""What the status of a pool says of its spend and its budget."""

from __future__ import annotations

from datetime import datetime

from vapora.api.agentpool import AgentPoolSpec, Budget
from vapora.api.reasons import Reason
from vapora.core.agentpool.observed import Observed
from vapora.core.budget.spending import Spend, SpendUnknown, Tier, find_tier, is_limited, list_uses
from vapora.core.conditions import Condition, timestamp
from vapora.core.views import child, rows

_AT_LIMIT = {
    "hold": "its tasks wait for the next {words}",
    "cheaper": "its tasks use the cheapest provider",
    "allow": "its tasks go on (atLimit allow)",
}


def build_spend(observed: Observed, spec: AgentPoolSpec, now: datetime) -> dict[str, object]:
    """Builds `status.spend`; while the spend is not known, what was known stays. A pool that costs nothing has none."""
    former, spending = child(observed.status, "spend"), observed.spending
    if spending is None or isinstance(spending, SpendUnknown):
        return dict(former)
    limited = _find_limited(spec)
    if not former and limited is None and spending == Spend():
        return {}
    said: dict[str, object] = {
        "weekCents": spending.week,
        "monthCents": spending.month,
        "reservedCents": spending.reserved,
        **({"tier": str(find_tier(limited, spending, now))} if limited is not None else {}),
    }
    is_same = said == {name: value for name, value in former.items() if name != "at"}
    return {**said, "at": former["at"] if is_same and "at" in former else timestamp(now)}


def describe_budget(observed: Observed, spec: AgentPoolSpec, now: datetime) -> tuple[Condition, ...]:
    """Says whether a pool with a budget is within it; before its spend was counted what was said before stays."""
    budget, spending = _find_limited(spec), observed.spending
    if budget is None:
        return ()
    if spending is None:
        former = [row for row in rows(observed.status, "conditions") if row.get("type") == "WithinBudget"]
        return tuple(
            Condition("WithinBudget", str(row.get("status")), str(row.get("reason")), str(row.get("message", "")))
            for row in former
        )
    if isinstance(spending, SpendUnknown):
        then = "its tasks wait" if budget.at_limit == "hold" else "its tasks go on"
        return (Condition("WithinBudget", "Unknown", Reason.BudgetUnknown, f"{spending.reason}; {then}"),)
    return (_judge(budget, Spend(spending.week, spending.month), now),)


def _judge(budget: Budget, settled: Spend, now: datetime) -> Condition:
    uses = list_uses(budget, settled, now)
    words = "; ".join(f"{use.spent} of {use.limit} cents are spent this {use.window.word}" for use in uses)
    if over := [use for use in uses if use.rest <= 0]:
        last = max(over, key=lambda use: use.window.end)
        then = _AT_LIMIT[budget.at_limit].format(words=last.window.word)
        return Condition("WithinBudget", "False", Reason.BudgetExhausted, f"{words}; {then}")
    if find_tier(budget, settled, now) is Tier.CHEAPER:
        return Condition("WithinBudget", "True", Reason.BudgetAlert, f"{words}; its tasks use the cheapest provider")
    return Condition("WithinBudget", "True", Reason.WithinBudget, words)


def _find_limited(spec: AgentPoolSpec) -> Budget | None:
    return spec.budget if is_limited(spec.budget) else None
