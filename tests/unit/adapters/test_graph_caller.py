"""Reads of steps in the knowledge graph."""

from collections.abc import Sequence

from tests.unit.learning.builders import an_execution

from vapora.adapters.graph_caller import GraphCaller
from vapora.adapters.sql_statements import SELECT_BY_COLUMN
from vapora.core.calls import Account, GraphCall
from vapora.core.learning.execution import Execution, GraphUnavailable
from vapora.core.tasks.provisioning.asking.querying import COLUMNS

ACCOUNT = Account("shop", "reader")


class Graph:
    """Gives one execution, or says that it is away."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.is_away = is_away

    async def find_executions(self, namespace: str, column: str, value: str, limit: int) -> Sequence[Execution]:
        if self.is_away:
            raise GraphUnavailable("the disk is full")
        return [an_execution(3, namespace=namespace, step=value)][:limit]


async def test_rows_have_the_columns_that_a_query_may_name() -> None:
    answer = await GraphCaller(Graph()).call(GraphCall("step", "build"), ACCOUNT)  # type: ignore[arg-type]  # one call of it
    [row] = answer.value  # type: ignore[misc]  # a list
    assert set(COLUMNS["executions"]) <= set(row)
    assert (row["namespace"], row["step"], row["try"], row["finished"]) == ("shop", "build", 3, "2026-03-01T12:00:00Z")


def test_every_column_that_a_query_may_compare_can_be_looked_for() -> None:
    assert set(COLUMNS["executions"]) - {"started", "finished"} <= set(SELECT_BY_COLUMN)


async def test_a_graph_that_is_away_or_not_there_says_so() -> None:
    away = await GraphCaller(Graph(is_away=True)).call(GraphCall(), ACCOUNT)  # type: ignore[arg-type]  # as above
    none = await GraphCaller(None).call(GraphCall(), ACCOUNT)
    assert (away.reason, away.message) == ("GraphUnavailable", "the disk is full")
    assert (none.reason, none.message) == ("GraphUnavailable", "the operator runs without a knowledge graph")
