"""What pools spend, as people and programs look at it: of pools and workflows as they stand, or of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.table import Table

from vapora.cli.show.learned import Column, Row, build_rows
from vapora.core.budget.windows import Window, find_month, find_week, forecast_spend
from vapora.core.conditions import timestamp
from vapora.core.learning.days import sum_by
from vapora.core.learning.execution import DailyAggregate
from vapora.core.views import child, number, parse_time, text

Object = Mapping[str, object]
Sums = Mapping[str, tuple[int, int]]
"""What pools have spent this week and this month, by their names."""

BUDGET = (
    Column("POOL", "pool"),
    Column("WINDOW", "window"),
    Column("SPENT", "spentCents"),
    Column("LIMIT", "limitCents"),
    Column("USED", "usedShare", is_share=True),
    Column("RESERVED", "reservedCents"),
    Column("FORECAST", "forecastCents"),
    Column("TIER", "tier"),
    Column("ENDS", "endsAt", is_wide=True),
    Column("AT-LIMIT", "atLimit", is_wide=True),
)
WORKFLOWS = (
    Column("WORKFLOW", "workflow"),
    Column("CENTS", "costCents"),
    Column("LIMIT", "limitCents"),
    Column("PHASE", "state"),
    Column("STARTED", "startedAt", is_wide=True),
)
TASK_TYPES = (
    Column("TASK-TYPE", "taskType"),
    Column("CENTS", "costCents"),
    Column("TASKS", "executions"),
    Column("TOKENS", "tokens"),
)


def list_budgets(pools: Sequence[Object], now: datetime, sums: Sums | None = None) -> list[Row]:
    """Returns a row for each pool and window, of pools that have a budget or spend; `sums` are newer than statuses."""
    found = []
    for pool in pools:
        spec, spend = child(pool, "spec", "budget"), child(pool, "status", "spend")
        name = text(child(pool, "metadata"), "name")
        if not (spec or spend or any((sums or {}).get(name, ()))):
            continue
        week, month = (find_week(now), "weekCents", "weeklyCents"), (find_month(now), "monthCents", "monthlyCents")
        for place, (window, known, limit) in enumerate((week, month)):
            spent = sums[name][place] if sums and name in sums else _read_spent(spend, known, window)
            found.append(_build_row(name, window, spent, spec, spend, limit, now))
    return found


def list_workflows(workflows: Sequence[Object]) -> list[Row]:
    """Returns a row for each workflow that has cost something, the dearest first."""
    found: list[Row] = [
        {
            "workflow": text(child(workflow, "metadata"), "name"),
            "costCents": number(child(workflow, "status"), "costCents"),
            "limitCents": child(workflow, "spec").get("maxCostCents"),
            "state": text(child(workflow, "status"), "phase"),
            "startedAt": text(child(workflow, "status"), "startedAt"),
        }
        for workflow in workflows
        if number(child(workflow, "status"), "costCents")
    ]
    return sorted(found, key=lambda row: (-number(row, "costCents"), str(row["workflow"])))


def list_task_types(days: Sequence[DailyAggregate]) -> list[Row]:
    """Returns a row for each task type that has cost something, the dearest first."""
    return [
        {"taskType": row.name, "costCents": row.cost_cents, "executions": row.executions, "tokens": row.tokens}
        for row in sum_by("task_type", days)
        if row.cost_cents
    ]


def build_table(found: Sequence[Row], columns: Sequence[Column], *, is_wide: bool) -> Table:
    """Builds the table; what has no limit shows none."""
    shown = [
        {name: "-" if name in _MAY_LACK and value is None else value for name, value in row.items()} for row in found
    ]
    return build_rows(shown, columns, is_wide=is_wide)


_MAY_LACK = frozenset({"limitCents", "usedShare", "atLimit"})


def _read_spent(spend: Object, name: str, window: Window) -> int | None:
    """Reads the spend of a status; None where it is of a window of before, and so says nothing of this one."""
    at = parse_time(spend.get("at"))
    return number(spend, name) if at is None or at >= window.start or not number(spend, name) else None


def _build_row(
    pool: str, window: Window, spent: int | None, budget: Object, spend: Object, limit: str, now: datetime
) -> Row:
    cents = budget.get(limit)
    share = spent / cents if spent is not None and isinstance(cents, int) and cents else None
    return {
        "pool": pool,
        "window": window.word,
        "spentCents": spent,
        "limitCents": cents,
        "usedShare": None if share is None else round(share, 4),
        "reservedCents": number(spend, "reservedCents"),
        "forecastCents": None if spent is None else forecast_spend(spent, window, now),
        "tier": text(spend, "tier") or "-",
        "endsAt": timestamp(window.end),
        "atLimit": (text(budget, "atLimit") or "hold") if cents is not None else None,
    }
