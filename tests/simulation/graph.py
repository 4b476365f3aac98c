"""The knowledge graph in memory: what was recorded how often; it can be away."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime

from vapora.core.learning.execution import Execution, GraphUnavailable, KnownCause


class Graph:
    """Keeps executions by id, and every outcome that was ever recorded of each."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.is_down = False
        self.rows: dict[str, Execution] = {}
        self.outcomes: dict[str, set[str]] = {}


class GraphPort:
    """Is KnowledgeGraph for one life of the operator, as far as the engine uses it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @property
    def problem(self) -> str | None:
        return None

    async def record(self, executions: Sequence[Execution]) -> None:
        graph = self._graph
        await asyncio.sleep(graph.chance.random() * 0.02)
        if graph.is_down:
            raise GraphUnavailable("the disk is full")
        for row in executions:
            graph.rows[row.id] = row
            graph.outcomes.setdefault(row.id, set()).add(row.outcome)

    async def find_known_cause(self, signature: str, namespace: str | None = None) -> KnownCause | None:
        found = [
            row for row in self._graph.rows.values() if (row.error_signature, row.namespace) == (signature, namespace)
        ]
        return KnownCause(signature, len(found), found[0].finished, found[-1]) if found else None

    async def prune(self, before: datetime, keep: int) -> int:
        return 0

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass
