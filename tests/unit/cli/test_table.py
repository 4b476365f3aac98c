"""The list of workflows, with the columns of `kubectl get`."""

import io

import pytest
from rich.console import Console
from tests.unit.cli.objects import FAILED, NOW, RUNNING

from vapora.api.kinds import WORKFLOW, Column
from vapora.cli.show.table import build_table, read_path


def draw(*, is_wide: bool = False, has_namespaces: bool = False, width: int = 300) -> list[str]:
    file = io.StringIO()
    table = build_table([RUNNING, FAILED], WORKFLOW, NOW, is_wide=is_wide, has_namespaces=has_namespaces)
    Console(file=file, width=width).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_the_columns_are_those_of_kubectl() -> None:
    assert draw()[0].split() == ["NAME", "PHASE", "PROGRESS", "STEP", "WAITING-ON", "AGE"]
    assert draw(is_wide=True)[0].split()[-4:] == ["COST", "RETRIES", "ETA", "MESSAGE"]
    assert draw(has_namespaces=True)[0].split()[0] == "NAMESPACE"


def test_a_row_shows_how_a_workflow_stands() -> None:
    assert draw()[1].split()[:3] == ["release", "Running", "2/7"]
    assert draw()[1].endswith("2m00s")
    assert draw(is_wide=True)[2].endswith("publish: ExitCode: exit code 1")


def test_a_narrow_terminal_cuts_rows_and_breaks_none() -> None:
    lines = draw(is_wide=True, width=60)
    assert len(lines) == 3
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("column", WORKFLOW.columns, ids=lambda column: column.name)
def test_every_column_is_read_where_there_is_nothing_yet(column: Column) -> None:
    assert read_path({"metadata": {}, "spec": {}}, column.path) is None


def test_a_filtered_path_finds_its_row() -> None:
    path = '.status.conditions[?(@.type=="Succeeded")].reason'
    assert (read_path(FAILED, path), read_path({}, path)) == ("StepFailed", None)
