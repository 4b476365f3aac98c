"""What people see of a run: phase, progress, conditions, and what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from vapora.core.conditions import Condition, cut, merge_conditions, timestamp
from vapora.core.supported import SpecProblem
from vapora.core.views import rows, text
from vapora.core.workflow.codec import encode_approvals, encode_rollback, encode_step, encode_time, is_undoing
from vapora.core.workflow.concurrency import CONCURRENCY_LIMIT, describe_concurrency
from vapora.core.workflow.estimates import estimate_finish
from vapora.core.workflow.expiry import find_expiry
from vapora.core.workflow.limits import Limits, find_limits
from vapora.core.workflow.observed import Observed
from vapora.core.workflow.purse import count_cost
from vapora.core.workflow.status import Phase, State, StepStatus, WorkflowStatus
from vapora.core.workflow.tracing import build_trace_id

Json = dict[str, object]
Encode = Callable[[str, StepStatus, Limits], Json]
_BEGUN = frozenset({State.READY, State.STARTING, State.RUNNING, State.RETRYING, State.WAITING_APPROVAL})
_PAUSED = "it is paused: to go on, set spec.paused to false and ask to resume"
_MAX_NAMED = 10
_PROGRESS = {
    Phase.PAUSED: "Paused",
    Phase.WAITING_APPROVAL: "WaitingForApproval",
    Phase.ROLLING_BACK: "RollingBack",
}


def is_recorded(status: Mapping[str, object]) -> bool:
    """Returns whether a status says that the knowledge graph has every try."""
    conditions = rows(status, "conditions")
    return any(row.get("type") == "Recorded" and row.get("status") == "True" for row in conditions)


def encode_row(_: str, step: StepStatus, limits: Limits) -> Json:
    """Returns the row of a step."""
    return encode_step(step, limits)


def build_status(
    observed: Observed,
    status: WorkflowStatus,
    before: Mapping[str, object],
    now: datetime,
    *,
    is_recorded: bool,
    encode: Encode = encode_row,
) -> Json:
    """Builds the whole status; `before` is the one in the object, for the times of conditions that did not turn.

    `is_recorded` says whether every ended try is durable in the knowledge graph. `encode` gives the row of a step, by
    its name, and may remember it.
    """
    current, waiting = _find_current(observed, status)
    former = rows(before, "conditions")
    conditions = [
        *_list_conditions(observed, status, waiting, is_recorded=is_recorded),
        *_tell_pause(status, {text(row, "type") for row in former}),
    ]
    ended = before if status.phase.is_final and before.get("phase") == status.phase else {}  # what it says stands
    result: Json = {
        **_encode_course(status),
        "traceId": build_trace_id(observed.identity.uid),
        "observedGeneration": observed.generation,
        "deadlineAt": encode_time(_find_deadline(observed, status)),
        "estimatedFinish": _estimate_finish(observed, status, now),
        "progress": ended.get("progress") or _count_progress(observed, status),
        "currentStep": current,
        "concurrency": _describe_concurrency(observed, status),
        "waitingOn": cut(waiting, 256),
        "expiresAt": ended.get("expiresAt") or encode_time(find_expiry(observed, status)),
        "specDigest": ended.get("specDigest") or _find_digest(observed, status),
        "conditions": merge_conditions(former, conditions, generation=observed.generation, now=now),
        "steps": encode_steps(status, encode),
        "approvals": encode_approvals(status) or None,
        "rollback": encode_rollback(status, find_limits(status.steps.values())),
    }
    return {name: value for name, value in result.items() if value not in (None, "", 0)}


def _encode_course(status: WorkflowStatus) -> Json:
    """Returns what the run itself remembers of its course."""
    return {
        "phase": str(status.phase),
        "revision": status.revision,
        "startedAt": encode_time(status.started_at),
        "finishedAt": encode_time(status.finished_at),
        "costCents": count_cost(status.steps.values()),
        "retries": sum(max(0, step.unit.tries - 1) for step in status.steps.values()),
        "outcome": str(status.ending) if status.ending else None,
        "completingSince": encode_time(status.completing_since),
        "pausedAt": encode_time(status.paused_at),
        "pauseRequested": status.is_pause_requested or None,
        "restartedAt": encode_time(status.restarted_at),
        "shrunkAt": encode_time(status.shrunk_at),
        "handledRequest": status.handled_request,
    }


def _find_deadline(observed: Observed, status: WorkflowStatus) -> datetime | None:
    if isinstance(observed.definition, SpecProblem) or observed.definition.deadline is None:
        return None
    return (status.restarted_at or observed.created_at) + timedelta(seconds=observed.definition.deadline)


def _estimate_finish(observed: Observed, status: WorkflowStatus, now: datetime) -> str | None:
    if isinstance(observed.definition, SpecProblem) or observed.estimates is None:
        return None
    finish = estimate_finish(observed.definition, status, observed.estimates, now)
    return None if finish is None else timestamp(finish)


def _describe_concurrency(observed: Observed, status: WorkflowStatus) -> Json | None:
    if isinstance(observed.definition, SpecProblem) or status.phase.is_final:
        return None
    wanted = observed.definition.spec.concurrency
    return None if wanted is None else describe_concurrency(wanted)


def encode_steps(status: WorkflowStatus, encode: Encode = encode_row) -> Json:
    """Returns `status.steps`; rows are cut short where very many have much to say."""
    limits = find_limits(status.steps.values())
    return {name: encode(name, step, limits) for name, step in status.steps.items() if not is_undoing(name)}


def _find_digest(observed: Observed, status: WorkflowStatus) -> str:
    """Returns the digest of the user's spec that a run does, by which a later change of the spec is told."""
    return observed.spec_digest if status.steps else ""


def _count_progress(observed: Observed, status: WorkflowStatus) -> str:
    if isinstance(observed.definition, SpecProblem):
        return ""
    total = len(observed.definition.steps)
    if total == 1 and (only := next(iter(status.steps.values()), None)) is not None and only.items is not None:
        return f"{only.items.ended}/{only.items.total}"
    return f"{sum(status.step(name).state.is_final for name in observed.definition.graph.names)}/{total}"


def _find_current(observed: Observed, status: WorkflowStatus) -> tuple[str, str]:
    """Returns the step that runs (the last that did, once ended), and what the first waiting one waits for."""
    if status.phase.is_final:
        return "", ""
    if status.reason == CONCURRENCY_LIMIT:
        return "", status.message
    if isinstance(observed.definition, SpecProblem):
        return "", observed.definition.message
    running = [name for name, step in status.steps.items() if step.state in _BEGUN]
    people = [name for name in running if status.steps[name].state is State.WAITING_APPROVAL]
    waits = (f"{name}: {why}" for name in (*people, *running) if (why := _why_waiting(status.steps[name])))
    current = f"{running[0]} (+{len(running) - 1})" if len(running) > 1 else "".join(running)
    return current, _PAUSED if status.phase is Phase.PAUSED else next(waits, "")


def _why_waiting(step: StepStatus) -> str:
    unit = step.unit
    if unit.state is State.RETRYING:
        return f"the next try, after {unit.reason}"
    return unit.message or unit.reason


def _list_conditions(observed: Observed, status: WorkflowStatus, waiting: str, *, is_recorded: bool) -> list[Condition]:
    conditions = [_succeeded(status), *_readiness(observed, status, waiting)]
    if names := _list_simulated(observed, status):
        words = f"nothing ran in {', '.join(names[:_MAX_NAMED])}: executor simulate is for development"
        conditions.append(Condition("Simulated", "True", "Simulated", words))
    if observed.outdated[0]:
        conditions.append(Condition("SpecOutdated", "True", *observed.outdated))
    surroundings = observed.surroundings
    if surroundings.has_graph and status.phase.is_final:
        conditions.append(
            Condition("Recorded", "True", "Recorded")
            if is_recorded
            else Condition("Recorded", "False", "Pending", "the knowledge graph has yet to take it")
        )
    if surroundings.has_graph and surroundings.graph_problem and not (status.phase.is_final and is_recorded):
        conditions.append(Condition("LearningAvailable", "False", "GraphUnavailable", surroundings.graph_problem))
    return conditions


def _list_simulated(observed: Observed, status: WorkflowStatus) -> list[str]:
    """Returns the steps of which nothing ran although they say that they did."""
    if isinstance(observed.definition, SpecProblem):
        return []
    return [name for name in observed.definition.simulated if status.step(name).unit.tries]


def _tell_pause(status: WorkflowStatus, known: Collection[str]) -> list[Condition]:
    """Says that a run is paused, and once it was, that it is not any more."""
    if status.paused_at is not None:
        return [Condition("Paused", "True", "Paused", _PAUSED)]
    return [Condition("Paused", "False", "Resumed")] if "Paused" in known else []


def _succeeded(status: WorkflowStatus) -> Condition:
    match status.phase:
        case Phase.SUCCEEDED:
            return Condition("Succeeded", "True", status.reason, status.message)
        case Phase.FAILED | Phase.CANCELLED | Phase.ROLLED_BACK:
            return Condition("Succeeded", "False", status.reason, status.message)
        case _:
            return Condition("Succeeded", "Unknown", status.reason or "Pending", status.message)


def _readiness(observed: Observed, status: WorkflowStatus, waiting: str) -> list[Condition]:
    """Says Ready, Reconciling and Stalled as kstatus reads them: a finished run is current, a failed one stalled."""
    if isinstance(observed.definition, SpecProblem) and not status.phase.is_final:
        problem = observed.definition
        return [
            Condition("Ready", "False", problem.reason, problem.message),
            Condition("Stalled", "True", problem.reason, problem.message),
        ]
    match status.phase:
        case Phase.SUCCEEDED | Phase.CANCELLED:
            return [Condition("Ready", "True", status.reason, "")]
        case Phase.FAILED | Phase.ROLLED_BACK:
            return [
                Condition("Ready", "False", status.reason, status.message),
                Condition("Stalled", "True", status.reason, status.message),
            ]
        case _:
            reason = _PROGRESS.get(status.phase, "Progressing")
            return [Condition("Ready", "False", reason, waiting), Condition("Reconciling", "True", reason, waiting)]
