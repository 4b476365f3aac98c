"""How long steps are expected to take, by namespace: from the latest executions there, then from what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from vapora.controller.ports import Clock, KnowledgeGraph
from vapora.controller.runs import Run
from vapora.core.learning.execution import Execution, GraphUnavailable
from vapora.core.supported import SpecProblem
from vapora.core.workflow.estimates import Durations, Estimates, estimate_steps

LATEST = 1000  # executions of a namespace that are read
_AGAIN_SECONDS = 10.0  # between two estimates of the same run


class Expectations:
    """Keeps means of durations and estimates runs by them; until something is known, all steps count equal."""

    def __init__(self, graph: KnowledgeGraph | None, clock: Clock) -> None:
        self._graph = graph
        self._clock = clock
        self._durations: dict[str, Durations] = {}
        self._unread: dict[str, None] = {}
        self._has_work = asyncio.Event()

    def clear(self) -> None:
        """Forgets all: another leader may have recorded since."""
        self._durations.clear()
        self._unread.clear()

    def estimate(self, run: Run) -> Estimates | None:
        """Returns what is expected of a run, which remembers it for a while."""
        now, definition, namespace = self._clock.monotonic(), run.definition, run.identity.namespace
        if isinstance(definition, SpecProblem):
            return None
        known = run.estimates
        if known is not None and now - known[0] < _AGAIN_SECONDS and len(known[1].rest) == len(definition.steps):
            return known[1]
        durations = self._durations.get(namespace)
        if durations is None:
            durations = self._durations[namespace] = Durations()
            self._unread[namespace] = None
            self._has_work.set()
        run.estimates = (now, estimate_steps(definition, durations))
        return run.estimates[1]

    def note(self, executions: Sequence[Execution]) -> None:
        """Takes what was recorded."""
        for execution in executions:
            if (durations := self._durations.get(execution.namespace)) is not None:
                durations.note(execution)

    async def run(self) -> None:
        """Reads what namespaces did last, until it is cancelled; what cannot be read is learned from now on."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while self._unread:
                await self._read(self._unread.popitem()[0])

    async def _read(self, namespace: str) -> None:
        if self._graph is None:
            return
        try:
            found = await self._graph.find_executions(namespace, "", "", LATEST)
        except GraphUnavailable:
            return
        durations = self._durations.setdefault(namespace, Durations())
        newer = Durations(dict(durations.steps), dict(durations.task_types))
        for execution in reversed(found):
            durations.note(execution)
        durations.steps.update(newer.steps)
        durations.task_types.update(newer.task_types)
