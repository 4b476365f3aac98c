"""What services look at and nobody watches: Secrets and ConfigMaps, Services of others, nodes. Read again and again.

A watch of Secrets would bring all of them; read by name, only those are seen that a service names. Of a Secret nothing
is kept but a digest.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping

from vapora.controller.dependents import Dependents
from vapora.controller.ports import ApiError, Clock, JsonObject, KubeApi, NotFound
from vapora.core.plan import Key
from vapora.core.taskserv.capacity import NodeSize
from vapora.core.taskserv.dependencies import Provider
from vapora.core.views import child, rows, text

log = logging.getLogger(__name__)

NODES = Key("Node", "", "")
ABSENT = "absent"
_SWEEP = 5.0  # seconds between two looks at the same object, at least
_READS_PER_SECOND = 10.0
_FORBIDDEN = 403


class Bystanders:
    """Keeps what it last read of each object that somebody has registered for, and wakes those when it turns.

    Of a Secret or ConfigMap it keeps a digest (None where it may not be read), of a Service a Provider (None where
    there is none), of the nodes their sizes.
    """

    def __init__(self, api: KubeApi, clock: Clock, wake: Callable[[Key], None]) -> None:
        self._api = api
        self._clock = clock
        self._wake = wake
        self._users = Dependents()
        self._seen: dict[Key, object] = {}

    async def look_at(self, user: Key, keys: Iterable[Key]) -> None:
        """Registers what an object looks at, and reads what of it was not read before."""
        wanted = frozenset(keys)
        self._users.register(user, wanted)
        for key in wanted:
            if key not in self._seen:
                await self._read(key)

    def find_digest(self, key: Key) -> str | None:
        """Returns the digest of a Secret or ConfigMap; None where it may not be read."""
        seen = self._seen.get(key)
        return seen if isinstance(seen, str) else None

    def find_provider(self, key: Key) -> Provider | None:
        """Returns how a Service stands; None where there is none."""
        seen = self._seen.get(key)
        return seen if isinstance(seen, Provider) else None

    def find_nodes(self) -> tuple[NodeSize, ...] | None:
        """Returns the sizes of the nodes; None where they are not known."""
        seen = self._seen.get(NODES)
        return seen if isinstance(seen, tuple) else None

    async def run(self) -> None:
        """Reads everything again and again until it is cancelled."""
        while True:
            keys = list(self._seen)
            await self._clock.sleep(max(_SWEEP, len(keys) / _READS_PER_SECOND))
            await self.sweep()

    async def sweep(self) -> None:
        """Reads everything once, and wakes whoever looks at what has turned."""
        for key in list(self._seen):
            users = self._users.find(key)
            if not users:
                del self._seen[key]
            elif await self._read(key):
                for user in sorted(users):
                    self._wake(user)

    async def _read(self, key: Key) -> bool:
        """Reads one object; returns whether it is another than before."""
        before = self._seen.get(key)
        try:
            self._seen[key] = await self._observe(key)
        except ApiError as problem:
            log.debug("an object could not be read", extra={"object": str(key), "problem": str(problem)})
            if problem.status == _FORBIDDEN or key not in self._seen:
                self._seen[key] = None
        return self._seen[key] != before

    async def _observe(self, key: Key) -> object:
        if key == NODES:
            return tuple(sorted([_read_node(obj) async for obj in self._api.list("Node")], key=lambda node: node.name))
        if key.kind == "Service":
            return await self._observe_service(key)
        try:
            return digest_content(await self._api.get(key))
        except NotFound:
            return ABSENT

    async def _observe_service(self, key: Key) -> Provider | None:
        try:
            service = await self._api.get(key)
        except NotFound:
            return None
        if text(child(service, "spec"), "type") == "ExternalName":
            return Provider("Healthy", is_ready=True, is_exposed=True)
        selector = f"kubernetes.io/service-name={key.name}"
        slices = [obj async for obj in self._api.list("EndpointSlice", selector=selector, namespace=key.namespace)]
        is_ready = any(_is_ready(endpoint) for obj in slices for endpoint in rows(obj, "endpoints"))
        return Provider("Healthy" if is_ready else "without a ready endpoint", is_ready=is_ready, is_exposed=True)


def digest_content(obj: Mapping[str, object]) -> str:
    """Identifies the content of a Secret or ConfigMap.

    The object's uid goes into it: whoever may read pods and not Secrets cannot try out what a short value might be.
    """
    content = {name: obj.get(name) for name in ("data", "binaryData")}
    salted = json.dumps([text(child(obj, "metadata"), "uid"), content], sort_keys=True)
    return hashlib.sha256(salted.encode()).hexdigest()[:16]


def _is_ready(endpoint: Mapping[str, object]) -> bool:
    """An absent `ready` means ready, as the API says."""
    return child(endpoint, "conditions").get("ready") is not False


def _read_node(obj: JsonObject) -> NodeSize:
    offered = {} if child(obj, "spec").get("unschedulable") is True else child(obj, "status", "allocatable")
    return NodeSize(text(child(obj, "metadata"), "name"), {name: str(value) for name, value in offered.items()})
