"""What is reserved for a task, which tier a pool works in, and what keeps a task waiting: the tables of the rule."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapora.api.agentpool import Budget
from vapora.core.budget.spending import (
    Asked,
    Claim,
    Denied,
    Spend,
    Spending,
    SpendUnknown,
    Tier,
    claim,
    find_tier,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
DOWN = SpendUnknown("the disk is full")


def weekly(cents: int, at_limit: str = "hold", **fields: object) -> Budget:
    return Budget.model_validate({"weeklyCents": cents, "atLimit": at_limit, **fields})


@dataclass(frozen=True)
class Case:
    budget: Budget | None
    spending: Spending
    asked: Asked
    want: tuple[object, ...] | str  # what is reserved, the task's budget, the tier; or why not


CASES = {
    "without limits nothing is reserved": Case(None, DOWN, Asked(dearest=5), (10, None, Tier.NORMAL)),
    "a budget without limits is none": Case(Budget(), DOWN, Asked(), (0, None, Tier.NORMAL)),
    "a step's limit is reserved whole": Case(weekly(100), Spend(), Asked(step=20), (20, 20, Tier.NORMAL)),
    "without history all that is left is reserved": Case(weekly(100), Spend(30), Asked(), (70, 70, Tier.NORMAL)),
    "while all is reserved nobody else starts": Case(
        weekly(100),
        Spend(30, 30, 70),
        Asked(),
        "has spent 30 of 100 cents this week, 70 more are reserved for tasks under way; "
        "it frees at 2026-11-30T00:00:00Z at the latest",
    ),
    "twice the dearest of its kind is reserved": Case(weekly(100), Spend(), Asked(dearest=7), (14, 14, Tier.NORMAL)),
    "of free tasks a cent is reserved": Case(weekly(100), Spend(), Asked(dearest=0), (1, 1, Tier.NORMAL)),
    "the last task gets what is left": Case(weekly(100), Spend(90), Asked(dearest=8), (10, 10, Tier.CHEAPER)),
    "what is less than the dearest starts nothing": Case(
        weekly(100),
        Spend(95),
        Asked(dearest=8),
        "has spent 95 of 100 cents this week, and the task may cost 8; it frees at 2026-11-30T00:00:00Z",
    ),
    "a step's limit may be more than is left where its like cost less": Case(
        weekly(100), Spend(60), Asked(step=50, dearest=10), (40, 40, Tier.NORMAL)
    ),
    "a step's limit that is more than is left waits where nothing is known": Case(
        weekly(100),
        Spend(60),
        Asked(step=50),
        "has spent 60 of 100 cents this week, and the task may cost 50; it frees at 2026-11-30T00:00:00Z",
    ),
    "just below 80 percent all is normal": Case(weekly(100), Spend(79), Asked(step=1), (1, 1, Tier.NORMAL)),
    "from 80 percent on the cheaper provider is used": Case(
        weekly(100), Spend(80), Asked(step=1), (1, 1, Tier.CHEAPER)
    ),
    "what is reserved counts for that too": Case(weekly(100), Spend(50, 50, 30), Asked(step=1), (1, 1, Tier.CHEAPER)),
    "alertAt moves it": Case(weekly(100, alertAt=0.5), Spend(50), Asked(step=1), (1, 1, Tier.CHEAPER)),
    "at the limit a pool holds": Case(
        weekly(100), Spend(100), Asked(step=1), "has spent 100 of 100 cents this week; it frees at 2026-11-30T00:00:00Z"
    ),
    "free tasks are held too": Case(
        weekly(100),
        Spend(100),
        Asked(dearest=0),
        "has spent 100 of 100 cents this week; it frees at 2026-11-30T00:00:00Z",
    ),
    "a month that is spent frees with the month": Case(
        Budget.model_validate({"weeklyCents": 100, "monthlyCents": 300}),
        Spend(10, 300),
        Asked(step=1),
        "has spent 300 of 300 cents this month; it frees at 2026-12-01T00:00:00Z",
    ),
    "of two limits that are spent the later one counts": Case(
        Budget.model_validate({"weeklyCents": 100, "monthlyCents": 300}),
        Spend(100, 300),
        Asked(step=1),
        "has spent 100 of 100 cents this week and has spent 300 of 300 cents this month; "
        "it frees at 2026-12-01T00:00:00Z",
    ),
    "the tighter of two limits is what is left": Case(
        Budget.model_validate({"weeklyCents": 100, "monthlyCents": 300}),
        Spend(10, 280),
        Asked(),
        (20, 20, Tier.CHEAPER),
    ),
    "over the limit with cheaper it goes on": Case(
        weekly(100, "cheaper"), Spend(200), Asked(dearest=5), (10, None, Tier.CHEAPER)
    ),
    "over the limit with allow it goes on as before": Case(
        weekly(100, "allow"), Spend(200), Asked(dearest=5), (10, None, Tier.NORMAL)
    ),
    "allow uses the cheaper provider until then": Case(
        weekly(100, "allow"), Spend(90), Asked(dearest=1), (2, None, Tier.CHEAPER)
    ),
    "what only alerts reserves nothing where nothing is known": Case(
        weekly(100, "allow"), Spend(), Asked(), (0, None, Tier.NORMAL)
    ),
    "an unknown spend holds": Case(
        weekly(100), DOWN, Asked(step=1), "holds, as its spend is unknown: the disk is full"
    ),
    "an unknown spend holds nothing with allow": Case(weekly(100, "allow"), DOWN, Asked(step=1), (1, 1, Tier.NORMAL)),
    "an unknown spend holds nothing with cheaper": Case(
        weekly(100, "cheaper"), DOWN, Asked(dearest=1), (2, None, Tier.NORMAL)
    ),
    "the workflow's limit cuts what is reserved": Case(
        None, DOWN, Asked(workflow=12, dearest=9), (12, 12, Tier.NORMAL)
    ),
    "without history the workflow's rest is reserved": Case(None, DOWN, Asked(workflow=12), (12, 12, Tier.NORMAL)),
    "the workflow's limit leaves too little": Case(
        None, DOWN, Asked(workflow=8, dearest=9), "may cost 9 cents a task, and the workflow's maxCostCents leaves 8"
    ),
    "a limit of nothing lets go what costs nothing": Case(
        None, DOWN, Asked(workflow=0, dearest=0), (0, 0, Tier.NORMAL)
    ),
    "a budget of nothing holds": Case(
        weekly(0), Spend(), Asked(dearest=0), "has spent 0 of 0 cents this week; it frees at 2026-11-30T00:00:00Z"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_claims(case: Case) -> None:
    found = claim(case.budget, case.spending, case.asked, NOW)
    said = found.words if isinstance(found, Denied) else (found.reserved, found.budget_cents, found.tier)
    assert said == case.want


@given(
    st.integers(0, 200),
    st.lists(st.tuples(st.none() | st.integers(0, 60), st.none() | st.integers(0, 60)), max_size=20),
)
def test_what_is_reserved_for_parallel_tasks_never_exceeds_the_budget(
    limit: int, tasks: list[tuple[int | None, int | None]]
) -> None:
    spend = Spend()
    for step, dearest in tasks:
        found = claim(weekly(limit), spend, Asked(step, None, dearest), NOW)
        if isinstance(found, Claim):
            assert found.budget_cents == found.reserved
            spend = Spend(0, 0, spend.reserved + found.reserved)
    assert spend.reserved <= limit


TIERS = {
    "a pool below its alert": (weekly(100), Spend(79, 79, 21), Tier.NORMAL),
    "a pool at its alert": (weekly(100), Spend(80), Tier.CHEAPER),
    "a pool at its limit": (weekly(100), Spend(100), Tier.HELD),
    "over a limit with cheaper": (weekly(100, "cheaper"), Spend(100), Tier.CHEAPER),
    "over a limit with allow": (weekly(100, "allow"), Spend(100), Tier.NORMAL),
    "a spend that is unknown": (weekly(100), DOWN, Tier.HELD),
    "a spend that is unknown, with allow": (weekly(100, "allow"), DOWN, Tier.NORMAL),
}


@pytest.mark.parametrize(("budget", "spending", "want"), TIERS.values(), ids=TIERS)
def test_the_tier_of_a_pool_is_of_what_it_has_spent(budget: Budget, spending: Spending, want: Tier) -> None:
    assert find_tier(budget, spending, NOW) is want
