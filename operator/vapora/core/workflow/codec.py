"""The status as JSON and back: what is written is all that a restarted operator knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from vapora.core import naming
from vapora.core.budget.grant import decode_grant, encode_grant
from vapora.core.plan import Key
from vapora.core.views import child, number, parse_time, rows, text
from vapora.core.workflow.choice import decode_choice, encode_choice
from vapora.core.workflow.limits import FULL, Limits
from vapora.core.workflow.ranges import list_ranges, parse_ranges
from vapora.core.workflow.status import (
    Approval,
    Identity,
    ItemFailure,
    Items,
    Phase,
    Rollback,
    State,
    StepStatus,
    Unit,
    WorkflowStatus,
)

Json = dict[str, object]
_ML_DETAILS = frozenset({"evidence", "sentence", "estimate", "profile", "confidence"})


def encode_time(moment: datetime | None) -> str | None:
    """Writes a time in milliseconds, so that delays below a second survive a restart."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def encode_step(step: StepStatus, limits: Limits = FULL) -> Json:
    """Returns one row of `status.steps`; fields that say nothing are left out."""
    unit = step.unit
    row: Json = {
        "state": str(unit.state),
        "tries": unit.tries,
        "attempt": unit.attempt,
        "infrastructureAttempt": unit.infrastructure_failures,
        "startedAt": _encode_start(unit, limits),
        "finishedAt": encode_time(unit.finished_at),
        "timeoutAt": encode_time(unit.until),
        "pendingTimeoutAt": encode_time(unit.pending_until),
        "nextAttemptAt": encode_time(unit.next_attempt_at),
        "reason": unit.reason,
        "message": limits.cut(unit.message),
        "exitCode": unit.exit_code,
        "knownCause": _encode_known_cause(unit, limits),
        "child": _encode_child(unit, limits),
        "assignment": _encode_assignment(unit, limits),
        **_encode_effect(unit),
        "inputDigest": unit.input_digest,
        "costCents": unit.cost_cents,
        "outputs": step.outputs,
        "operands": step.operands if limits.has_explanations else None,
        "ml": _encode_ml(step, limits),
        "items": encode_items(step.items, limits) if step.items else None,
    }
    return {name: value for name, value in row.items() if value not in (None, "", 0, {}) or name == "state"}


def _encode_start(unit: Unit, limits: Limits) -> str | None:
    return None if limits.is_dense and unit.state is State.RETRYING else encode_time(unit.started_at)


def _encode_known_cause(unit: Unit, limits: Limits) -> str:
    """Returns what is known of a failure, until the next try; it is left out where many rows explain themselves."""
    return unit.known_cause if limits.has_explanations and unit.state in {State.FAILED, State.RETRYING} else ""


def _encode_child(unit: Unit, limits: Limits) -> Json | None:
    if unit.child is None:
        return None
    named = {} if limits.is_dense and unit.state.is_final else {"name": unit.child.name}
    return {"kind": unit.child.kind, **named}


def _encode_effect(unit: Unit) -> Json:
    return {
        "effect": unit.effect,
        "effectOpen": unit.is_open or None,
        "calls": unit.calls,
        "memory": dict(unit.memory),
    }


def _encode_assignment(unit: Unit, limits: Limits) -> Json | None:
    if not unit.pool:
        return None
    task_type = "" if limits.is_dense and unit.state.is_final else unit.task_type
    row: Json = {"pool": unit.pool, "taskType": task_type}
    if unit.choice is not None and limits.has_explanations:
        row |= {**encode_choice(unit.choice), "reason": limits.cut(unit.choice.reason)}
    row |= _encode_grant(unit, limits)
    return {name: value for name, value in row.items() if value not in (None, "")}


def _encode_grant(unit: Unit, limits: Limits, *, is_item: bool = False) -> Json:
    """Returns what a task was given; of one that is given out already only what is still of use in rows that are many.

    Nothing else that stands in a status depends on a grant of a task that has ended.
    """
    if unit.grant is None:
        return {}
    row = {name: value for name, value in encode_grant(unit.grant).items() if value not in (None, "", 0)}
    if unit.grant.budget_cents == 0:
        row["budgetCents"] = 0
    if (is_item or limits.is_dense) and unit.state is not State.STARTING and not unit.is_open:
        return {"reservedCents": unit.grant.reserved} if unit.grant.reserved and not unit.state.is_final else {}
    if is_item or not limits.has_explanations:
        row.pop("providerReason", None)
    return row


def _encode_ml(step: StepStatus, limits: Limits) -> Json | None:
    if step.ml is None or limits.has_explanations:
        return None if step.ml is None else dict(step.ml)
    left_out = {"evidence", "sentence"} if not (limits.is_dense and step.state.is_final) else _ML_DETAILS
    return {name: value for name, value in step.ml.items() if name not in left_out}


def encode_items(items: Items, limits: Limits) -> Json:
    """Returns `items`: ended ones as ranges, the others one by one."""
    row: Json = {
        "total": items.total,
        "formerTries": items.former,
        "succeeded": str(items.succeeded),
        "failedIndices": str(items.failed),
        "cancelled": str(items.cancelled),
        "again": str(items.again),
        "failed": [_encode_failure(failure, limits) for failure in items.failures[: limits.failures]],
        "active": [_encode_active(index, unit, limits) for index, unit in sorted(items.active.items())],
        "memories": {str(index): dict(memory) for index, memory in sorted(items.memories.items())},
        "open": _encode_open(items),
        "pools": list(items.pools),
    }
    return {
        name: value for name, value in row.items() if value not in ("", [], {}) and (name, value) != ("formerTries", 0)
    }


def _encode_failure(failure: ItemFailure, limits: Limits) -> Json:
    row: Json = {"i": failure.index, "reason": failure.reason, "message": limits.cut(failure.message)}
    return row | ({"knownCause": limits.cut(failure.known_cause)} if failure.known_cause else {})


def _encode_active(index: int, unit: Unit, limits: Limits) -> Json:
    row: Json = {
        "state": str(unit.state),
        "try": unit.tries,
        "attempt": unit.attempt,
        "infrastructureAttempt": unit.infrastructure_failures,
        "at": _encode_start(unit, limits),
        "until": encode_time(unit.until),
        "pendingUntil": encode_time(unit.pending_until),
        "next": encode_time(unit.next_attempt_at),
        **_encode_effect(unit),
        "reason": unit.reason,
        "kind": unit.child.kind if unit.child else "",
        "assignment": _encode_item_assignment(unit, limits),
        "costCents": unit.cost_cents,
    }
    return {"i": index, **{name: value for name, value in row.items() if value not in (None, "", 0, {})}}


def _encode_item_assignment(unit: Unit, limits: Limits) -> Json | None:
    if not unit.pool:
        return None
    return {"pool": unit.pool, "taskType": unit.task_type, **_encode_grant(unit, limits, is_item=True)}


def _encode_open(items: Items) -> Json:
    """Returns `items.open`: by the first of them, the items whose effects stand alike."""
    alike: dict[tuple[int, int, str, str, str], list[int]] = {}
    for index, unit in sorted(items.open.items()):
        stands_there = not unit.memory or unit.memory == items.memories.get(index)
        memory = "" if stands_there else json.dumps(dict(unit.memory), sort_keys=True)
        alike.setdefault((unit.effect, unit.calls, unit.pool, unit.task_type, memory), []).append(index)
    rows: Json = {}
    for (effect, calls, pool, task_type, memory), indices in alike.items():
        row: Json = {"items": str(list_ranges(indices)), "effect": effect, "calls": calls}
        row["memory"] = json.loads(memory) if memory else None
        row["assignment"] = {"pool": pool, "taskType": task_type} if pool else None
        rows[str(indices[0])] = {name: value for name, value in row.items() if value not in (None, 0)}
    return rows


def _decode_open(row: Mapping[str, object], memories: Mapping[int, Mapping[str, object]]) -> dict[int, Unit]:
    found: dict[int, Unit] = {}
    for entry in child(row, "open").values():
        if not isinstance(entry, Mapping):
            continue
        unit = Unit(
            effect=number(entry, "effect"),
            is_open=True,
            calls=number(entry, "calls"),
            memory=child(entry, "memory"),
            pool=text(child(entry, "assignment"), "pool"),
            task_type=text(child(entry, "assignment"), "taskType"),
        )
        for index in parse_ranges(text(entry, "items")):
            found[index] = unit if unit.memory else replace(unit, memory=memories.get(index, {}))
    return dict(sorted(found.items()))


def encode_rollback(status: WorkflowStatus, limits: Limits = FULL) -> Json | None:
    """Returns `status.rollback`; the rows of what undoes steps stand there, under the steps' own names."""
    rows = {name: encode_step(step, limits) for name, step in status.steps.items() if is_undoing(name)}
    rollback = status.rollback
    if rollback is None and not rows:
        return None
    row: Json = {"steps": {name.removesuffix(naming.UNDO): row for name, row in rows.items()}}
    if rollback is not None:
        row |= {
            "startedAt": encode_time(rollback.started_at),
            "finishedAt": encode_time(rollback.finished_at),
            "reason": rollback.reason,
            "notUndone": list(rollback.not_undone),
        }
    return {name: value for name, value in row.items() if value not in (None, "", [], {})}


def is_undoing(name: str) -> bool:
    """Returns whether a row belongs to the rollback."""
    return name.endswith(naming.UNDO) or name == naming.APPROVE_ROLLBACK


def decode_status(identity: Identity, raw: Mapping[str, object]) -> WorkflowStatus:
    """Reads a status as `encode_*` and the conditions wrote it; an empty one is a run that has not begun."""
    phase = text(raw, "phase")
    found = {**child(raw, "steps")}
    for name, row in child(raw, "rollback", "steps").items():
        found[name if is_undoing(name) else f"{name}{naming.UNDO}"] = row
    steps = {name: _decode_step(identity, name, row) for name, row in found.items() if isinstance(row, Mapping)}
    conditions = {text(row, "type"): row for row in rows(raw, "conditions")}
    succeeded = conditions.get("Succeeded", {})
    outcome = text(raw, "outcome")
    return WorkflowStatus(
        phase=Phase(phase) if phase else Phase.PENDING,
        steps=steps,
        started_at=parse_time(raw.get("startedAt")),
        finished_at=parse_time(raw.get("finishedAt")),
        reason=text(succeeded, "reason") if phase or outcome else "",
        message=text(succeeded, "message"),
        ending=Phase(outcome) if outcome else None,
        revision=text(raw, "revision"),
        handled_request=text(raw, "handledRequest"),
        paused_at=parse_time(raw.get("pausedAt")),
        is_pause_requested=raw.get("pauseRequested") is True,
        restarted_at=parse_time(raw.get("restartedAt")),
        rollback=_decode_rollback(child(raw, "rollback")),
        approvals=tuple(_decode_approval(row) for row in rows(raw, "approvals")),
        completing_since=parse_time(raw.get("completingSince")),
        shrunk_at=parse_time(raw.get("shrunkAt")),
    )


def encode_approvals(status: WorkflowStatus) -> list[Json]:
    """Returns `status.approvals`."""
    return [
        {
            "step": word.step,
            "by": word.user,
            "at": encode_time(word.at),
            "decision": "approve" if word.is_approval else "reject",
            **({"comment": word.comment} if word.comment else {}),
            **({"key": word.key} if word.key else {}),
            **({"former": True} if word.is_former else {}),
        }
        for word in status.approvals
    ]


def _decode_approval(row: Mapping[str, object]) -> Approval:
    at = parse_time(row.get("at")) or datetime.fromtimestamp(0, UTC)
    return Approval(
        step=text(row, "step"),
        user=text(row, "by"),
        is_approval=text(row, "decision") == "approve",
        at=at,
        comment=text(row, "comment"),
        key=text(row, "key"),
        is_former=row.get("former") is True,
    )


def _decode_rollback(row: Mapping[str, object]) -> Rollback | None:
    started, left = parse_time(row.get("startedAt")), row.get("notUndone")
    if started is None:
        return None
    not_undone = tuple(str(name) for name in left) if isinstance(left, list) else ()
    return Rollback(started, text(row, "reason"), parse_time(row.get("finishedAt")), not_undone)


def _decode_step(identity: Identity, name: str, row: Mapping[str, object]) -> StepStatus:
    assignment = child(row, "assignment")
    exit_code = row.get("exitCode")
    unit = Unit(
        state=State(text(row, "state")),
        tries=number(row, "tries"),
        attempt=number(row, "attempt"),
        infrastructure_failures=number(row, "infrastructureAttempt"),
        started_at=parse_time(row.get("startedAt")),
        until=parse_time(row.get("timeoutAt")),
        pending_until=parse_time(row.get("pendingTimeoutAt")),
        finished_at=parse_time(row.get("finishedAt")),
        next_attempt_at=parse_time(row.get("nextAttemptAt")),
        reason=text(row, "reason"),
        message=text(row, "message"),
        exit_code=exit_code if isinstance(exit_code, int) else None,
        child=_decode_child(identity, name, number(row, "tries"), child(row, "child")),
        pool=text(assignment, "pool"),
        choice=decode_choice(assignment),
        grant=decode_grant(assignment),
        task_type=text(assignment, "taskType"),
        effect=number(row, "effect"),
        is_open=row.get("effectOpen") is True,
        calls=number(row, "calls"),
        memory=child(row, "memory"),
        input_digest=text(row, "inputDigest"),
        cost_cents=number(row, "costCents"),
        known_cause=text(row, "knownCause"),
    )
    return StepStatus(
        unit=unit,
        items=_decode_items(identity, name, child(row, "items")) if "items" in row else None,
        outputs=child(row, "outputs") if "outputs" in row else None,
        operands=child(row, "operands") if "operands" in row else None,
        ml=child(row, "ml") if "ml" in row else None,
    )


def _decode_child(identity: Identity, step: str, tries: int, row: Mapping[str, object]) -> Key | None:
    kind, name = text(row, "kind"), text(row, "name")
    if not kind or not name:
        return identity.child(kind, step, naming.NO_ITEM, tries) if kind else None
    return Key(kind, identity.namespace, name)


def _decode_items(identity: Identity, name: str, row: Mapping[str, object]) -> Items:
    memories = {int(index): child(child(row, "memories"), index) for index in child(row, "memories")}
    return Items(
        total=number(row, "total"),
        former=number(row, "formerTries"),
        succeeded=parse_ranges(text(row, "succeeded")),
        failed=parse_ranges(text(row, "failedIndices")),
        cancelled=parse_ranges(text(row, "cancelled")),
        again=parse_ranges(text(row, "again")),
        failures=tuple(
            ItemFailure(number(entry, "i"), text(entry, "reason"), text(entry, "message"), text(entry, "knownCause"))
            for entry in rows(row, "failed")
        ),
        active={number(entry, "i"): _decode_active(identity, name, entry) for entry in rows(row, "active")},
        memories=memories,
        open=_decode_open(row, memories),
        pools=_decode_pools(row),
    )


def _decode_pools(row: Mapping[str, object]) -> tuple[str, ...]:
    pools = row.get("pools")
    return tuple(str(name) for name in pools) if isinstance(pools, list) else ()


def _decode_active(identity: Identity, name: str, entry: Mapping[str, object]) -> Unit:
    kind, index, try_ = text(entry, "kind"), number(entry, "i"), number(entry, "try")
    return Unit(
        state=State(text(entry, "state") or "Running"),
        tries=try_,
        attempt=number(entry, "attempt"),
        infrastructure_failures=number(entry, "infrastructureAttempt"),
        started_at=parse_time(entry.get("at")),
        until=parse_time(entry.get("until")),
        pending_until=parse_time(entry.get("pendingUntil")),
        next_attempt_at=parse_time(entry.get("next")),
        reason=text(entry, "reason"),
        child=identity.child(kind, name, index, try_) if kind else None,
        pool=text(child(entry, "assignment"), "pool"),
        task_type=text(child(entry, "assignment"), "taskType"),
        grant=decode_grant(child(entry, "assignment")),
        effect=number(entry, "effect"),
        is_open=entry.get("effectOpen") is True,
        calls=number(entry, "calls"),
        memory=child(entry, "memory"),
        cost_cents=number(entry, "costCents"),
    )
