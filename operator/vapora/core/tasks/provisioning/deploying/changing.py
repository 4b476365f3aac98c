"""A change of single fields of an object, so that what runs have applied of it before stays."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.core.procedures.fields import Fields, join_fields, select
from vapora.core.procedures.ownership import is_former_run, read_fields
from vapora.core.views import child, rows, text

Manifest = Mapping[str, object]


def build_change(found: Manifest, change: Manifest, manager: str) -> Manifest:
    """Returns what is applied to change an object: all that this run and former ones own of it, with the change.

    Applying the change alone would drop what they own: the run takes over the fields of former ones.
    """
    part = select(found, _read_own_fields(found, manager))
    owned = part if isinstance(part, Mapping) and part is not found else {}
    meta = {name: child(found, "metadata")[name] for name in ("name", "namespace") if name in child(found, "metadata")}
    identity = {"apiVersion": text(found, "apiVersion"), "kind": text(found, "kind"), "metadata": meta}
    return merge(merge(owned, change), identity)


def merge(base: Manifest, change: Manifest) -> Manifest:
    """Returns `base` with the fields of `change`; a list is replaced as a whole."""
    merged = dict(base)
    for name, value in change.items():
        former = merged.get(name)
        is_both = isinstance(former, Mapping) and isinstance(value, Mapping)
        merged[name] = merge(former, value) if is_both else value  # type: ignore[arg-type]  # both were looked at
    return merged


def is_changed(found: object, change: object) -> bool:
    """Says whether a change would change something."""
    if isinstance(change, Mapping):
        return any(is_changed(found.get(name) if isinstance(found, Mapping) else None, change[name]) for name in change)
    return found != change


def _read_own_fields(found: Manifest, manager: str) -> Fields:
    fields: Fields = {}
    for entry in rows(child(found, "metadata"), "managedFields"):
        name = text(entry, "manager")
        if name == manager or is_former_run(name, manager):
            fields = join_fields(fields, read_fields(found, name))
    return fields
