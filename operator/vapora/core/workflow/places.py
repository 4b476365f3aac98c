"""Waiting for a place: a run that excludes others takes one before it starts anything, and says who has them."""

from __future__ import annotations

from dataclasses import replace

from vapora.core.conditions import cut
from vapora.core.plan import EventType, Plan
from vapora.core.workflow.concurrency import (
    CONCURRENCY_LIMIT,
    SUPERSEDED,
    Contender,
    find_ahead,
    find_superseding,
)
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.observed import Observed, WorkflowPlan
from vapora.core.workflow.status import Phase, Stage, WorkflowStatus

_NAMED = 3  # holders that one message names


def heed_rivals(draft: Draft) -> bool:
    """Has a run end that is superseded; returns whether one that has not begun must not begin yet."""
    own = _find_own(draft.observed, draft.whole, draft.standing)
    if own is None or draft.standing.stage is not Stage.STEPS:
        return False
    if draft.outcome is None and (newer := find_superseding(own, draft.observed.rivals)) is not None:
        draft.outcome = (Phase.CANCELLED, SUPERSEDED, f"it makes room for the newer workflow {newer.key.name}")
    return draft.outcome is None and not own.has_begun


def plan_place(draft: Draft) -> WorkflowPlan:
    """Takes a place, durably before anything starts, or says who has them."""
    own, standing = _find_own(draft.observed, draft.whole, draft.standing), draft.standing
    ahead = find_ahead(own, draft.observed.rivals) if own is not None else ()
    phase = Phase.PAUSED if draft.is_paused else Phase.PENDING
    if not ahead and not draft.is_paused:
        status = replace(standing, phase=phase, reason="Running", message="", started_at=draft.now)
        return WorkflowPlan(Plan(events=tuple(draft.events)), status, draft.frontier, durable_first=True)
    names = ", ".join(rival.key.name for rival in ahead[:_NAMED])
    more = f" and {len(ahead) - _NAMED} more" if len(ahead) > _NAMED else ""
    limit = own.limit if own is not None else 1
    message = cut(f"waits for {names}{more}: at most {limit} may run with this key") if ahead else ""
    if standing.reason != CONCURRENCY_LIMIT and ahead:
        draft.tell(EventType.NORMAL, CONCURRENCY_LIMIT, message)
    status = replace(standing, phase=phase, reason=CONCURRENCY_LIMIT if ahead else "Paused", message=message)
    after = None if draft.next_look is None else max(0.0, (draft.next_look - draft.now).total_seconds())
    return WorkflowPlan(Plan(events=tuple(draft.events), requeue_after=after, urgent=False), status, draft.frontier)


def build_contender(observed: Observed, status: WorkflowStatus) -> Contender | None:
    """Returns the part that a run takes by a status just decided; None for one that has ended or has no key."""
    if status.phase.is_final or not isinstance(observed.definition, Definition):
        return None
    return _find_own(observed, observed.definition, status)


def _find_own(observed: Observed, definition: Definition, status: WorkflowStatus) -> Contender | None:
    wanted = definition.spec.concurrency
    if wanted is None:
        return None
    return Contender(
        key=observed.workflow,
        uid=observed.identity.uid,
        born=observed.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        group=wanted.key,
        limit=wanted.limit,
        cancels_older=wanted.on_busy == "cancelOlder",
        has_begun=status.started_at is not None,
        is_paused=status.paused_at is not None,
    )


def give_up_place(definition: Definition, status: WorkflowStatus) -> WorkflowStatus:
    """Has a run that starts again after its end wait for a place like any other."""
    is_again = definition.spec.concurrency is not None and status.stage is Stage.STEPS and not status.phase.is_final
    return replace(status, phase=Phase.PENDING, started_at=None) if is_again else status
