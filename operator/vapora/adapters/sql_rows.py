"""Executions and days as rows of tables, as SQLite and PostgreSQL hold them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from vapora.core.learning.execution import DAY, DailyAggregate, Execution

Row = Sequence[str | int | float | None]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = EPOCH.date().toordinal()
_MICROSECOND = timedelta(microseconds=1)
DAY_MICROSECONDS = DAY // _MICROSECOND

EXECUTION_COLUMNS = (
    "id", "namespace", "workflow", "step", "item", "try", "pool", "role", "task_type", "outcome", "reason", "started",
    "finished", "quality", "tokens", "model", "provider", "cost_cents", "error_signature", "trace_id", "exit_code",
    "message", "runner_up", "depends_on", "produced", "deployed",
)  # fmt: skip
DAY_KEY = ("day", "namespace", "pool", "task_type")
DAY_SUMS = (
    "executions", "successes", "cancelled", "quality_sum", "quality_count", "latency", "tokens", "cost_cents",
)  # fmt: skip


def write_execution(execution: Execution) -> Row:
    """Returns an execution as the columns of a row."""
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
        write_time(execution.started),
        write_time(execution.finished),
        execution.quality,
        execution.tokens,
        execution.model,
        execution.provider,
        execution.cost_cents,
        execution.error_signature,
        execution.trace_id,
        execution.exit_code,
        execution.message,
        execution.runner_up,
        " ".join(execution.depends_on),
        " ".join(execution.produced),
        " ".join(execution.deployed),
    )


def read_execution(row: Row) -> Execution:
    """Returns the execution of a row; the stores' types are those of the columns, so none is converted twice."""
    return Execution(
        row[0],  # type: ignore[arg-type]  # the columns' types, here and below
        row[1],  # type: ignore[arg-type]
        row[2],  # type: ignore[arg-type]
        row[3],  # type: ignore[arg-type]
        row[4],  # type: ignore[arg-type]
        row[5],  # type: ignore[arg-type]
        row[6],  # type: ignore[arg-type]
        row[7],  # type: ignore[arg-type]
        row[8],  # type: ignore[arg-type]
        row[9],  # type: ignore[arg-type]
        row[10],  # type: ignore[arg-type]
        read_time(row[11]),
        read_time(row[12]),
        row[13],  # type: ignore[arg-type]
        row[14],  # type: ignore[arg-type]
        row[15],  # type: ignore[arg-type]
        row[16],  # type: ignore[arg-type]
        row[17],  # type: ignore[arg-type]
        row[18],  # type: ignore[arg-type]
        row[19],  # type: ignore[arg-type]
        row[20],  # type: ignore[arg-type]
        row[21],  # type: ignore[arg-type]
        row[22],  # type: ignore[arg-type]
        _read_words(row[23]),
        _read_words(row[24]),
        _read_words(row[25]),
    )


def write_day(days: DailyAggregate) -> Row:
    """Returns a day as the columns of a row."""
    return (
        write_date(days.day),
        days.namespace,
        days.pool,
        days.task_type,
        days.executions,
        days.successes,
        days.cancelled,
        days.quality_sum,
        days.quality_count,
        days.latency // _MICROSECOND,
        days.tokens,
        days.cost_cents,
    )


def read_day(row: Row) -> DailyAggregate:
    """Returns the day of a row."""
    day, namespace, pool, task_type, executions, successes, cancelled, quality, rated, latency, tokens, cents = row
    return DailyAggregate(
        day=date.fromordinal(_EPOCH_DAY + read_number(day)),
        namespace=str(namespace),
        pool=str(pool),
        task_type=str(task_type),
        executions=read_number(executions),
        successes=read_number(successes),
        cancelled=read_number(cancelled),
        quality_sum=float(quality or 0.0),
        quality_count=read_number(rated),
        latency=timedelta(microseconds=read_number(latency)),
        tokens=read_number(tokens),
        cost_cents=read_number(cents),
    )


def write_time(moment: datetime) -> int:
    """Returns microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def write_date(day: date) -> int:
    """Returns days since 1970."""
    return day.toordinal() - _EPOCH_DAY


def read_time(value: str | float | None) -> datetime:
    """Returns the moment of microseconds since 1970."""
    return EPOCH + timedelta(0, 0, int(value or 0))


def read_number(value: str | float | None) -> int:
    """Returns a whole number; PostgreSQL's sums are decimal."""
    return int(value or 0)


def _read_words(value: str | float | None) -> tuple[str, ...]:
    return tuple(value.split()) if value else ()  # type: ignore[union-attr]  # a column of text
