"""Lets old executions go, a few at a time so that nobody waits for it; the sums of their days stay."""

from __future__ import annotations

import logging
from datetime import timedelta

from vapora.controller.learning_meter import LearningMeter
from vapora.controller.ports import Clock, KnowledgeGraph
from vapora.core.learning.execution import GraphUnavailable

log = logging.getLogger(__name__)

_EVERY = 3600.0
_PAUSE = 0.2


class Retention:
    """Keeps executions of the last `days` days, and of these the latest `executions`."""

    def __init__(
        self, graph: KnowledgeGraph, clock: Clock, meter: LearningMeter, *, days: int, executions: int
    ) -> None:
        self._graph = graph
        self._clock = clock
        self._meter = meter
        self._age = timedelta(days=days)
        self._executions = executions

    async def run(self) -> None:
        """Looks every hour, and how large the store is, until it is cancelled."""
        while True:
            try:
                if gone := await self.prune():
                    log.info("old executions were let go", extra={"executions": gone})
                if (size := await self._graph.measure()) is not None:
                    self._meter.graph_measured(size)
            except GraphUnavailable as problem:
                log.info("old executions could not be let go", extra={"problem": str(problem)})
            await self._clock.sleep(_EVERY)

    async def prune(self) -> int:
        """Lets go of all that are too old or too many; returns how many."""
        total = 0
        while gone := await self._graph.prune(self._clock.now() - self._age, self._executions):
            total += gone
            await self._clock.sleep(_PAUSE)
        return total
