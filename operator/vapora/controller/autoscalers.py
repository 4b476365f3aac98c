"""The autoscalers of others: read again and again, as nobody watches what is not ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from vapora.controller.ports import ApiError, Clock, KubeApi
from vapora.controller.store import Store
from vapora.core.agentpool.autoscaler import KIND, Aim, read_aim
from vapora.core.naming import LABEL_OWNER
from vapora.core.plan import Key
from vapora.core.views import child, text

log = logging.getLogger(__name__)

_EVERY = 10.0  # seconds
_POOL = "AgentPool"


class Autoscalers:
    """Knows which HPA of somebody else is aimed at what; one of a ScaledObject is one of these."""

    def __init__(self, api: KubeApi, store: Store, enqueue: Callable[[Key], None], clock: Clock) -> None:
        self._api = api
        self._store = store
        self._enqueue = enqueue
        self._clock = clock
        self._known: Mapping[Aim, str] | None = None

    def find(self, aims: Iterable[Aim]) -> str | None:
        """Returns the name of the first that is aimed there, empty for none, and None before they were read."""
        if self._known is None:
            return None
        return next((self._known[aim] for aim in aims if aim in self._known), "")

    async def run(self) -> None:
        """Reads until it is cancelled, as long as there are pools."""
        self._known = None
        while True:
            if self._store.keys(_POOL):
                await self.read()
            await self._clock.sleep(_EVERY if self._known is not None else 1.0)

    async def read(self) -> None:
        """Reads them once; has the pools of a namespace looked at where something changed."""
        try:
            found = {
                read_aim(obj): text(child(obj, "metadata"), "name")
                async for obj in self._api.list(KIND, selector=f"!{LABEL_OWNER}")
            }
        except ApiError as problem:
            log.info("the autoscalers cannot be read", extra={"problem": str(problem)})
            return
        before, self._known = self._known, found
        changed = set(found.items()) ^ set((before or {}).items())
        namespaces = {aim.namespace for aim, _ in changed}
        for key in self._store.keys(_POOL):
            if before is None or key.namespace in namespaces:
                self._enqueue(key)
