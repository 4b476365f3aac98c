"""What the knowledge graph tells, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from vapora.cli.show.spans import describe_span
from vapora.cli.show.steps import tidy
from vapora.core.learning.days import Sum
from vapora.core.learning.execution import Execution, KnownCause
from vapora.core.learning.signature import describe_solution
from vapora.core.learning.trend import PoolTrend

_TIME = "%Y-%m-%d %H:%M:%S"


def build_executions(found: Sequence[Execution]) -> Table:
    """Builds the table of executions; a row keeps to one line."""
    table = _build(
        "FINISHED", "WORKFLOW", "STEP", "TRY", "TYPE", "POOL", "OUTCOME", "TOOK", "CENTS", "ERROR", "MESSAGE"
    )
    for row in found:
        step = row.step if row.item is None else f"{row.step}[{row.item}]"
        table.add_row(
            f"{row.finished:{_TIME}}",
            row.workflow,
            step,
            str(row.try_),
            row.task_type,
            row.pool,
            row.reason if row.outcome == "failure" else row.outcome,
            describe_span(row.latency.total_seconds()),
            str(row.cost_cents),
            row.error_signature,
            tidy(row.message),
        )
    return table


def build_cause(cause: KnownCause) -> Table:
    """Builds what is known of an error, a line each."""
    latest, solver = cause.latest, cause.solved_by
    table = _build("", "", has_header=False)
    times = "once" if cause.seen == 1 else f"{cause.seen} times"
    table.add_row("Seen", f"{times}, first {cause.first_seen:{_TIME}}, last {latest.finished:{_TIME}}")
    table.add_row("Error", tidy(f"{latest.reason}: {latest.message}" if latest.message else latest.reason))
    table.add_row("Last in", f"try {latest.try_} of step {latest.step} of {latest.namespace}/{latest.workflow}")
    table.add_row("Solved by", describe_solution(solver) if solver else "nothing yet")
    return table


def build_costs(by: str, found: Sequence[Sum]) -> Table:
    """Builds the table of what was spent, by what it was added up by."""
    table = _build(by.upper(), "CENTS", "EXECUTIONS", "SUCCEEDED", "TOKENS", "TOOK")
    for row in found:
        rate = f"{row.successes / row.executions:.0%}" if row.executions else ""
        took = describe_span(row.latency.total_seconds())
        table.add_row(row.name or "-", str(row.cost_cents), str(row.executions), rate, str(row.tokens), took)
    return table


def build_trends(found: Sequence[PoolTrend]) -> Table:
    """Builds the table of who got better or worse."""
    table = _build("POOL", "TREND", "A DAY", "DAYS", "EXECUTIONS", "SUCCEEDED")
    for row in found:
        slope = "" if row.slope_per_day is None else f"{row.slope_per_day:+.3f}"
        rate = f"{row.successes / row.executions:.0%}"
        table.add_row(row.pool, row.direction, slope, str(row.days), str(row.executions), rate)
    return table


def _build(*titles: str, has_header: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold", show_header=has_header)
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table
