"""What an apply step is about to touch: written down before the first write, so that it can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vapora.core import naming
from vapora.core.calls import ObjectRef
from vapora.core.procedures.ownership import read_fields
from vapora.core.views import child, rows, text
from vapora.core.workflow.procedure import Json

Manifest = Mapping[str, object]
# The API server's own, and kubectl's memory of another apply.
_OWN_METADATA = frozenset(
    {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink", "deletionTimestamp"}
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Entry:
    """Is one object of the inventory.

    `uid` is empty until it is applied, where it did not exist before. `pre_image` is the object as it was, `owned` what
    this run had applied of it already, as `fieldsV1`.
    """

    ref: ObjectRef
    existed_before: bool
    uid: str = ""
    pre_image: Manifest | None = None
    owned: Manifest | None = None


def build_entry(ref: ObjectRef, found: Manifest | None, manager: str) -> Entry:
    """Writes down how an object stands before it is applied."""
    if found is None:
        return Entry(ref, existed_before=False)
    owned = read_fields(found, manager)
    uid = text(child(found, "metadata"), "uid")
    return Entry(ref, existed_before=True, uid=uid, pre_image=_build_pre_image(found), owned=owned or None)


def _build_pre_image(found: Manifest) -> Manifest:
    """Returns the object without its status and what only the API server writes."""
    meta = {name: value for name, value in child(found, "metadata").items() if name not in _OWN_METADATA}
    annotations = {name: value for name, value in child(meta, "annotations").items() if name != _LAST_APPLIED}
    meta = {name: value for name, value in {**meta, "annotations": annotations}.items() if value or name == "name"}
    return {**{name: value for name, value in found.items() if name != "status"}, "metadata": meta}


def fill_uids(inventory: Sequence[Entry], stored: Sequence[object]) -> tuple[Entry, ...]:
    """Adds the uids of the objects as they were stored, in the order of the inventory."""
    metas = [child(found, "metadata") if isinstance(found, Mapping) else {} for found in stored]
    pairs = zip(inventory, metas, strict=True)
    return tuple(replace(entry, uid=text(meta, "uid") or entry.uid) for entry, meta in pairs)


def encode_inventory(inventory: Sequence[Entry]) -> list[Json]:
    """Returns the inventory as JSON; what says nothing is left out."""
    return [_encode_entry(entry) for entry in inventory]


def _encode_entry(entry: Entry) -> Json:
    ref = entry.ref
    row: Json = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "existedBefore": entry.existed_before,
        "uid": entry.uid or None,
        "preImage": entry.pre_image,
        "owned": entry.owned,
    }
    return {name: value for name, value in row.items() if value is not None}


def decode_inventory(memory: Json) -> tuple[Entry, ...]:
    """Reads the inventory of a memory; empty where there is none."""
    return tuple(_decode_entry(row) for row in rows(memory, "inventory"))


def _decode_entry(row: Json) -> Entry:
    return Entry(
        ref=ObjectRef(text(row, "apiVersion"), text(row, "kind"), text(row, "namespace"), text(row, "name")),
        existed_before=row.get("existedBefore") is True,
        uid=text(row, "uid"),
        pre_image=child(row, "preImage") if "preImage" in row else None,
        owned=child(row, "owned") if "owned" in row else None,
    )


def is_ours(entry: Entry, found: Manifest, run: str) -> bool:
    """Says whether an object found is the one applied: by its uid, or by our label where a crash has hidden that."""
    if entry.uid:
        return text(child(found, "metadata"), "uid") == entry.uid
    return text(child(found, "metadata", "labels"), naming.LABEL_APPLIED_BY) == run
