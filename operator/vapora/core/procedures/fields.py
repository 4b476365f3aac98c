"""Sets of fields as Kubernetes writes them (`fieldsV1`): joined, and used to cut an object down to them."""

from __future__ import annotations

import json
from collections.abc import Mapping

Fields = Mapping[str, object]


def join_fields(left: Fields, right: Fields) -> Fields:
    """Returns the fields that are in either set; a whole value swallows its parts."""
    joined: dict[str, object] = dict(left)
    for name, below in right.items():
        mine = joined.get(name, below)
        if isinstance(mine, Mapping) and isinstance(below, Mapping) and mine and below:
            joined[name] = join_fields(mine, below)
        else:
            joined[name] = {}
    return joined


def select(value: object, fields: Fields) -> object:
    """Returns the part of a value that a set of fields names; what is not there is left out.

    A name without anything below it stands for the whole value; `f:` is a field, `k:` an item by its keys, `v:` an
    item by its value, `.` the object itself.
    """
    if isinstance(value, Mapping) and fields:
        return _select_fields(value, fields)
    if isinstance(value, list) and fields:
        return [part for item in value for part in _select_item(item, fields)]
    return value


def _select_fields(value: Mapping[str, object], fields: Fields) -> dict[str, object]:
    part: dict[str, object] = {}
    for name, below in fields.items():
        field = name.removeprefix("f:")
        if not name.startswith("f:") or field not in value:
            continue
        inside = below if isinstance(below, Mapping) else {}
        selected = select(value[field], inside)
        if selected or "." in inside or not inside:
            part[field] = selected
    return part


def _select_item(item: object, fields: Fields) -> list[object]:
    """Returns the item's part in a list of at most one."""
    for name, below in fields.items():
        if name.startswith("v:") and json.loads(name[2:]) == item:
            return [item]
        if name.startswith("k:") and isinstance(item, Mapping):
            keys = json.loads(name[2:])
            if all(item.get(key) == wanted for key, wanted in keys.items()):
                part = select(item, below if isinstance(below, Mapping) else {})
                return [{**keys, **part} if isinstance(part, Mapping) else part]
    return []
