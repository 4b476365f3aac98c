"""Reads of steps in the knowledge graph: executions of the workflow's own namespace, and of no other."""

from __future__ import annotations

from dataclasses import asdict

from vapora.controller.ports import KnowledgeGraph
from vapora.core.calls import Account, Answer, GraphCall
from vapora.core.conditions import timestamp
from vapora.core.learning.execution import Execution, GraphUnavailable


class GraphCaller:
    """Is Caller for GraphCall; without a graph it says so."""

    def __init__(self, graph: KnowledgeGraph | None) -> None:
        self._graph = graph

    async def call(self, call: GraphCall, account: Account) -> Answer:
        """Returns the rows; the names of their columns are those of Execution, `try` without an underscore."""
        if self._graph is None:
            return Answer(reason="GraphUnavailable", message="the operator runs without a knowledge graph")
        try:
            found = await self._graph.find_executions(account.namespace, call.column, call.value, call.limit)
        except GraphUnavailable as problem:
            return Answer(reason="GraphUnavailable", message=str(problem))
        return Answer([_write(execution) for execution in found])


def _write(execution: Execution) -> dict[str, object]:
    row = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(execution).items()}
    row["try"] = row.pop("try_")
    return {**row, "started": timestamp(execution.started), "finished": timestamp(execution.finished)}
