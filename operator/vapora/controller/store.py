"""The store: everything the engine has seen of the cluster, by key and by owner; the only state a reconcile reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from vapora.controller.ports import JsonObject
from vapora.core.naming import LABEL_RECORDED, LABEL_REVISION, LABEL_TEMPLATE, LABEL_WORKFLOW
from vapora.core.plan import Key
from vapora.core.views import ChildView, Meta, child, project, text

RUN_KIND = "Workflow"  # the one kind of our own that the operator makes objects of
# What informers watch; nothing else is ever forgotten. Of ControllerRevisions only those of services are watched.
CHILD_KINDS = frozenset(
    {
        "Pod",
        "Job",
        "Deployment",
        "StatefulSet",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Ingress",
        "HTTPRoute",
        "Workload",
    }
)


def _is_watched(kind: str, meta: Mapping[str, object]) -> bool:
    return kind in CHILD_KINDS or (kind == "ControllerRevision" and LABEL_REVISION in child(meta, "labels"))


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
        self._runs: dict[str, dict[Key, JsonObject]] = defaultdict(dict)  # by the uid of the template that owns them
        self._uids: dict[str, Key] = {}
        self._versions: dict[Key, int] = {}
        self._changed: dict[str, set[str]] = {}
        self._creating: dict[Key, str] = {}  # the uid of an object of this name that was seen to go meanwhile

    # Our own kinds.

    def get(self, key: Key) -> JsonObject | None:
        """Returns an object of our own kinds as last seen or written."""
        return self._objects.get(key)

    def objects(self, kind: str, namespace: str | None = None) -> Iterator[JsonObject]:
        """Yields the objects of one of our own kinds, in one namespace or in all."""
        for key, obj in self._by_kind[kind].items():
            if namespace is None or key.namespace == namespace:
                yield obj

    def keys(self, kind: str) -> list[Key]:
        """Returns the keys of all objects of one of our own kinds."""
        return list(self._by_kind[kind])

    def runs(self, template_uid: str) -> list[JsonObject]:
        """Returns the Workflows that carry the label of a WorkflowTemplate."""
        return list(self._runs.get(template_uid, {}).values())

    def key_of(self, uid: str) -> Key | None:
        """Returns the key of one of our own objects by its uid."""
        return self._uids.get(uid)

    def put(self, kind: str, obj: JsonObject) -> bool:
        """Keeps an object; returns False for one no newer than what is known (an old event, or our own write)."""
        meta = child(obj, "metadata")
        key, version = Key(kind, text(meta, "namespace"), text(meta, "name")), resource_version(obj)
        labels = child(meta, "labels")
        known = self._objects.get(key)
        if known is not None and version <= self._versions[key]:
            return False
        if known is not None:
            self._leave(key, known)
        meta.pop("managedFields", None)  # type: ignore[attr-defined]  # our own copy, a plain dict
        self._objects[key] = obj
        self._by_kind[kind][key] = obj
        self._uids[text(meta, "uid")] = key
        if template := text(labels, LABEL_TEMPLATE):
            self._runs[template][key] = obj
        if LABEL_WORKFLOW in labels:
            self._put_own_child(kind, obj)
        self._versions[key] = version
        return True

    def parent_of(self, key: Key) -> Key | None:
        """Returns the key of the object that a child belongs to."""
        view = self._children.get(key)
        return self._uids.get(view.meta.owner_uid) if view is not None else None

    def _put_own_child(self, kind: str, obj: JsonObject) -> None:
        """Keeps an object of our own kinds as the child that it is of another one, too."""
        view = project(obj, kind)
        if self._children.get(view.meta.key) != view:
            self._children[view.meta.key] = self._by_owner[view.meta.owner_uid][view.meta.key] = view
            self._note_change(view.meta)

    def remove(self, key: Key, uid: str) -> bool:
        """Forgets an object, unless a newer namesake took its place."""
        if key in self._creating:
            self._creating[key] = uid
        known = self._objects.get(key)
        if known is None or child(known, "metadata").get("uid") != uid:
            return False
        self._leave(key, known)
        del self._objects[key], self._by_kind[key.kind][key], self._versions[key]
        self._changed.pop(uid, None)
        if (view := self._children.pop(key, None)) is not None:
            self._leave_owner(view.meta)
            self._note_change(view.meta)
        return True

    def _leave(self, key: Key, known: JsonObject) -> None:
        meta = child(known, "metadata")
        self._uids.pop(text(meta, "uid"), None)
        if (template := text(child(meta, "labels"), LABEL_TEMPLATE)) and (runs := self._runs.get(template)):
            runs.pop(key, None)
            if not runs:
                del self._runs[template]

    # Children.

    def children(self, owner_uid: str) -> Mapping[Key, ChildView]:
        """Returns the children of an owner, by key."""
        return self._by_owner.get(owner_uid, {})

    def find_child(self, key: Key) -> ChildView | None:
        """Returns a child by its key."""
        return self._children.get(key)

    def version(self, key: Key) -> int:
        """Returns the version of an object or a child as last seen or written; 0 for an unknown one."""
        return self._versions.get(key, 0)

    def owners(self) -> list[str]:
        """Returns the uids that own a known child."""
        return list(self._by_owner)

    def take_changes(self, owner_uid: str) -> frozenset[str]:
        """Returns the names of the owner's children that changed since this was last asked; at first it is empty."""
        changed = frozenset(self._changed.get(owner_uid, ()))
        self._changed[owner_uid] = set()
        return changed

    def put_child(self, kind: str, obj: JsonObject) -> Meta | None:
        """Keeps a child's projection; returns its metadata where the projection changed, else None.

        A version no newer than the known one changes nothing, and a child whose outcome is recorded is forgotten.
        """
        meta = child(obj, "metadata")
        key, version = Key(kind, text(meta, "namespace"), text(meta, "name")), resource_version(obj)
        known = self._children.get(key)
        if known is not None and version <= self._versions.get(key, 0):
            return None
        view = project(obj, kind)
        if view.meta.labels.get(LABEL_RECORDED) == "true":
            self.remove_child(key)
            return None
        self._versions[key] = version
        if known is not None and known.meta.owner_uid != view.meta.owner_uid:
            self._leave_owner(known.meta)
        self._children[key] = self._by_owner[view.meta.owner_uid][key] = view
        if known == view:
            return None
        self._note_change(view.meta)
        return view.meta

    def remove_child(self, key: Key, uid: str = "") -> Meta | None:
        """Forgets a child, if it has `uid` where one is given; returns its metadata where it was known."""
        if key in self._creating:
            self._creating[key] = uid
        view = self._children.get(key)
        if view is None or (uid and view.meta.uid != uid):
            return None
        if key in self._objects:  # a child that is an object of our own kinds, too
            return view.meta if self.remove(key, view.meta.uid) else None
        del self._children[key]
        self._versions.pop(key, None)
        self._leave_owner(view.meta)
        self._note_change(view.meta)
        return view.meta

    def mark_creating(self, key: Key) -> None:
        """Says that a child is about to be made: from here on its answer is kept, unless its deletion is seen first."""
        self._creating.setdefault(key, "")

    def unmark_creating(self, key: Key) -> None:
        """Ends what `mark_creating` began."""
        self._creating.pop(key, None)

    def mark_deleting(self, key: Key, uid: str) -> None:
        """Remembers that a child's deletion was accepted, before the watch says so."""
        view = self._children.get(key)
        if view is not None and view.meta.uid == uid:
            view = replace(view, meta=replace(view.meta, is_deleting=True))
            self._children[key] = self._by_owner[view.meta.owner_uid][key] = view

    def touch_child(self, key: Key) -> Key | None:
        """Counts a child as changed although nothing new is known of it; returns the key of its owner."""
        view = self._children.get(key)
        if view is None:
            return None
        self._note_change(view.meta)
        return self._uids.get(view.meta.owner_uid)

    def put_answer(self, obj: JsonObject) -> None:
        """Keeps what a write returned, so that the next reconcile reads its own writes.

        Ignored: kinds that are not watched, and objects whose deletion was seen before the answer came.
        """
        kind, meta = text(obj, "kind"), child(obj, "metadata")
        key, uid = Key(kind, text(meta, "namespace"), text(meta, "name")), text(meta, "uid")
        if (known := self._objects.get(key)) is not None:
            if text(child(known, "metadata"), "uid") == uid:
                self.put(kind, obj)
        elif _is_watched(kind, meta) and (key in self._children or self._creating.get(key, uid) != uid):
            self.put_child(kind, obj)
        elif kind == RUN_KIND and self._creating.get(key, uid) != uid:
            self.put(kind, obj)

    def _note_change(self, meta: Meta) -> None:
        if (changed := self._changed.get(meta.owner_uid)) is not None:
            changed.add(meta.key.name)

    def _leave_owner(self, meta: Meta) -> None:
        siblings = self._by_owner[meta.owner_uid]
        siblings.pop(meta.key, None)
        if not siblings:
            del self._by_owner[meta.owner_uid]

    def child_keys(self, kind: str, label: str) -> dict[str, Key]:
        """Returns the known children of a kind that carry a label: uid to key."""
        return {
            view.meta.uid: key for key, view in self._children.items() if key.kind == kind and label in view.meta.labels
        }

    def __len__(self) -> int:
        return len(self._objects) + len(self._children)
