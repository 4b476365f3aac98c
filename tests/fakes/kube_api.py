"""An API server in memory behind the port that the engine calls; a test may delay, refuse or lose any request."""

import copy
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from tests.fakes.kube_objects import KubeObjects, Subscriber, key_of

from vapora.controller.ports import ApiError, Clock, JsonObject
from vapora.core.plan import Key


class FakeKubeApi:
    """Is KubeApi in memory.

    `before` runs with (verb, key) ahead of each request and `after` once it took effect: either may wait, or raise
    ApiError to refuse, respectively to lose the answer. `writes` counts what took effect, by (verb, kind); `logs` are
    by the name of the Pod.
    """

    def __init__(self, clock: Clock) -> None:
        self._objects = KubeObjects(clock.now)
        self.before: Callable[[str, Key], Awaitable[None]] | None = None
        self.after: Callable[[str, Key], Awaitable[None]] | None = None
        self.writes: Counter[tuple[str, str]] = Counter()
        self.logs: dict[str, str] = {}

    # What a test sees and does as the outside.

    @property
    def version(self) -> int:
        return self._objects.version

    def find(self, kind: str, name: str, namespace: str = "default") -> JsonObject | None:
        return copy.deepcopy(self._objects.find(Key(kind, namespace, name)))

    def all(self, kind: str, selector: str = "") -> list[JsonObject]:
        return copy.deepcopy(list(self._objects.select(kind, selector)))

    def put(self, obj: JsonObject) -> JsonObject:
        """Creates an object as a user would."""
        return copy.deepcopy(self._objects.create(copy.deepcopy(obj)))

    def change(self, key: Key, patch: JsonObject) -> JsonObject:
        """Merges a patch into an object, status included, as anybody else in the cluster would."""
        return copy.deepcopy(self._objects.change(key, copy.deepcopy(patch)))

    def remove(self, key: Key) -> None:
        """Deletes an object as a user would."""
        self._objects.delete(key)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Calls `subscriber(type, object, former)` at each change; returns how to stop it."""

        def tell(change: str, obj: JsonObject, former: JsonObject | None) -> None:
            subscriber(change, copy.deepcopy(obj), copy.deepcopy(former))

        self._objects.subscribers.append(tell)
        return lambda: self._objects.subscribers.remove(tell)

    # KubeApi.

    async def get(self, key: Key) -> JsonObject:
        await self._begin("get", key)
        return copy.deepcopy(self._objects.read(key))

    async def read_log(self, pod: Key, *, container: str, lines: int) -> str:
        await self._begin("get", pod)
        self._objects.read(pod)
        return "\n".join(self.logs.get(pod.name, "").splitlines()[-lines:])

    async def create(self, manifest: Mapping, *, is_dry_run: bool = False) -> JsonObject:
        meta = manifest["metadata"]
        key = Key(manifest["kind"], meta.get("namespace", ""), meta.get("name", ""))
        await self._begin("create", key)
        if is_dry_run:
            return copy.deepcopy(dict(manifest))
        return await self._end("create", key, self._objects.create(copy.deepcopy(manifest)))

    async def apply(self, manifest: Mapping, *, manager: str = "vapora", force: bool = False) -> JsonObject:
        key = key_of(manifest)
        await self._begin("patch", key)
        return await self._end("patch", key, self._objects.apply(copy.deepcopy(manifest)))

    async def patch(self, key: Key, body: Mapping, *, subresource: str | None = None) -> JsonObject:
        await self._begin("patch", key)
        patched = self._objects.patch(key, copy.deepcopy(body), subresource=subresource)
        return await self._end("patch", key, patched)

    async def delete(self, key: Key, *, uid: str | None = None, version: int = 0) -> None:
        await self._begin("delete", key)
        self._objects.delete(key, uid=uid, version=version)
        await self._end("delete", key, {})

    async def delete_collection(self, kind: str, namespace: str, *, selector: str) -> None:
        await self._begin("deletecollection", Key(kind, namespace, ""))
        self._objects.delete_collection(kind, namespace, selector=selector)
        await self._end("deletecollection", Key(kind, namespace, ""), {})

    async def list(
        self, kind: str, *, selector: str = "", fields: str = "", namespace: str = "", metadata_only: bool = False
    ) -> AsyncIterator[JsonObject]:
        await self._begin("list", Key(kind, namespace, ""))
        for obj in self.all(kind, selector):
            if namespace and obj["metadata"].get("namespace") != namespace:
                continue
            yield {"metadata": obj["metadata"]} if metadata_only else obj

    # How it works.

    async def _begin(self, verb: str, key: Key) -> None:
        if self.before is not None:
            await self.before(verb, key)

    async def _end(self, verb: str, key: Key, answer: JsonObject) -> JsonObject:
        self.writes[verb, key.kind] += 1
        if self.after is not None:
            await self.after(verb, key)
        return copy.deepcopy(answer)


def refuse(status: int, reason: str = "", *, retry_after: float | None = None) -> ApiError:
    """Builds the refusal of a server in trouble."""
    return ApiError(f"status {status}", status=status, reason=reason, retry_after=retry_after)
