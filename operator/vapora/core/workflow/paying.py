"""What a task may cost: the limits of its step, its workflow and the pools that could have it, brought together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vapora.api.reasons import Reason
from vapora.api.stepbodies import AgentBody
from vapora.core.budget.grant import Grant
from vapora.core.budget.providers import TYPICAL_TOKENS, choose_provider
from vapora.core.budget.spending import Asked, Claim, Denied, Spend, Spending, SpendUnknown, claim, is_limited
from vapora.core.learning.assignment import PoolView, Request, can_do
from vapora.core.learning.profile import TaskTypeExpertise
from vapora.core.workflow.detection import NotYet
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.status import Unit

_NO_GRAPH = SpendUnknown("the operator has no knowledge graph that would tell (VAPORA_GRAPH_URL)")


def find_overspent(body: AgentBody, trying: Unit) -> Failure | None:
    """Returns why a step may not be tried again: its tries have cost what it may cost."""
    limit, cost = body.max_cost_cents, trying.cost_cents
    if limit is None or cost < max(limit, 1):
        return None
    return Failure(str(Reason.CostLimitReached), f"its tries have cost {cost} cents; maxCostCents is {limit}")


def claim_of_pools(draft: Draft, request: Request, body: AgentBody, trying: Unit) -> Mapping[str, Claim | Denied]:
    """Decides what a task would get, by the name of each pool that can do it; of none where nothing is limited."""
    step = None if body.max_cost_cents is None else body.max_cost_cents - trying.cost_cents
    limit, purse = draft.whole.spec.max_cost_cents, draft.purse
    workflow = None if limit is None or purse is None else limit - purse.cost - purse.reserved.total()
    is_free = step is None and workflow is None
    able = [pool for pool in draft.observed.pools if (is_limited(pool.budget) or not is_free) and can_do(request, pool)]
    claims: dict[str, Claim | Denied] = {}
    for pool in able:
        asked = Asked(step, workflow, _find_dearest(draft, pool, request.task_type))
        claims[pool.name] = claim(pool.budget, _find_spending(draft, pool), asked, draft.now)
    return claims


def hinder(pools: Sequence[PoolView], claims: Mapping[str, Claim | Denied]) -> Sequence[PoolView]:
    """Returns the pools with what keeps some of them from the task."""
    if not any(isinstance(found, Denied) for found in claims.values()):
        return pools
    words = {name: found.words for name, found in claims.items() if isinstance(found, Denied)}
    return [replace(pool, budget_problem=words[pool.name]) if pool.name in words else pool for pool in pools]


def explain_denial(draft: Draft, claims: Mapping[str, Claim | Denied], why: str) -> NotYet | Failure | None:
    """Returns why a task gets no pool where money is the reason, and looks again when time frees some.

    The workflow's own limit ends the step once nothing under way can turn out cheaper: only a person can raise it.
    """
    denied = {found.reason: found for found in claims.values() if isinstance(found, Denied)}
    for frees_at in (found.frees_at for found in claims.values() if isinstance(found, Denied)):
        draft.wake_at(frees_at)
    for reason in (Reason.BudgetExhausted, Reason.BudgetUnknown):
        if reason in denied:
            return NotYet(str(reason), why)
    if Reason.CostLimitReached not in denied:
        return None
    is_final = draft.purse is None or not draft.purse.reserved.total()
    reached = str(Reason.CostLimitReached)
    return Failure(reached, why) if is_final else NotYet(reached, why)


def grant(draft: Draft, request: Request, pool: PoolView, found: Claim | Denied | None) -> Grant | None:
    """Returns what a task is given in a pool; None where nothing is limited and there is no provider to choose."""
    claimed = found if isinstance(found, Claim) else Claim()
    known = _find_expertise(draft, pool.name, request.task_type)
    tokens = known.tokens if known is not None and known.tokens else TYPICAL_TOKENS
    chosen = choose_provider(pool.providers, claimed.tier, claimed.why, tokens)
    if chosen is None:
        given = Grant(claimed.reserved, claimed.budget_cents)
    else:
        given = Grant(claimed.reserved, claimed.budget_cents, chosen.name, chosen.model, chosen.reason)
    return None if given == Grant() else given


def _find_spending(draft: Draft, pool: PoolView) -> Spending:
    """Returns the spend of a pool with what this run has reserved and, in this plan, paid."""
    known, purse = draft.observed.spending.get(pool.name, _NO_GRAPH), draft.purse
    if isinstance(known, SpendUnknown) or purse is None:
        return known
    paid = purse.paid[pool.name]
    return Spend(known.week + paid, known.month + paid, known.reserved + purse.reserved[pool.name])


def _find_dearest(draft: Draft, pool: PoolView, task_type: str) -> int | None:
    """Returns what the dearest of a pool's latest tasks of a type, else of all, has cost; None where none is known."""
    learned = draft.observed.learned
    if learned is None:
        return None
    known = _find_expertise(draft, pool.name, task_type)
    if known is None:
        draft.lacks.add((pool.name, task_type))
        return None
    of_all = learned.profiles[pool.name].dearest_cents
    return of_all if known.dearest_cents is None else known.dearest_cents


def _find_expertise(draft: Draft, pool: str, task_type: str) -> TaskTypeExpertise | None:
    learned = draft.observed.learned
    profile = learned.profiles.get(pool) if learned is not None else None
    return profile.expertise.get(task_type) if profile is not None else None
