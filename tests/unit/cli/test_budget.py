"""What `vapora budget` shows: of pools as they stand or of the graph, of workflows, of kinds of work."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.learning.builders import an_execution
from typer.testing import CliRunner

from vapora.cli import main
from vapora.cli.exits import Exit
from vapora.cli.show.budget import BUDGET, build_table, list_budgets, list_task_types, list_workflows
from vapora.core.learning.days import sum_days

Json = dict[str, Any]
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)  # the middle of a week


def pool(name: str, week: int = 0, month: int = 0, *, at: str = "2026-11-26T11:00:00Z", **budget: object) -> Json:
    spend = {"weekCents": week, "monthCents": month, "reservedCents": 7, "tier": "normal", "at": at} if month else {}
    return {"metadata": {"name": name}, "spec": {"budget": budget} if budget else {}, "status": {"spend": spend}}


POOLS = [
    pool("amber", 300, 1000, weeklyCents=1000, monthlyCents=4000),
    pool("birch", 50, 50),
    pool("cedar", weeklyCents=10, atLimit="allow"),
    pool("delta"),
]


def read(rows: list[Json], *names: str) -> list[tuple[object, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_each_window_has_its_spend_its_share_and_its_forecast() -> None:
    found = list_budgets(POOLS, NOW)
    assert read(found, "pool", "window", "spentCents", "limitCents", "usedShare", "forecastCents") == [
        ("amber", "week", 300, 1000, 0.3, 600),
        ("amber", "month", 1000, 4000, 0.25, 1176),
        ("birch", "week", 50, None, None, 100),
        ("birch", "month", 50, None, None, 59),
        ("cedar", "week", 0, 10, 0.0, 0),
        ("cedar", "month", 0, None, None, 0),
    ]
    assert read(found, "atLimit", "endsAt")[4:] == [("allow", "2026-11-30T00:00:00Z"), (None, "2026-12-01T00:00:00Z")]


def test_what_a_status_said_last_week_says_nothing_of_this_one() -> None:
    found = list_budgets([pool("amber", 300, 1000, at="2026-11-20T00:00:00Z", weeklyCents=1000)], NOW)
    assert read(found, "spentCents", "forecastCents") == [(None, None), (1000, 1176)]


def test_the_graph_knows_better_than_a_status() -> None:
    found = list_budgets(POOLS, NOW, {"amber": (310, 1010), "delta": (1, 2)})
    assert read(found, "pool", "spentCents")[:2] == [("amber", 310), ("amber", 1010)]
    assert read(found, "pool", "spentCents")[-2:] == [("delta", 1), ("delta", 2)]


def test_a_table_has_a_dash_where_there_is_no_limit() -> None:
    table = build_table(list_budgets(POOLS[1:2], NOW), BUDGET, is_wide=False)
    assert [next(iter(column.cells)) for column in table.columns] == [
        "birch", "week", "50", "-", "-", "7", "100", "normal",
    ]  # fmt: skip


def test_workflows_that_cost_something_come_the_dearest_first() -> None:
    def workflow(name: str, cents: int, **spec: object) -> Json:
        return {"metadata": {"name": name}, "spec": spec, "status": {"phase": "Running", "costCents": cents}}

    found = list_workflows([workflow("a", 5), workflow("b", 9, maxCostCents=10), workflow("c", 0)])
    assert read(found, "workflow", "costCents", "limitCents") == [("b", 9, 10), ("a", 5, None)]


def test_kinds_of_work_come_the_dearest_first() -> None:
    rows = [
        an_execution(1, cost_cents=3, tokens=10, task_type="review"),
        an_execution(2, cost_cents=4, task_type="testing"),
        an_execution(3, cost_cents=3, tokens=5, task_type="review"),
        an_execution(4, cost_cents=0, task_type="free"),
    ]
    assert read(list_task_types(sum_days(rows)), "taskType", "costCents", "executions", "tokens")[0][:3] == (
        "review",
        6,
        2,
    )


MISTAKES = {
    "one pool's workflows": (["budget", "p", "--by", "workflow"], "--by workflow is of a whole namespace"),
    "kinds of work without a store": (["budget", "--by", "task-type"], "--by task-type asks the knowledge graph"),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_of_use(arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAPORA_GRAPH_URL", raising=False)
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, words in result.stderr) == (Exit.USAGE, True)


def test_help_has_an_example() -> None:
    assert "Example: vapora budget" in CliRunner().invoke(main, ["budget", "--help"]).stdout
