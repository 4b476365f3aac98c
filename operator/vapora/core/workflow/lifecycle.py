"""What people ask of a run while it goes on: to pause, to go on, to end in one of several ways."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from vapora.core.conditions import cut
from vapora.core.plan import CancelTask, EventType, Key
from vapora.core.workflow.draft import ROLLBACK_REQUESTED, STOP_REQUESTED, Draft
from vapora.core.workflow.requests import Request, find_mistake, read_request
from vapora.core.workflow.status import Phase, Stage, State

CANCEL_REQUESTED = "CancelRequested"
TERMINATE_REQUESTED = "TerminateRequested"
_ENDINGS = {
    "cancel": (Phase.CANCELLED, CANCEL_REQUESTED, "it was cancelled on request"),
    "stop": (Phase.CANCELLED, STOP_REQUESTED, "it was stopped on request; what ran was let finish"),
    "terminate": (Phase.CANCELLED, TERMINATE_REQUESTED, "it was terminated on request"),
    "rollback": (Phase.FAILED, ROLLBACK_REQUESTED, "its rollback was asked for"),
}
_HARSHER = {
    "stop": {"cancel", "terminate"},
    "cancel": {"terminate"},
    "rollback": {"terminate"},
    "terminate": set[str](),
}


def find_request(handled: str, asked: str, uid: str) -> Request | None:
    """Returns what is asked and was not yet carried out."""
    request = read_request(asked, uid)
    return None if request is None or cut(asked) == handled else request


def heed_request(draft: Draft) -> None:
    """Carries out the request annotation of a run that goes on, once."""
    observed = draft.observed
    request = find_request(draft.standing.handled_request, observed.request, observed.identity.uid)
    if request is None:
        return
    draft.standing = replace(draft.standing, handled_request=cut(observed.request))
    if refusal := _refuse(draft, request):
        draft.tell(EventType.WARNING, "RequestRefused", cut(f"request {observed.request!r}: {refusal}"))
        return
    if request.verb in {"pause", "resume"}:
        draft.standing = replace(draft.standing, is_pause_requested=request.verb == "pause")
    draft.is_terminating = request.verb == "terminate"
    if request.verb in _ENDINGS and draft.standing.stage is not Stage.COMPLETION:  # the outcome stands by then
        draft.outcome = _ENDINGS[request.verb]


def _refuse(draft: Draft, request: Request) -> str:
    """Returns why a request cannot be carried out now."""
    if mistake := find_mistake(request):
        return mistake
    if request.verb == "retry":
        return "only a workflow that has ended is retried"
    if draft.standing.stage is not Stage.STEPS and request.verb != "terminate":
        return f"it is ending: its {draft.standing.stage} goes on"
    going = next((verb for verb in _HARSHER if draft.outcome and draft.outcome[1] == _ENDINGS[verb][1]), None)
    if going and request.verb in _ENDINGS and request.verb not in _HARSHER[going]:
        return "it is being ended already"
    return f"it is ending: {draft.outcome[2]}" if draft.is_ending and request.verb == "pause" and draft.outcome else ""


def heed_pause(draft: Draft) -> None:
    """Pauses while the spec or a request says so; what waits for its next try waits that much longer."""
    standing = draft.standing
    is_wanted = draft.observed.is_paused or standing.is_pause_requested
    if not draft.may_pause:
        draft.standing = replace(standing, paused_at=None)
    elif standing.paused_at is None and is_wanted:
        draft.standing = replace(standing, paused_at=draft.now)
        _take_back(draft)
        draft.tell(EventType.NORMAL, "Paused", "nothing new starts; what runs goes on")
    elif standing.paused_at is not None and not is_wanted:
        draft.standing = replace(standing, paused_at=None)
        shift_waits(draft, draft.now - standing.paused_at)
        draft.tell(EventType.NORMAL, "Resumed", "it goes on")


def _take_back(draft: Draft) -> None:
    """Takes back the tasks that no agent has claimed; those that are worked on go on."""
    identity = draft.observed.identity
    for step, item in draft.active_places():
        unit = draft.unit((step, item))
        if unit is not None and unit.state is State.RUNNING and unit.pool:
            task = identity.effect_of(draft.graph.names[step], item, unit) or ""
            draft.actions.append(CancelTask(Key("AgentPool", identity.namespace, unit.pool), task, also_claimed=False))


def shift_waits(draft: Draft, span: timedelta) -> None:
    """Puts off every next try by the time that a pause took."""
    for place in draft.active_places():
        unit = draft.unit(place)
        if unit is not None and unit.state is State.RETRYING and unit.next_attempt_at is not None:
            later = unit.next_attempt_at + span
            draft.put_unit(place, replace(unit, next_attempt_at=later))
            if later > draft.now and place in draft.frontier.retrying:
                draft.frontier.retrying.remove(place)
