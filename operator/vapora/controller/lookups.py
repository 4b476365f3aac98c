"""Looks up what a plan lacks to decide: the history of pools, and results that stand in ConfigMaps and logs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from dataclasses import replace

from vapora.controller.ports import ApiError, KubeApi, NotFound
from vapora.core.learning.profile import Learned
from vapora.core.plan import Key
from vapora.core.workflow.observed import Observed, WorkflowPlan
from vapora.core.workflow.readings import CONTAINER, Reading, Source, read_data, read_lines

LookUp = Callable[[str, Set[tuple[str, str]]], Awaitable[Learned | None]]  # of a namespace, of pools and task types

_AT_ONCE = 8
_LINES = 80


class Lookups:
    """Completes what was observed. A result that cannot be read says whether that may pass."""

    def __init__(self, api: KubeApi, look_up: LookUp) -> None:
        self._api = api
        self._look_up = look_up
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def complete(self, observed: Observed, decided: WorkflowPlan) -> Observed:
        """Returns what was observed with all that the plan asked for; the same object where it asked for nothing."""
        if decided.lacks:
            learned = await self._look_up(observed.identity.namespace, decided.lacks)
            observed = replace(observed, learned=learned)
        if decided.unread:
            read = await asyncio.gather(*map(self._read, decided.unread.values()))
            readings = dict(zip(decided.unread, read, strict=True))
            observed = replace(observed, readings={**observed.readings, **readings})
        return observed

    async def _read(self, source: Source) -> Reading:
        async with self._gate:
            kept = await self._read_config_map(source) if source.config_map else Reading()
            if kept.result is not None or kept.is_passing:
                return kept
            told = await self._read_log(source)
        return replace(told, problem="; ".join(filter(None, (kept.problem, told.problem))))

    async def _read_config_map(self, source: Source) -> Reading:
        name = source.config_map
        try:
            found = await self._api.get(Key("ConfigMap", source.pod.namespace, name))
        except NotFound:
            return Reading(problem=f"there is no ConfigMap {name}")
        except ApiError as problem:
            return Reading(problem=f"ConfigMap {name} cannot be read: {problem}", is_passing=not problem.is_permanent)
        return read_data(found, source.since)

    async def _read_log(self, source: Source) -> Reading:
        try:
            return read_lines(await self._api.read_log(source.pod, container=CONTAINER, lines=_LINES))
        except ApiError as problem:
            is_lasting = problem.is_permanent or isinstance(problem, NotFound)
            return Reading(problem=f"its log cannot be read: {problem}", is_passing=not is_lasting)
