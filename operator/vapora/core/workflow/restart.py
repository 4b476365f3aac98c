"""Starting an ended run again on the same object: from what failed, from a step, or because its spec changed."""

from __future__ import annotations

from dataclasses import replace

from vapora.core.plan import EventType
from vapora.core.workflow.draft import ROLLBACK_REQUESTED, Draft
from vapora.core.workflow.renewal import renew_step, retire_words
from vapora.core.workflow.requests import Request, find_mistake
from vapora.core.workflow.rollback import begin_rollback, find_wanted
from vapora.core.workflow.status import Phase, State, StepStatus

_SHRUNK = "what it did was removed some time after its end (ttlAfterFinished); make a new Workflow"
_SKIPPED_BY_CONDITION = frozenset({"WhenFalse", "ConditionFalse"})


def restart(draft: Draft, request: Request) -> str:
    """Carries out a request made of an ended run; returns why not, where it cannot be."""
    if refusal := find_mistake(request) or (_SHRUNK if draft.standing.shrunk_at is not None else ""):
        return refusal
    if request.verb == "rollback":
        return _undo(draft)
    if request.verb != "retry":
        return f"it has ended ({draft.standing.phase}); only retry and rollback are possible"
    return _retry_from(draft, request.step) if request.step else _retry(draft)


def _retry(draft: Draft) -> str:
    if draft.standing.phase is Phase.SUCCEEDED:
        return "it succeeded; retry/<step> starts again from a step"
    broken = {place for place, name in enumerate(draft.graph.names) if not _stands(draft.steps.get(name))}
    _renew(draft, broken, keeps=True)
    return ""


def restart_changed(draft: Draft) -> None:
    """Runs an ended workflow again because its spec changed; what would be given the same again stands."""
    _renew(draft, set(range(len(draft.graph.names))), keeps=True)


def _retry_from(draft: Draft, name: str) -> str:
    if name not in draft.graph.index:
        return f"there is no step {name!r}"
    _renew(draft, {draft.graph.index[name]}, keeps=False)
    return ""


def _undo(draft: Draft) -> str:
    outcome = (Phase.FAILED, ROLLBACK_REQUESTED, "its rollback was asked for")
    wanted = find_wanted(draft, outcome)
    if wanted is None:
        return "nothing of it can be undone"
    draft.tell(EventType.NORMAL, "RollingBack", f"undoing {', '.join(wanted.undone)} on request")
    status = begin_rollback(draft, wanted, outcome)
    draft.standing = replace(
        status,
        phase=Phase.ROLLING_BACK,
        ending=outcome[0],
        reason=outcome[1],
        message=outcome[2],
        finished_at=None,
    )
    return ""


def _stands(status: StepStatus | None) -> bool:
    """Returns whether a step need not run again by itself."""
    if status is None:
        return False
    return status.state is State.SUCCEEDED or (
        status.state is State.SKIPPED and status.unit.reason in _SKIPPED_BY_CONDITION
    )


def _renew(draft: Draft, places: set[int], *, keeps: bool) -> None:
    """Lets steps, and all that follow them, wait again; with `keeps`, one that succeeded may turn out to stand."""
    ahead, seen = list(places), set(places)
    while ahead:
        for later in draft.graph.dependents[ahead.pop()]:
            if later not in seen:
                seen.add(later)
                ahead.append(later)
    for place in sorted(seen):
        name = draft.graph.names[place]
        if (status := draft.steps.get(name)) is not None:
            draft.steps[name] = renew_step(status, keeps=keeps)
    draft.tell(EventType.NORMAL, "Restarted", f"starts again; {len(seen)} of {len(draft.graph.names)} steps may run")
    draft.standing = replace(
        draft.standing,
        phase=Phase.RUNNING,
        reason="Running",
        message="",
        ending=None,
        finished_at=None,
        restarted_at=draft.now,
        approvals=retire_words(draft.standing.approvals),
        rollback=None,
        shrunk_at=None,
        completing_since=None,
        paused_at=None,
        is_pause_requested=False,
    )
