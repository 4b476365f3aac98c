"""What an API server keeps, in memory: versions, conflicts, finalizers, merge patch, garbage collection."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from tests.fakes.selectors import is_selected

from vapora.controller.ports import AlreadyExists, Conflict, JsonObject, NotFound
from vapora.core.plan import Key

Subscriber = Callable[[str, JsonObject, JsonObject | None], None]
_OWN = frozenset({"Workflow", "WorkflowTemplate", "AgentPool", "Taskserv", "Provider"})
_TAKE_OUT = "$deleteFromPrimitiveList/"


def merge(before: object, patch: object) -> object:
    """Applies a JSON merge patch (RFC 7386), and of strategic ones what takes values out of a list.

    What does not change is shared, not copied.
    """
    if not isinstance(patch, dict | Mapping):
        return patch
    result = dict(before) if isinstance(before, dict | Mapping) else {}
    for name, value in patch.items():
        if name.startswith(_TAKE_OUT):
            field = name.removeprefix(_TAKE_OUT)
            if field in result:
                result[field] = [entry for entry in result[field] if entry not in value]
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, dict | Mapping):
            result[name] = merge(result.get(name), value)
        else:
            result[name] = value
    return result


def key_of(obj: Mapping) -> Key:
    return Key(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


class KubeObjects:
    """Keeps objects that nobody may change in place; each write puts a new one there and tells the subscribers.

    `collect` is called with the key of each object whose owner went; at first it deletes the object at once. `admit`
    sees each object before it is created, and may raise ApiError to refuse it.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._kinds: dict[str, dict[Key, JsonObject]] = defaultdict(dict)
        self._owned: dict[str, list[Key]] = defaultdict(list)
        self._gone: set[str] = set()
        self._serial = 0
        self.version = 100
        self.subscribers: list[Subscriber] = []
        self.collect: Callable[[Key], None] = self._collect
        self.admit: Callable[[Mapping], None] = lambda _: None

    def find(self, key: Key) -> JsonObject | None:
        return self._kinds[key.kind].get(key)

    def select(self, kind: str, selector: str = "") -> Iterator[JsonObject]:
        """Yields the objects of a kind that a label selector selects, in the order of their keys."""
        for _, obj in sorted(self._kinds[kind].items()):
            if not selector or is_selected(obj["metadata"].get("labels", {}), selector):
                yield obj

    def read(self, key: Key) -> JsonObject:
        found = self._kinds[key.kind].get(key)
        if found is None:
            raise NotFound(f"{key} not found", status=404, reason="NotFound")
        return found

    def create(self, manifest: Mapping) -> JsonObject:
        if "name" in manifest["metadata"] and key_of(manifest) in self._kinds[manifest["kind"]]:
            raise AlreadyExists(f"{key_of(manifest)} already exists", status=409, reason="AlreadyExists")
        self.admit(manifest)
        self._serial += 1
        meta = {"uid": f"uid-{self._serial}", **manifest["metadata"], "generation": 1}
        if "name" not in meta:
            meta["name"] = f"{meta['generateName']}{self._serial:05d}"
        meta["creationTimestamp"] = self._timestamp()
        obj = {**manifest, "metadata": meta}
        if obj["kind"] in _OWN:
            obj.pop("status", None)
        kept = self._keep("ADDED", key_of(obj), obj, None)
        for owner in meta.get("ownerReferences", ()):
            self._owned[owner["uid"]].append(key_of(obj))
            if owner["uid"] in self._gone:
                self.collect(key_of(obj))
        return kept

    def apply(self, manifest: Mapping) -> JsonObject:
        known = self.find(key_of(manifest))
        return self.create(manifest) if known is None else self._replace(key_of(manifest), merge(known, manifest))

    def patch(self, key: Key, body: Mapping, *, subresource: str | None = None) -> JsonObject:
        known = self.read(key)
        for field in ("resourceVersion", "uid"):
            wanted = body.get("metadata", {}).get(field)
            if wanted is not None and wanted != known["metadata"][field]:
                raise Conflict(f"{key}: {field} is not {wanted}", status=409, reason="Conflict")
        if subresource == "status":
            body = {"status": body.get("status", {})}
        elif key.kind in _OWN:
            body = {name: value for name, value in body.items() if name != "status"}
        return self._replace(key, merge(known, body))

    def change(self, key: Key, patch: Mapping) -> JsonObject:
        """Merges a patch into an object, status included, as anybody else in the cluster would."""
        return self._replace(key, merge(self.read(key), patch))

    def delete(self, key: Key, *, uid: str | None = None, version: int = 0) -> None:
        known = self.read(key)
        if uid is not None and known["metadata"]["uid"] != uid:
            raise Conflict(f"{key}: uid is not {uid}", status=409, reason="Conflict")
        if version and known["metadata"]["resourceVersion"] != str(version):
            raise Conflict(f"{key}: version is not {version}", status=409, reason="Conflict")
        if not known["metadata"].get("finalizers"):
            self._drop(key)
        elif "deletionTimestamp" not in known["metadata"]:
            self.change(key, {"metadata": {"deletionTimestamp": self._timestamp()}})

    def delete_collection(self, kind: str, namespace: str, *, selector: str) -> None:
        for obj in list(self.select(kind, selector)):
            if obj["metadata"].get("namespace", "") == namespace:
                self.delete(key_of(obj))

    def _timestamp(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _replace(self, key: Key, obj: JsonObject) -> JsonObject:
        former = self._kinds[key.kind][key]
        was = former["metadata"]
        meta = {**obj["metadata"], "uid": was["uid"], "resourceVersion": was["resourceVersion"]}
        obj["metadata"] = meta
        if not meta.get("finalizers"):
            meta.pop("finalizers", None)
        if obj == former:
            return former
        if obj.get("spec") != former.get("spec"):
            meta["generation"] = was["generation"] + 1
        if "deletionTimestamp" in meta and "finalizers" not in meta:
            self._drop(key)
            return obj
        return self._keep("MODIFIED", key, obj, former)

    def _drop(self, key: Key) -> None:
        obj = self._kinds[key.kind].pop(key)
        self._gone.add(obj["metadata"]["uid"])
        self._keep("DELETED", key, obj, obj)
        for owned in self._owned.pop(obj["metadata"]["uid"], ()):
            self.collect(owned)

    def _collect(self, key: Key) -> None:
        if self.find(key) is not None:
            self.delete(key)

    def _keep(self, change: str, key: Key, obj: JsonObject, former: JsonObject | None) -> JsonObject:
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        if change != "DELETED":
            self._kinds[key.kind][key] = obj
        for subscriber in list(self.subscribers):
            subscriber(change, obj, former)
        return obj
