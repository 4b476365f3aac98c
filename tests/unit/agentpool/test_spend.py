"""What a pool says of its spend and its budget."""

from dataclasses import replace

import pytest
from tests.unit.agentpool.pools import NOW, build_observed, carry_out

from vapora.core.agentpool.plan import plan_pool
from vapora.core.budget.spending import Spend, Spending, SpendUnknown
from vapora.core.plan import Manifest
from vapora.core.views import child, rows

BUDGET = {"weeklyCents": 100, "monthlyCents": 300}


def look(spending: Spending | None, former: Manifest | None = None, **fields: object) -> Manifest:
    observed = replace(build_observed(**{"budget": BUDGET, **fields}), spending=spending)
    status = plan_pool(replace(observed, status=former or {}), NOW).status
    assert status is not None
    return status


def say(status: Manifest) -> str:
    found = [row for row in rows(status, "conditions") if row["type"] == "WithinBudget"]
    return f"{found[0]['status']} {found[0]['reason']}: {found[0]['message']}" if found else ""


WORDS = {
    "within its budget": (
        Spend(10, 20, 5), {},
        "True WithinBudget: 10 of 100 cents are spent this week; 20 of 300 cents are spent this month",
    ),
    "near its limit": (
        Spend(85, 90), {},
        "True BudgetAlert: 85 of 100 cents are spent this week; 90 of 300 cents are spent this month; "
        "its tasks use the cheapest provider",
    ),
    "over the limit of the week": (
        Spend(101, 101), {},
        "False BudgetExhausted: 101 of 100 cents are spent this week; 101 of 300 cents are spent this month; "
        "its tasks wait for the next week",
    ),
    "over both limits": (
        Spend(101, 301), {},
        "False BudgetExhausted: 101 of 100 cents are spent this week; 301 of 300 cents are spent this month; "
        "its tasks wait for the next month",
    ),
    "over a limit that holds nothing": (
        Spend(101), {"budget": {"weeklyCents": 100, "atLimit": "allow"}},
        "False BudgetExhausted: 101 of 100 cents are spent this week; its tasks go on (atLimit allow)",
    ),
    "a spend that is unknown": (
        SpendUnknown("the disk is full"), {}, "Unknown BudgetUnknown: the disk is full; its tasks wait",
    ),
    "a spend that is unknown where nothing is held": (
        SpendUnknown("the disk is full"), {"budget": {"weeklyCents": 1, "atLimit": "cheaper"}},
        "Unknown BudgetUnknown: the disk is full; its tasks go on",
    ),
    "no budget": (Spend(5), {"budget": None}, ""),
}  # fmt: skip


@pytest.mark.parametrize(("spending", "fields", "want"), WORDS.values(), ids=WORDS)
def test_the_condition_says_how_far_the_budget_is_used(
    spending: Spending, fields: dict[str, object], want: str
) -> None:
    assert say(look(spending, **fields)) == want


def test_the_numbers_stand_in_the_status_with_when_they_last_changed() -> None:
    first = look(Spend(10, 20, 5))
    want = {"weekCents": 10, "monthCents": 20, "reservedCents": 5, "tier": "normal", "at": "2026-01-01T12:00:00Z"}
    assert first["spend"] == want
    early = {**want, "at": "2026-01-01T09:00:00Z"}
    assert look(Spend(10, 20, 5), {**first, "spend": early})["spend"] == early
    assert child(look(Spend(11, 21), {**first, "spend": early}), "spend")["at"] == "2026-01-01T12:00:00Z"


def test_a_pool_without_a_budget_that_spends_shows_it_and_one_that_costs_nothing_shows_nothing() -> None:
    spend = look(Spend(3, 4), budget=None)["spend"]
    assert spend == {"weekCents": 3, "monthCents": 4, "reservedCents": 0, "at": "2026-01-01T12:00:00Z"}
    assert "spend" not in look(Spend(), budget=None)


def test_what_was_said_stays_until_the_spend_is_counted_and_the_numbers_while_it_is_unknown() -> None:
    said = look(Spend(85, 90))
    again = look(None, said)
    assert (say(again), again["spend"]) == (say(said), said["spend"])
    assert look(SpendUnknown("it is down"), said)["spend"] == said["spend"]


def test_agents_get_the_keys_of_the_providers() -> None:
    secret = {"name": "keys", "key": "openai"}
    observed = build_observed(providers=[{"name": "open-ai", "secret": secret}, {"name": "local"}])
    [deployment] = [action.manifest for action in plan_pool(observed, NOW).actions if hasattr(action, "manifest")]
    env = child(deployment, "spec", "template", "spec")["containers"][0]["env"]
    found = {row["name"]: row.get("valueFrom") for row in env if row["name"].startswith("VAPORA_PROVIDER_")}
    assert found == {"VAPORA_PROVIDER_OPEN_AI_KEY": {"secretKeyRef": secret}}
    assert carry_out(observed, plan_pool(observed, NOW)).workload is not None
