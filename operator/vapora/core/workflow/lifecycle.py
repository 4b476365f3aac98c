"""What people ask of a run while it goes on: to pause, to go on, to end in one of several ways."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from vapora.core.conditions import cut
from vapora.core.naming import NO_ITEM
from vapora.core.plan import CancelTask, EventType, Key
from vapora.core.workflow.draft import ROLLBACK_REQUESTED, STOP_REQUESTED, Draft
from vapora.core.workflow.requests import VERBS, Request, read_request
from vapora.core.workflow.status import Phase, Stage, State, WorkflowStatus

CANCEL_REQUESTED = "CancelRequested"
TERMINATE_REQUESTED = "TerminateRequested"
_ENDINGS = {
    "cancel": (Phase.CANCELLED, CANCEL_REQUESTED, "it was cancelled on request"),
    "stop": (Phase.CANCELLED, STOP_REQUESTED, "it was stopped on request; what ran was let finish"),
    "terminate": (Phase.CANCELLED, TERMINATE_REQUESTED, "it was terminated on request"),
    "rollback": (Phase.FAILED, ROLLBACK_REQUESTED, "its rollback was asked for"),
}


def find_request(handled: str, asked: str, uid: str) -> Request | None:
    """Returns what is asked and was not yet carried out."""
    request = read_request(asked, uid)
    return None if request is None or cut(asked) == handled else request


def heed_request(draft: Draft) -> None:
    """Carries out the request annotation of a run that goes on, once."""
    observed = draft.observed
    request = find_request(draft.standing.handled_request, observed.request, observed.identity.uid)
    if request is not None:
        draft.standing = replace(draft.standing, handled_request=cut(observed.request))
        if refusal := _refuse(draft, request):
            draft.tell(EventType.WARNING, "RequestRefused", f"request {observed.request!r}: {refusal}")
        elif request.verb in _ENDINGS:
            draft.outcome = _ENDINGS[request.verb]
    _pause(draft)


def _refuse(draft: Draft, request: Request) -> str:
    """Returns why a request cannot be carried out now."""
    if request.verb not in VERBS:
        return f"there is no {request.verb!r}; allowed are {', '.join(VERBS)}"
    if request.verb == "retry":
        return "only a workflow that has ended is retried"
    if draft.standing.stage is not Stage.STEPS and request.verb != "terminate":
        return f"it is ending: its {draft.standing.stage} goes on"
    if draft.outcome is not None and request.verb in _ENDINGS and draft.outcome[0] is Phase.CANCELLED:
        return "it is being ended already" if request.verb != "terminate" else ""
    return ""


def _pause(draft: Draft) -> None:
    """Pauses while the spec or the last request says so; what waits for its next try waits that much longer."""
    standing = draft.standing
    asked = read_request(standing.handled_request, draft.observed.identity.uid)
    is_wanted = draft.observed.is_paused or (asked is not None and asked.verb == "pause")
    if is_wanted and standing.paused_at is None and draft.outcome is None:
        draft.standing = replace(standing, paused_at=draft.now)
        _take_back(draft)
        draft.tell(EventType.NORMAL, "Paused", "nothing new starts; what runs goes on")
    elif standing.paused_at is not None and (not is_wanted or draft.outcome is not None):
        draft.standing = replace(standing, paused_at=None)
        shift_waits(draft, draft.now - standing.paused_at)
        draft.tell(EventType.NORMAL, "Resumed", "it goes on")


def _take_back(draft: Draft) -> None:
    """Takes back the tasks that no agent has claimed; those that are worked on go on."""
    identity = draft.observed.identity
    for step in sorted(draft.frontier.active):
        if draft.step(step).kind != "agent":
            continue
        for item in sorted(draft.active_items(step)) if step in draft.frontier.fans else [NO_ITEM]:
            unit = draft.unit((step, item))
            if unit is not None and unit.state is State.RUNNING and unit.pool:
                task = identity.effect_of(draft.graph.names[step], item, unit) or ""
                pool = Key("AgentPool", identity.namespace, unit.pool)
                draft.actions.append(CancelTask(pool, task, also_claimed=False))


def shift_waits(draft: Draft, span: timedelta) -> None:
    """Puts off every next try by the time that a pause took."""
    for step in sorted(draft.frontier.active):
        for item in sorted(draft.active_items(step)) if step in draft.frontier.fans else [NO_ITEM]:
            unit = draft.unit((step, item))
            if unit is not None and unit.state is State.RETRYING and unit.next_attempt_at is not None:
                draft.put_unit((step, item), replace(unit, next_attempt_at=unit.next_attempt_at + span))


def is_terminated(status: WorkflowStatus, outcome: tuple[Phase, str, str] | None) -> bool:
    """Returns whether a run ends without its completion steps."""
    return (outcome[1] if outcome else status.reason) == TERMINATE_REQUESTED
