"""Choosing the pool of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vapora.api.stepbodies import AgentBody
from vapora.core.budget.spending import Denied
from vapora.core.learning.assignment import Asking, NoPool, Request, assign
from vapora.core.learning.execution import execution_id
from vapora.core.learning.task_types import infer_task_type
from vapora.core.naming import NO_ITEM
from vapora.core.workflow.definition import StepDefinition
from vapora.core.workflow.detection import NotYet
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.paying import claim_of_pools, explain_denial, find_overspent, grant, hinder
from vapora.core.workflow.status import Unit


def choose_pool(draft: Draft, place: Place, body: AgentBody, trying: Unit) -> Unit | NotYet | Failure:
    """Returns the try with its pool, why that one and what it is given, or why there is none, or none yet."""
    step, item = draft.step(place[0]), place[1]
    if (overspent := find_overspent(body, trying)) is not None:
        return overspent
    request = _build_request(step, body, body.pool)
    identity = draft.observed.identity
    asking = Asking(
        key=execution_id(identity.uid, step.name, None if item == NO_ITEM else item, trying.tries),
        is_critical=step.spec.critical,
        authors=_find_authors(draft, step.rivals),
    )
    observed, claims = draft.observed, claim_of_pools(draft, request, body, trying)
    pools = hinder(observed.pools, claims)
    choice = assign(request, pools, draft.assigned, learned=observed.learned, asking=asking)
    if isinstance(choice, NoPool):
        return explain_denial(draft, claims, choice.reason) or NotYet("NoMatchingPool", choice.reason)
    draft.lacks.update((name, request.task_type) for name in choice.lacks)
    draft.assigned[choice.pool] = draft.assigned.get(choice.pool, 0) + 1
    draft.choices.append(choice)
    given = grant(draft, request, next(pool for pool in pools if pool.name == choice.pool), claims.get(choice.pool))
    return replace(trying, pool=choice.pool, choice=replace(choice, lacks=()), grant=given, task_type=request.task_type)


def grant_anew(draft: Draft, place: Place, body: AgentBody, trying: Unit) -> Unit | NotYet | Failure:
    """Returns a try whose effect is open with what it is given once more, or why that cannot be; its pool stays."""
    if (overspent := find_overspent(body, trying)) is not None:
        return overspent
    request = _build_request(draft.step(place[0]), body, trying.pool)
    claims = claim_of_pools(draft, request, body, trying)
    found = claims.get(trying.pool)
    if isinstance(found, Denied):
        return explain_denial(draft, claims, f"pool {trying.pool} {found.words}") or trying
    pool = next((pool for pool in draft.observed.pools if pool.name == trying.pool), None)
    return trying if pool is None else replace(trying, grant=grant(draft, request, pool, found))


def _build_request(step: StepDefinition, body: AgentBody, pool: str | None) -> Request:
    return Request(
        role=body.role,
        pool=pool,
        capabilities=frozenset(body.capabilities),
        task_type=body.task_type or infer_task_type(body.title or step.name, body.description or ""),
    )


def remember_pool(draft: Draft, place: Place, pool: str) -> None:
    """Keeps which pools the items of a step are given to, where another step must not be done by one of them."""
    status = draft.status(place[0])
    if draft.step(place[0]).rivals and (items := status.items) is not None and pool not in items.pools:
        draft.set_status(place[0], replace(status, items=replace(items, pools=tuple(sorted({*items.pools, pool})))))


def _find_authors(draft: Draft, rivals: Sequence[str]) -> Mapping[str, str]:
    """Returns the pools that did, or do, the work of which a step is independent, each with the step."""
    found: dict[str, str] = {}
    for name in rivals:
        if (row := draft.steps.get(name)) is not None:
            pools = (row.unit.pool,) if row.items is None else row.items.pools
            found |= {pool: name for pool in pools if pool}
    return found
