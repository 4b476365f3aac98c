"""An API server in memory: versions, conflicts, finalizers, merge patch, garbage collection, watches."""

import copy
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from tests.fakes.selectors import is_selected

from vapora.controller.ports import AlreadyExists, ApiError, Clock, Conflict, JsonObject, NotFound
from vapora.core.plan import Key

Subscriber = Callable[[str, JsonObject, JsonObject | None], None]
_OWN = frozenset({"Workflow", "WorkflowTemplate", "AgentPool", "Taskserv", "Provider"})


def merge(before: object, patch: object) -> object:
    """Applies a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(before) if isinstance(before, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def key_of(obj: Mapping) -> Key:
    return Key(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


class FakeKubeApi:
    """Is KubeApi in memory.

    `before` runs with (verb, key) ahead of each request and `after` once it took effect: either may wait, or raise
    ApiError to refuse, respectively to lose the answer. `writes` counts what took effect, by (verb, kind).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._objects: dict[Key, JsonObject] = {}
        self._version = 100
        self._serial = 0
        self._subscribers: list[Subscriber] = []
        self.before: Callable[[str, Key], Awaitable[None]] | None = None
        self.after: Callable[[str, Key], Awaitable[None]] | None = None
        self.writes: Counter[tuple[str, str]] = Counter()

    # What a test sees and does as the outside.

    @property
    def version(self) -> int:
        return self._version

    def find(self, kind: str, name: str, namespace: str = "default") -> JsonObject | None:
        return copy.deepcopy(self._objects.get(Key(kind, namespace, name)))

    def all(self, kind: str, selector: str = "") -> list[JsonObject]:
        found = [obj for key, obj in sorted(self._objects.items()) if key.kind == kind]
        return copy.deepcopy([obj for obj in found if is_selected(obj["metadata"].get("labels", {}), selector)])

    def put(self, obj: JsonObject) -> JsonObject:
        """Creates an object as a user would."""
        return self._insert(copy.deepcopy(obj))

    def change(self, key: Key, patch: JsonObject) -> JsonObject:
        """Merges a patch into an object, status included, as anybody else in the cluster would."""
        return self._replace(key, merge(self._objects[key], patch))

    def remove(self, key: Key) -> None:
        """Deletes an object as a user would."""
        self._delete(key)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Calls `subscriber(type, object, former)` at each change; returns how to stop it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    # KubeApi.

    async def get(self, key: Key) -> JsonObject:
        await self._begin("get", key)
        return copy.deepcopy(self._find(key))

    async def create(self, manifest: Mapping, *, is_dry_run: bool = False) -> JsonObject:
        key = key_of(manifest)
        await self._begin("create", key)
        if key in self._objects:
            raise AlreadyExists(f"{key} already exists", status=409, reason="AlreadyExists")
        if is_dry_run:
            return copy.deepcopy(dict(manifest))
        created = self._insert(copy.deepcopy(dict(manifest)))
        return await self._end("create", key, created)

    async def apply(self, manifest: Mapping, *, manager: str = "vapora", force: bool = False) -> JsonObject:
        key = key_of(manifest)
        await self._begin("patch", key)
        if key in self._objects:
            applied = self._replace(key, merge(self._objects[key], manifest))
        else:
            applied = self._insert(copy.deepcopy(dict(manifest)))
        return await self._end("patch", key, applied)

    async def patch(self, key: Key, body: Mapping, *, subresource: str | None = None) -> JsonObject:
        await self._begin("patch", key)
        known = self._find(key)
        for field in ("resourceVersion", "uid"):
            wanted = body.get("metadata", {}).get(field)
            if wanted is not None and wanted != known["metadata"][field]:
                raise Conflict(f"{key}: {field} is not {wanted}", status=409, reason="Conflict")
        if subresource == "status":
            body = {"status": body.get("status", {})}
        elif key.kind in _OWN:
            body = {name: value for name, value in body.items() if name != "status"}
        return await self._end("patch", key, self._replace(key, merge(known, body)))

    async def delete(self, key: Key, *, uid: str | None = None) -> None:
        await self._begin("delete", key)
        if uid is not None and self._find(key)["metadata"]["uid"] != uid:
            raise Conflict(f"{key}: uid is not {uid}", status=409, reason="Conflict")
        self._delete(key)
        await self._end("delete", key, {})

    async def delete_collection(self, kind: str, namespace: str, *, selector: str) -> None:
        await self._begin("deletecollection", Key(kind, namespace, ""))
        for obj in self.all(kind, selector):
            if obj["metadata"].get("namespace") == namespace:
                self._delete(key_of(obj))
        await self._end("deletecollection", Key(kind, namespace, ""), {})

    async def list(
        self, kind: str, *, selector: str = "", namespace: str = "", metadata_only: bool = False
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

    def _find(self, key: Key) -> JsonObject:
        if key not in self._objects:
            raise NotFound(f"{key} not found", status=404, reason="NotFound")
        return self._objects[key]

    def _insert(self, obj: JsonObject) -> JsonObject:
        meta = obj.setdefault("metadata", {})
        self._serial += 1
        if "generateName" in meta and "name" not in meta:
            meta["name"] = f"{meta['generateName']}{self._serial:05d}"
        meta.setdefault("uid", f"uid-{self._serial}")
        meta["generation"] = 1
        meta["creationTimestamp"] = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if obj["kind"] in _OWN:
            obj.pop("status", None)
        return self._keep("ADDED", key_of(obj), obj, None)

    def _replace(self, key: Key, obj: JsonObject) -> JsonObject:
        former = self._objects[key]
        obj["metadata"] = {**obj["metadata"], "uid": former["metadata"]["uid"]}
        obj["metadata"]["resourceVersion"] = former["metadata"]["resourceVersion"]
        if not obj["metadata"].get("finalizers"):
            obj["metadata"].pop("finalizers", None)
        if obj == former:
            return former
        if obj.get("spec") != former.get("spec"):
            obj["metadata"]["generation"] = former["metadata"]["generation"] + 1
        if "deletionTimestamp" in obj["metadata"] and "finalizers" not in obj["metadata"]:
            self._drop(key)
            return obj
        return self._keep("MODIFIED", key, obj, former)

    def _delete(self, key: Key) -> None:
        obj = self._find(key)
        if not obj["metadata"].get("finalizers"):
            self._drop(key)
        elif "deletionTimestamp" not in obj["metadata"]:
            self.change(key, {"metadata": {"deletionTimestamp": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")}})

    def _drop(self, key: Key) -> None:
        obj = self._objects.pop(key)
        self._keep("DELETED", key, obj, obj)
        uid = obj["metadata"]["uid"]
        for owned in [k for k, o in self._objects.items() if _is_owned(o, uid)]:
            if owned in self._objects:
                self._delete(owned)

    def _keep(self, change: str, key: Key, obj: JsonObject, former: JsonObject | None) -> JsonObject:
        self._version += 1
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(self._version)
        if change != "DELETED":
            self._objects[key] = obj
        for subscriber in list(self._subscribers):
            subscriber(change, copy.deepcopy(obj), copy.deepcopy(former))
        return obj


def _is_owned(obj: JsonObject, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences", []))


def refuse(status: int, reason: str = "", *, retry_after: float | None = None) -> ApiError:
    """Builds the refusal of a server in trouble."""
    return ApiError(f"status {status}", status=status, reason=reason, retry_after=retry_after)
