"""The keeper of what a status only refers to: makes it first, reads it back, lets go of what was replaced.

What a crash leaves behind goes with its Workflow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from vapora.controller.executor import Executor
from vapora.controller.ports import Beside, JsonObject, KubeApi, NotFound, at_once
from vapora.controller.runner import Retryable
from vapora.core.plan import Create
from vapora.core.views import WorkflowView, child, project_workflow, text
from vapora.core.workflow.keepsakes import (
    build_keepsake,
    find_keepsakes,
    keep_apart,
    keepsake_key,
    put_back,
    read_keepsake,
    select_keepsakes,
)
from vapora.core.workflow.status import Identity

_AT_ONCE = 8  # of up to a hundred reads
_SELECTED = 50  # names in one selector, so that it stays short


class KeepsakeLost(Exception):  # names an outcome, not a fault of ours
    """Says that what a status refers to is gone, or is not what was put there."""


class Keeper:
    """Keeps values apart from statuses. What exists is remembered by each run, in `kept`."""

    def __init__(self, api: KubeApi, executor: Executor) -> None:
        self._api = api
        self._executor = executor

    async def keep(
        self, identity: Identity, status: Mapping[str, object], kept: set[str], beside: Beside = at_once
    ) -> JsonObject:
        """Makes what is to stand apart, and returns the status that refers to it."""
        apart = await beside(partial(keep_apart, identity, status))
        fresh = [Create(build_keepsake(identity, name, apart.texts[name])) for name in apart.texts if name not in kept]
        if fresh and (problems := await self._executor.execute(fresh)):
            raise Retryable(problems[0].message)
        kept |= set(apart.texts)
        return apart.status

    async def read(self, identity: Identity, status: Mapping[str, object], kept: set[str]) -> Mapping[str, object]:
        """Returns a status with all that it refers to; raises KeepsakeLost."""
        names = find_keepsakes(status)
        if not names:
            return status
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(name: str) -> object:
            async with gate:
                return read_keepsake(identity, name, await self._api.get(keepsake_key(identity, name)))

        ordered = sorted(names)
        found = await asyncio.gather(*(read(name) for name in ordered), return_exceptions=True)
        values: dict[str, object] = {}
        for name, value in zip(ordered, found, strict=True):
            if isinstance(value, NotFound | ValueError):
                raise KeepsakeLost(f"ConfigMap {name}, which holds what this run needs, cannot be used: {value}")
            if isinstance(value, BaseException):
                raise value
            values[name] = value
        kept |= names
        return put_back(status, values)

    async def read_child(self, obj: Mapping[str, object]) -> WorkflowView:
        """Returns an ended child Workflow with all its outputs; those that are lost are as if it had not given them."""
        meta = child(obj, "metadata")
        identity = Identity(text(meta, "namespace"), text(meta, "name"), text(meta, "uid"))
        with suppress(KeepsakeLost):
            obj = {**obj, "status": await self.read(identity, child(obj, "status"), set())}
        return project_workflow(obj)

    async def let_go(self, identity: Identity, status: Mapping[str, object], kept: set[str]) -> None:
        """Deletes what the written status refers to no more."""
        unused = sorted(kept - find_keepsakes(status)) if kept else []
        for start in range(0, len(unused), _SELECTED):
            some = frozenset(unused[start : start + _SELECTED])
            selector = select_keepsakes(identity, some)
            await self._api.delete_collection("ConfigMap", identity.namespace, selector=selector)
            kept -= some
