"""Why a workflow or a step does not go on, read from the object as it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from vapora.cli.exits import find_refusal, is_final
from vapora.cli.show.advice import UNKNOWN, advise
from vapora.cli.show.steps import StepView, list_steps, tidy
from vapora.core.plan import Key
from vapora.core.views import child, parse_time, rows, text

_DUE: Mapping[str, str] = {
    "nextAttemptAt": "the next try",
    "pendingTimeoutAt": "given up unless it runs by then",
    "timeoutAt": "times out",
}
_HELD = frozenset({"Ready", "Retrying", "WaitingApproval"})
_AT_WORK = frozenset({"Starting", "Running", "Compensating"})
_NO_NODE = "nodes are available"  # the scheduler's words
_ENDED_BADLY = frozenset({"Failed", "CompensationFailed"})
_ENDED = frozenset({"Succeeded", "Failed", "RolledBack", "Cancelled", "Skipped", "Compensated", "CompensationFailed"})
_UNSEEN = "is it running? kubectl get pods -A -l app.kubernetes.io/name=vapora-operator; vapora logs tail operator"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Is what is known of one thing that does not go on; `child` is the object that may tell more."""

    subject: str
    state: str
    reason: str = ""
    message: str = ""
    since: datetime | None = None
    due: datetime | None = None
    due_for: str = ""
    unblock: str = ""
    evidence: tuple[str, ...] = ()
    child: Key | None = None

    @property
    def has_ended(self) -> bool:
        """Is true of what nobody looks at again by itself."""
        return self.state in _ENDED


def explain_workflow(workflow: Mapping[str, object], step: str | None, now: datetime) -> list[Explanation]:
    """Explains one step, else the workflow and every step that holds it up; raises KeyError for an unknown step."""
    views = {view.name: view for view in list_steps(workflow, now)}
    if step is not None:
        return [_explain_step(workflow, views[step])]
    found = list(_explain_whole(workflow))
    wanted = _ENDED_BADLY if is_final(workflow) else _HELD | _ENDED_BADLY
    explained = [(_explain_step(workflow, view), view) for view in views.values()]
    # What works and has nothing to say holds nothing up.
    return found + [
        entry
        for entry, view in explained
        if view.state in wanted or (view.state in _AT_WORK and (entry.message or view.notes))
    ]


def add_evidence(explanation: Explanation, said: Sequence[str]) -> Explanation:
    """Adds what the cluster says, once each, and not what the message says already."""
    new = [tidy(word) for word in dict.fromkeys(said) if word and tidy(word) not in explanation.message]
    return replace(explanation, evidence=(*explanation.evidence, *new))


def _explain_whole(workflow: Mapping[str, object]) -> Iterator[Explanation]:
    meta, status = child(workflow, "metadata"), child(workflow, "status")
    name, namespace = text(meta, "name"), text(meta, "namespace")
    phase = text(status, "phase") or "Pending"
    since = parse_time(status.get("finishedAt") or status.get("pausedAt") or status.get("startedAt"))
    since = since or parse_time(meta.get("creationTimestamp"))
    whole = Explanation(f"workflow {namespace}/{name}", phase, since=since)
    deadline = parse_time(status.get("deadlineAt"))
    if deadline and not is_final(workflow):
        whole = replace(whole, due=deadline, due_for="must have ended")
    if not status:
        words = "no operator has looked at it yet"
        yield replace(whole, reason="Pending", message=words, unblock=_UNSEEN)
        return
    conditions = {text(row, "type"): row for row in rows(status, "conditions")}
    refusal = find_refusal(workflow)
    saying = conditions.get("Stalled" if refusal else "Paused" if phase == "Paused" else "Succeeded", {})
    reason, message = text(saying, "reason"), tidy(text(saying, "message"))
    waiting = tidy(text(status, "waitingOn"))
    if refusal:
        whole = replace(whole, state="Stalled", since=parse_time(saying.get("lastTransitionTime")))
    elif not is_final(workflow) and waiting:
        message = f"waits on {waiting}"
    concurrency = child(status, "concurrency")
    if concurrency and phase == "Pending" and not refusal:
        reason = "ConcurrencyLimit"
    is_elsewhere = waiting and phase == "Running"  # what would unblock it, the steps say
    unblock = "" if is_elsewhere else advise(reason, phase, name=name, step="", namespace=namespace)
    yield replace(whole, reason=reason, message=message, unblock="" if unblock == UNKNOWN else unblock)


def _explain_step(workflow: Mapping[str, object], view: StepView) -> Explanation:
    meta, status = child(workflow, "metadata"), child(workflow, "status")
    name = view.name.removeprefix("undo ")
    part = child(status, "rollback") if view.part == "rollback" else status
    row = child(part, "steps", name)
    held = ("readyAt", "startedAt") if view.state == "Ready" else ("finishedAt", "startedAt", "readyAt")
    since = next(filter(None, (parse_time(row.get(field)) for field in held)), None)
    due = [(moment, what) for field, what in _DUE.items() if (moment := parse_time(row.get(field)))]
    if view.state not in _HELD | _AT_WORK:
        due = []
    doing, namespace = child(row, "child"), text(meta, "namespace")
    reason = text(row, "reason")
    message = tidy(text(row, "message")) or (view.notes[0] if view.notes else "")
    held_by = reason or ("Unschedulable" if _NO_NODE in message else "")
    at, what = min(due, default=(None, ""), key=lambda entry: entry[0])
    return Explanation(
        subject=f"step {view.name}",
        state=f"{view.state} {view.progress}".rstrip(),
        reason=reason,
        message=message,
        since=since,
        due=at,
        due_for=what,
        unblock=advise(held_by, view.state, name=text(meta, "name"), step=name, namespace=namespace),
        evidence=tuple(_list_evidence(view, row, message)),
        child=Key(text(doing, "kind"), namespace, text(doing, "name")) if text(doing, "name") else None,
    )


def _list_evidence(view: StepView, row: Mapping[str, object], message: str) -> Iterator[str]:
    known = ("vapora workflow approve", f"{text(row, 'reason')}:")
    yield from (note for note in view.notes if note != message and not note.startswith(known))
    if view.done_by:
        yield f"done by {view.done_by}" + (f", try {view.tries}" if view.tries > 1 else "")
    for name, value in child(row, "operands").items():
        yield f"{name} is {value}"
