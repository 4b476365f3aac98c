"""Executions as rows of a table, and the statements over them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vapora.core.learning.execution import Execution

Row = tuple[str | int | float | None, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COLUMNS = (
    "id", "namespace", "workflow", "step", "item", "try", "pool", "role", "task_type", "outcome", "reason", "started",
    "finished", "quality", "tokens", "model", "provider", "cost_cents", "error_signature", "trace_id",
)  # fmt: skip
# What a later record of the same try may not know any more, since a status keeps less than an agent's answer held, and
# of an item that has ended nothing but that.
_KEPT = {
    "pool": "''", "role": "''", "task_type": "''", "quality": "NULL", "tokens": "0", "model": "''", "provider": "''",
    "cost_cents": "0", "error_signature": "''", "trace_id": "''",
}  # fmt: skip


def _build_upsert() -> str:
    updates = [
        f"{name} = coalesce(nullif(excluded.{name}, {_KEPT[name]}), executions.{name})"
        if name in _KEPT
        else f"{name} = excluded.{name}"
        for name in _COLUMNS
        if name != "id"
    ]
    marks = ", ".join("?" for _ in _COLUMNS)
    return (
        f"INSERT INTO executions ({', '.join(_COLUMNS)}) VALUES ({marks}) "  # noqa: S608 - only names from above
        f"ON CONFLICT (id) DO UPDATE SET {', '.join(updates)}"
    )


_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM executions"  # noqa: S608 - only names from above
_LATEST = "ORDER BY finished DESC, id DESC LIMIT ?"

UPSERT = _build_upsert()
SELECT_BY_TASK_TYPE = f"{_SELECT} WHERE pool = ? AND task_type = ? {_LATEST}"
SELECT_BY_POOL = f"{_SELECT} WHERE pool = ? {_LATEST}"
SELECT_BY_NAMESPACE = f"{_SELECT} WHERE namespace = ? {_LATEST}"
# What a query may ask for, each as text: `'3'` finds the third item.
SELECT_BY_COLUMN = {
    name: f"{_SELECT} WHERE namespace = ? AND CAST({name} AS TEXT) = ? {_LATEST}"
    for name in _COLUMNS
    if name not in {"id", "namespace", "started", "finished"}
}
COUNT = "SELECT count(*) FROM executions"


def write_row(execution: Execution) -> Row:
    """Returns an execution as the columns of a row; times are microseconds since 1970."""
    return (
        execution.id,
        execution.namespace,
        execution.workflow,
        execution.step,
        execution.item,
        execution.try_,
        execution.pool,
        execution.role,
        execution.task_type,
        execution.outcome,
        execution.reason,
        (execution.started - _EPOCH) // _MICROSECOND,
        (execution.finished - _EPOCH) // _MICROSECOND,
        execution.quality,
        execution.tokens,
        execution.model,
        execution.provider,
        execution.cost_cents,
        execution.error_signature,
        execution.trace_id,
    )


def read_row(row: Row) -> Execution:
    """Returns the execution of a row."""
    return Execution(
        id=str(row[0]),
        namespace=str(row[1]),
        workflow=str(row[2]),
        step=str(row[3]),
        item=None if row[4] is None else int(row[4]),
        try_=int(row[5] or 0),
        pool=str(row[6]),
        role=str(row[7]),
        task_type=str(row[8]),
        outcome=str(row[9]),
        reason=str(row[10]),
        started=_read_time(row[11]),
        finished=_read_time(row[12]),
        quality=None if row[13] is None else float(row[13]),
        tokens=int(row[14] or 0),
        model=str(row[15]),
        provider=str(row[16]),
        cost_cents=int(row[17] or 0),
        error_signature=str(row[18]),
        trace_id=str(row[19]),
    )


def _read_time(value: str | float | None) -> datetime:
    return _EPOCH + timedelta(microseconds=int(value or 0))
