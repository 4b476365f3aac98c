"""What `vapora graph` prints of a store, takes out of it and puts in."""

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from tests.unit.learning.builders import an_execution
from typer.testing import CliRunner

from vapora.adapters.sqlite_graph import SqliteGraph
from vapora.cli.exits import Exit
from vapora.cli.graph.commands import graph

SNAPSHOT = Path(__file__).parent / "snapshots" / "graph.txt"
Call = Callable[..., Result]
SIGNATURE = "e-1fe5033ca654fa47"
FAILED = {"outcome": "failure", "reason": "ExitCode", "exit_code": 28, "error_signature": SIGNATURE}
ROWS = [
    an_execution(1, pool="", task_type="run", message="exit code 28:\n\x1b[31mdisk 3 is full", **FAILED),
    an_execution(2, days_ago=-0.01, pool="", task_type="run"),
    an_execution(1, uid="0d1f", days_ago=1.5, cost_cents=120, tokens=5000, item=4),
    an_execution(2, uid="0d1f", days_ago=2, cost_cents=30, pool="shop/reviewer", task_type="code-review"),
    an_execution(1, uid="77aa", days_ago=3, cost_cents=990, namespace="bank", pool="bank/clerk", outcome="cancelled"),
]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/graph.db"


@pytest.fixture
def call(store: str) -> Call:
    def call(*arguments: str, source: str = "") -> Result:
        environment = {"VAPORA_GRAPH_URL": store}
        return CliRunner(env=environment).invoke(graph, list(arguments), input=source)

    return call


def record(store: str, rows: list) -> None:
    async def write() -> None:
        opened = SqliteGraph(Path(store.removeprefix("sqlite://")))
        await opened.open()
        await opened.record(rows)
        await opened.close()

    asyncio.run(write())


ASKED = (
    ("query", "executions", "-n", "shop"),
    ("query", "executions", "-n", "shop", "--where", "task-type=code-review"),
    ("query", "cause", SIGNATURE),
    ("query", "cost", "--days", "10000"),
    ("query", "cost", "--days", "10000", "--by", "pool"),
    ("query", "cost", "--days", "10000", "--by", "task-type"),
)


def test_what_is_printed_stays_as_it_is(call: Call, store: str) -> None:
    record(store, ROWS)
    printed = "".join(f"$ vapora graph {' '.join(asked)}\n{call(*asked).stdout}\n" for asked in ASKED)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(printed)
    assert printed == SNAPSHOT.read_text()


def test_the_trend_shows_the_worst_first(call: Call, store: str) -> None:
    noon = datetime.now(UTC).replace(hour=0, minute=0, second=1)
    changes = {"task_type": "code-review", "outcome": "success"}
    rows = [
        an_execution(number, uid=pool, pool=f"shop/{pool}", **{**changes, "outcome": outcome, "finished": finished})
        for pool, outcomes in (("falling", "ssff"), ("rising", "fsss"), ("young", "sf"))
        for number, (letter, finished) in enumerate(
            zip(outcomes, (noon - timedelta(days=4 - day) for day in range(4)), strict=False)
        )
        for outcome in ["success" if letter == "s" else "failure"]
    ]
    record(store, [*rows, an_execution(9, finished=noon)])
    lines = [line.split() for line in call("query", "trend", "code-review").stdout.splitlines()]
    assert lines == [
        ["POOL", "TREND", "A", "DAY", "DAYS", "EXECUTIONS", "SUCCEEDED"],
        ["shop/falling", "Declining", "-0.400", "4", "4", "50%"],
        ["shop/young", "Stable", "2", "2", "50%"],
        ["shop/rising", "Improving", "+0.300", "4", "4", "75%"],
    ]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(asked[1:]))
def test_programs_get_json(call: Call, store: str, asked: tuple[str, ...]) -> None:
    record(store, ROWS)
    assert json.loads(call(*asked, "-o", "json").stdout)


def test_what_is_exported_can_be_imported(call: Call, store: str, tmp_path: Path) -> None:
    record(store, ROWS)
    file, copy = tmp_path / "graph.jsonl", f"sqlite://{tmp_path}/copy.db"
    assert call("export", str(file)).stderr == "5 lines exported\n"
    lines = file.read_text()
    assert call("export").stdout == lines
    assert call("import", str(file), "--store", copy, "--dry-run").stderr == "5 lines would be imported (dry run)\n"
    assert not (tmp_path / "copy.db").exists()
    assert call("import", str(file), "--store", copy).stderr == "5 lines imported\n"
    assert call("import", "-", "--store", copy, source=lines).exit_code == Exit.DONE
    assert call("export", "--store", copy).stdout == lines
    assert sorted(path.name for path in tmp_path.glob("*.jsonl*")) == ["graph.jsonl"]


MISTAKES = {
    "no store": (("query", "cost", "--store", "sqlite:///nowhere/graph.db"), Exit.NOT_FOUND, "there is no file"),
    "an address of no store": (("query", "cost", "--store", "mysql://x/y"), Exit.USAGE, "begins with 'mysql'; allowed"),
    "half an address": (("query", "cost", "--store", "postgresql://db"), Exit.USAGE, "is no full address"),
    "a store that is away": (
        ("query", "cost", "--store", "postgresql://vapora:s3cr3t@127.0.0.1:1/vapora"),
        Exit.REFUSED,
        "postgresql://127.0.0.1:1/vapora: ",
    ),
    "an unknown column": (("query", "executions", "-n", "x", "--where", "a=b"), Exit.USAGE, "there is no column a"),
    "a column without a value": (("query", "executions", "-n", "x", "--where", "step"), Exit.USAGE, "COLUMN=VALUE"),
    "an error nobody saw": (("query", "cause", "e-0"), Exit.NOT_FOUND, "no execution failed with e-0"),
    "a file that is not there": (("import", "/nowhere.jsonl"), Exit.USAGE, "/nowhere.jsonl: No such file"),
    "a line that is none, before it is imported": (("import", "-", "--dry-run"), Exit.USAGE, "-: line 1 is neither"),
    "a line that is none": (("import", "-"), Exit.USAGE, "-: line 1 is neither"),
}


@pytest.mark.parametrize(("asked", "code", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_say_what_is_wrong(call: Call, store: str, asked: tuple[str, ...], code: Exit, words: str) -> None:
    record(store, ROWS[:1])
    result = call(*asked, source="{}\n")
    assert (result.exit_code, words in result.stderr, "s3cr3t" in result.stderr) == (code, True, False), result.stderr
