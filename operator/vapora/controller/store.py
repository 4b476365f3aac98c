"""The store: everything the engine has seen of the cluster, by key and by owner; the only state a reconcile reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from vapora.controller.ports import JsonObject
from vapora.core.plan import Key
from vapora.core.views import ChildView, Meta, child, project, project_meta, text


def resource_version(obj: Mapping[str, object]) -> int:
    """Returns an object's version; versions of one kind can be compared since Kubernetes 1.35 says so."""
    return int(text(child(obj, "metadata"), "resourceVersion") or 0)


class Store:
    """Keeps our own kinds whole (but for managedFields) and children as projections, indexed by the owner's uid."""

    def __init__(self) -> None:
        self._objects: dict[Key, JsonObject] = {}
        self._by_kind: dict[str, dict[Key, JsonObject]] = defaultdict(dict)
        self._children: dict[Key, ChildView] = {}
        self._by_owner: dict[str, dict[Key, ChildView]] = defaultdict(dict)
        self._uids: dict[str, Key] = {}
        self._versions: dict[Key, int] = {}

    # Our own kinds.

    def get(self, key: Key) -> JsonObject | None:
        """Returns an object of our own kinds as last seen or written."""
        return self._objects.get(key)

    def list(self, kind: str, namespace: str | None = None) -> Iterator[JsonObject]:
        """Yields the objects of one of our own kinds, in one namespace or in all."""
        for key, obj in self._by_kind[kind].items():
            if namespace is None or key.namespace == namespace:
                yield obj

    def keys(self, kind: str) -> list[Key]:
        """Returns the keys of all objects of one of our own kinds."""
        return list(self._by_kind[kind])

    def key_of(self, uid: str) -> Key | None:
        """Returns the key of one of our own objects by its uid."""
        return self._uids.get(uid)

    def put(self, kind: str, obj: JsonObject) -> bool:
        """Keeps an object; returns False for one no newer than what is known (an old event, or our own write)."""
        meta = project_meta(obj, kind)
        version = resource_version(obj)
        known = self._objects.get(meta.key)
        if known is not None and version <= self._versions[meta.key]:
            return False
        child(obj, "metadata").pop("managedFields", None)  # type: ignore[attr-defined]  # our own copy, a plain dict
        self._objects[meta.key] = obj
        self._by_kind[kind][meta.key] = obj
        self._uids[meta.uid] = meta.key
        self._versions[meta.key] = version
        return True

    def remove(self, key: Key, uid: str) -> bool:
        """Forgets an object, unless a newer namesake took its place."""
        known = self._objects.get(key)
        if known is None or child(known, "metadata").get("uid") != uid:
            return False
        del self._objects[key], self._by_kind[key.kind][key], self._versions[key]
        self._uids.pop(uid, None)
        return True

    # Children.

    def children(self, owner_uid: str) -> Mapping[Key, ChildView]:
        """Returns the children of an owner, by key."""
        return self._by_owner.get(owner_uid, {})

    def put_child(self, kind: str, obj: JsonObject) -> Meta | None:
        """Keeps a child's projection; returns its metadata where the projection changed, else None."""
        view = project(obj, kind)
        if self._children.get(view.meta.key) == view:
            return None
        self._children[view.meta.key] = view
        self._by_owner[view.meta.owner_uid][view.meta.key] = view
        return view.meta

    def remove_child(self, key: Key) -> Meta | None:
        """Forgets a child; returns its metadata where it was known."""
        view = self._children.pop(key, None)
        if view is None:
            return None
        siblings = self._by_owner[view.meta.owner_uid]
        siblings.pop(key, None)
        if not siblings:
            del self._by_owner[view.meta.owner_uid]
        return view.meta

    def child_keys(self, kind: str) -> dict[str, Key]:
        """Returns the known children of a kind: uid to key."""
        return {view.meta.uid: key for key, view in self._children.items() if key.kind == kind}

    def __len__(self) -> int:
        return len(self._objects) + len(self._children)
