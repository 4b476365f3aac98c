"""Watches of the Kubernetes API that go on for ever: list, follow, list again after a loss."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import aclosing

from vapora.adapters.kube_client import KubernetesApi
from vapora.controller.ports import ApiError, Clock, Gone, JsonObject, Meter, NotFound
from vapora.core.views import child, text

log = logging.getLogger(__name__)

_PAUSE_FIRST = 0.1
_PAUSE_MAX = 30.0
_EVERY_VERSION = 2**63


class KubeInformer:
    """Is EventSource over the Kubernetes API.

    A connection that breaks, or says nothing for too long, is made again from where it was; after a loss (410), or any
    error the server reports, everything is listed again. A kind that the cluster does not have has no objects, until it
    has the kind.
    """

    def __init__(self, api: KubernetesApi, clock: Clock, meter: Meter, jitter: Callable[[], float]) -> None:
        self._api = api
        self._clock = clock
        self._meter = meter
        self._jitter = jitter

    async def watch(
        self,
        kind: str,
        selector: str,
        *,
        on_object: Callable[[str, JsonObject], None],
        on_deleted: Callable[[JsonObject], None],
        on_listed: Callable[[frozenset[str], int], None],
    ) -> None:
        """Reports each object, each deletion, and after each complete list what existed; ends only when cancelled."""
        failures = 0
        while True:
            try:
                version = await self._list(kind, selector, on_object, on_listed)
                failures = 0
                await self._follow(kind, selector, version, on_object, on_deleted)
            except NotFound:
                failures += 1
                on_listed(frozenset(), _EVERY_VERSION)
            except ApiError as problem:
                failures += 1
                self._meter.watch_event(kind, "ERROR")
                log.info("a watch broke off and will list again", extra={"kind": kind, "problem": str(problem)})
            await self._pause(max(failures, 1))

    async def _list(
        self,
        kind: str,
        selector: str,
        on_object: Callable[[str, JsonObject], None],
        on_listed: Callable[[frozenset[str], int], None],
    ) -> str:
        uids, version = [], ""
        async for page in self._api.pages(kind, selector):
            version = page.version
            for obj in page.items:
                uids.append(text(child(obj, "metadata"), "uid"))
                on_object("LISTED", obj)
        on_listed(frozenset(uids), int(version or 0))
        return version

    async def _follow(
        self,
        kind: str,
        selector: str,
        version: str,
        on_object: Callable[[str, JsonObject], None],
        on_deleted: Callable[[JsonObject], None],
    ) -> None:
        """Follows from a version through any number of connections; returns when the server no longer knows it.

        A busy server ends watches early. One that brought something is followed on at once, as more waits there.
        """
        failures = 0
        while True:
            failures += 1
            try:
                async with aclosing(self._api.watch(kind, selector, version)) as events:
                    async for change, obj in events:
                        version = text(child(obj, "metadata"), "resourceVersion")
                        failures = 0
                        if change == "DELETED":
                            on_deleted(obj)
                        elif change != "BOOKMARK":
                            on_object(change, obj)
            except Gone as problem:
                self._meter.watch_event(kind, "ERROR")
                log.debug("a watch must list again", extra={"kind": kind, "problem": str(problem)})
                return
            except ApiError as problem:
                if problem.is_permanent:
                    raise
                log.debug("a watch lost its connection", extra={"kind": kind, "problem": str(problem)})
            await self._pause(failures)

    async def _pause(self, failures: int) -> None:
        if failures:
            pause = min(_PAUSE_FIRST * 2 ** min(failures - 1, 20), _PAUSE_MAX)
            await self._clock.sleep(pause * (0.5 + self._jitter()))
