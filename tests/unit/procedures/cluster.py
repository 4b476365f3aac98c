"""A small API server for tests of apply: objects, uids, field managers of maps; every write can be refused."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from vapora.core.calls import Answer, ApplyCall, Call, DeleteCall, ListCall, Listing, MergeCall, ObjectRef, ReadCall

Json = dict[str, Any]
_IDENTITY = {"apiVersion", "kind", "status"}
_OWN = {"name", "namespace", "uid", "generation", "managedFields", "resourceVersion", "deletionTimestamp"}
_OWN |= {"ownerReferences", "finalizers"}  # lists, which it knows nothing of


class Refused(Exception):
    """A call is refused."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.answer = Answer(None, reason, message)


class Cluster:
    """Holds objects by kind and name. `refuse` maps a name to a reason; `log` says what was written, in order.

    `statuses` are given to objects by kind when they are read, one after the other; the last one stays.
    `lingering` names objects that take one more look before they are gone. Objects put into another namespace than
    `default` are not found elsewhere; `forbidden` are namespaces that nobody may read.
    """

    def __init__(self, *objects: Json) -> None:
        self.objects: dict[tuple[str, str], Json] = {}
        self.refuse: dict[str, str] = {}
        self.statuses: dict[str, Iterator[Json]] = {}
        self.lingering: set[str] = set()
        self.log: list[str] = []
        self.places: dict[tuple[str, str], str] = {}
        self.forbidden: set[str] = set()
        self._made = 0
        for manifest in objects:
            self.put(manifest)

    def put(self, manifest: Json, manager: str = "someone") -> Json:
        """Lets somebody else apply an object."""
        return self._apply(manifest, manager)

    def get(self, kind: str, name: str) -> Json | None:
        return self.objects.get((kind, name))

    def data(self, name: str) -> Json | None:
        """Returns a ConfigMap's data; None where it is not there."""
        found = self.get("ConfigMap", name)
        return None if found is None else found.get("data", {})

    def __call__(self, call: Call) -> Answer:
        try:
            return Answer(copy.deepcopy(self._perform(call)))
        except Refused as refused:
            return refused.answer

    def _perform(self, call: Call) -> object:
        match call:
            case ReadCall(refs):
                return [self._read(ref) for ref in refs]
            case ListCall(listings):
                return [self._list(listing) for listing in listings]
            case ApplyCall(manifests, manager):
                stored = []
                for manifest in manifests:
                    name = manifest["metadata"]["name"]  # type: ignore[index]
                    self._check(name)
                    stored.append(self._apply(copy.deepcopy(dict(manifest)), manager))
                    self.log.append(f"apply {name}")
                return stored
            case MergeCall(ref, body):
                self._check(ref.name)
                found = self.objects[ref.kind, ref.name]
                found["metadata"]["managedFields"] = copy.deepcopy(body["metadata"]["managedFields"])  # type: ignore[index]
                self.log.append(f"take over {ref.name}")
                return found
            case DeleteCall(objects):
                for ref, uid in objects:
                    self._check(ref.name)
                    self._delete(ref, uid)
                return None
        raise AssertionError(f"unexpected call {call}")

    def _check(self, name: str) -> None:
        if name in self.refuse:
            raise Refused(self.refuse[name], f"{name}: {self.refuse[name]}")

    def _list(self, listing: Listing) -> list[Json]:
        if listing.namespace in self.forbidden:
            raise Refused("Forbidden", f"may not list in {listing.namespace}")
        label, _, value = listing.selector.partition("=")
        return [
            self._read(ObjectRef(listing.api_version, kind, listing.namespace, name)) or {}
            for kind, name in sorted(self.objects)
            if kind == listing.kind
            and self.places.get((kind, name), "default") == listing.namespace
            and (not label or self.objects[kind, name]["metadata"].get("labels", {}).get(label) == value)
        ]

    def _read(self, ref: ObjectRef) -> Json | None:
        if ref.namespace in self.forbidden:
            raise Refused("Forbidden", f"may not get in {ref.namespace}")
        found = self.objects.get((ref.kind, ref.name))
        if self.places.get((ref.kind, ref.name), "default") != ref.namespace:
            return None
        if found is not None and ref.kind in self.statuses:
            found["status"] = next(self.statuses[ref.kind], found.get("status", {}))
        if found is not None and "deletionTimestamp" in found["metadata"]:
            del self.objects[ref.kind, ref.name]
        return found

    def _delete(self, ref: ObjectRef, uid: str) -> None:
        found = self.objects.get((ref.kind, ref.name))
        if found is None:
            return
        if found["metadata"]["uid"] != uid:
            raise Refused("Conflict", f"{ref.name} has another uid")
        self.log.append(f"delete {ref.name}")
        if ref.name in self.lingering:
            found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        else:
            del self.objects[ref.kind, ref.name]

    def _apply(self, manifest: Json, manager: str) -> Json:
        meta = manifest["metadata"]
        key = manifest["kind"], meta["name"]
        found = self.objects.get(key)
        if meta.get("uid") and (found is None or found["metadata"]["uid"] != meta["uid"]):
            raise Refused("Conflict", "uid mismatch")
        if found is None:
            self._made += 1
            found = {
                **manifest,
                "metadata": {"name": meta["name"], "uid": f"uid-{self._made}", "generation": 1, "managedFields": []},
            }
            found.pop("data", None)
            self.objects[key] = found
            self.places[key] = meta.get("namespace", "default")
        self._merge(found, manifest, manager)
        return found

    def _merge(self, found: Json, manifest: Json, manager: str) -> None:
        """Sets the leaves of two levels of maps, drops those that the manager owned alone and leaves out now."""
        wanted = dict(_leaves(manifest))
        entries = found["metadata"]["managedFields"]
        owned = {entry["manager"]: set(_paths(entry["fieldsV1"])) for entry in entries}
        for path, value in wanted.items():
            others = [name for name, paths in owned.items() if name != manager and path in paths]
            if others and found.get(path[0], {}).get(path[1]) != value:
                raise Refused("Conflict", f"conflict with {others[0]!r}: .{'.'.join(path)}")
        former = owned.pop(manager, set())
        for path in former - wanted.keys() - set().union(*owned.values()):
            _leaf(found, path).pop(path[-1], None)
        for path, value in wanted.items():
            _leaf(found, path)[path[-1]] = value
        kept = [entry for entry in entries if entry["manager"] != manager]
        mine = {"manager": manager, "operation": "Apply", "fieldsV1": _fields(wanted)}
        found["metadata"]["managedFields"] = [*kept, mine] if wanted else kept


def _leaves(manifest: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, value in manifest.items():
        if name == "metadata":
            for field, entries in value.items():
                if field not in _OWN:
                    yield from (((name, field, key), entry) for key, entry in entries.items())
        elif name not in _IDENTITY and isinstance(value, dict):
            yield from (((name, key), entry) for key, entry in value.items())


def _leaf(found: Json, path: tuple[str, ...]) -> Json:
    node = found
    for name in path[:-1]:
        node = node.setdefault(name, {})
    return node


def _fields(leaves: Mapping[tuple[str, ...], object]) -> Json:
    fields: Json = {}
    for path in leaves:
        node = fields
        for name in path:
            node = node.setdefault(f"f:{name}", {})
    return fields


def _paths(fields: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, below in fields.items():
        field = name.removeprefix("f:")
        yield from ((field, *rest) for rest in _paths(below)) if below else ((field,),)
