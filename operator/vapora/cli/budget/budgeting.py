"""What `vapora budget` does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from vapora.api.kinds import AGENT_POOL
from vapora.cli.actions import run_command
from vapora.cli.client import open_api
from vapora.cli.exits import Exit
from vapora.cli.graph.graphing import ask_graph
from vapora.cli.manifest import KIND
from vapora.cli.show.budget import (
    BUDGET,
    TASK_TYPES,
    WORKFLOWS,
    Sums,
    build_table,
    list_budgets,
    list_task_types,
    list_workflows,
)
from vapora.cli.show.learned import Column, Row
from vapora.cli.show.printing import print_rows
from vapora.cli.target import Target
from vapora.controller.ports import JsonObject, KnowledgeGraph
from vapora.core.budget.windows import find_month, find_week
from vapora.core.learning.execution import DailyAggregate
from vapora.core.plan import Key
from vapora.core.views import child, text


def show_budgets(target: Target, pool: str | None, store: str | None, *, output: str) -> int:
    """Prints what the pools of a namespace, or one of them, have spent and will."""
    now = datetime.now(UTC)

    async def work() -> Exit:
        pools = [await _get(target, pool)] if pool else await _list(target, AGENT_POOL.name)
        found.extend(pools)
        return Exit.DONE

    found: list[JsonObject] = []
    if code := run_command(work()):
        return code
    names = [text(child(obj, "metadata"), "name") for obj in found]
    sums = _read_sums(store, target.namespace, names, now) if store else None
    _print(list_budgets(found, now, sums), BUDGET, output, f"No pool in namespace {target.namespace} spends anything.")
    return int(Exit.DONE)


def show_workflows(target: Target, *, output: str) -> int:
    """Prints what the workflows of a namespace that still exist have cost, the dearest first."""

    async def work() -> Exit:
        found = list_workflows(await _list(target, KIND))
        _print(found, WORKFLOWS, output, f"No workflow in namespace {target.namespace} has cost anything.")
        return Exit.DONE

    return run_command(work())


def show_task_types(target: Target, pool: str | None, store: str, *, output: str) -> int:
    """Prints what the kinds of work of a pool, or of a namespace, have cost this month."""
    first = find_month(datetime.now(UTC)).start.date()
    identity = f"{target.namespace}/{pool}" if pool else None

    async def read(graph: KnowledgeGraph) -> list[DailyAggregate]:
        days = await graph.get_daily_aggregates(identity, None, first)
        return [day for day in days if day.namespace == target.namespace]

    where = f"pool {pool}" if pool else f"namespace {target.namespace}"
    _print(list_task_types(ask_graph(store, read)), TASK_TYPES, output, f"Nothing in {where} has cost anything.")
    return int(Exit.DONE)


def _read_sums(store: str, namespace: str, names: Sequence[str], now: datetime) -> Sums:
    async def read(graph: KnowledgeGraph) -> dict[str, tuple[int, int]]:
        starts = (find_week(now).start, find_month(now).start)
        found = {}
        for name in names:
            week, month = [await graph.sum_spend(f"{namespace}/{name}", start) for start in starts]
            found[name] = (week, month)
        return found

    return ask_graph(store, read)


def _print(found: Sequence[Row], columns: Sequence[Column], output: str, nothing: str) -> None:
    print_rows(found, build_table(found, columns, is_wide=output == "wide"), output, nothing=nothing)


async def _get(target: Target, pool: str) -> JsonObject:
    async with open_api(target) as api:
        return await api.get(Key(AGENT_POOL.name, target.namespace, pool))


async def _list(target: Target, kind: str) -> list[JsonObject]:
    async with open_api(target) as api:
        return [obj async for obj in api.list(kind)]
