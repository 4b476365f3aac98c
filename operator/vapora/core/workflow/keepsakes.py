"""What a status refers to instead of holding it: outputs and memories too large for it, in immutable ConfigMaps.

It works on the status as JSON: what is kept apart is taken out of it before it is written, and put back before it is
read. A keepsake is named by a digest of its run and its text, so its name says what it must hold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field

from vapora.core import naming
from vapora.core.plan import Key
from vapora.core.views import child, text
from vapora.core.workflow.outputs import measure
from vapora.core.workflow.status import Identity

INLINE = 4 * 1024  # bytes of one value in the status
ALL_OUTPUTS = 32 * 1024
ALL_MEMORIES = 16 * 1024
BLOCK = 100  # items whose memories stand together
BUNDLE = 64 * 1024  # of small values for which the status has no room
CHUNK = 512 * 1024  # of one ConfigMap, which may have 1 MiB

LABEL_KEEPSAKE = f"{naming.GROUP}/keepsake"
_DATA = "value.json"
_REFERENCES = {"outputs": "outputRef", "memory": "memoryRef"}
_BLOCKS = {"memories": "memoryRefs", "open": "openRefs"}  # of items, by index

Json = dict[str, object]


@dataclass(slots=True)
class Apart:
    """Is a status without what is kept apart; `texts` are what is, by the name of its keepsake."""

    status: Json
    texts: dict[str, str] = field(default_factory=dict)


def keep_apart(identity: Identity, status: Mapping[str, object]) -> Apart:
    """Takes out of a status what is too large for it: any single large value, and what the earlier ones leave no room.

    A large one has a reference in its row; small ones stand together, by where they belong, in `keepsakes`. What ended
    first stays inline, so that a later write seldom moves what an earlier one put somewhere.
    """
    if _is_small(status):
        return Apart(dict(status))
    apart = Apart(_copy_rows(status))
    room = {"outputs": ALL_OUTPUTS, "memory": ALL_MEMORIES}
    small: Json = {}
    for holder in sorted(_list_holders(apart.status), key=_order):
        for name in _REFERENCES:
            if value := holder.row.get(name):
                _keep(identity, apart, holder, name, value, room, small)
        for name in _BLOCKS:
            if values := child(holder.row, name):
                _keep_of_items(identity, apart, holder, name, values, room, small)
    if small:
        apart.status["keepsakes"] = [_put(identity, apart, part) for part in _split(small, BUNDLE)]
    return apart


def _is_small(status: Mapping[str, object]) -> bool:
    """Returns whether all that could be kept apart is no larger than what one value may be."""
    left = INLINE
    for holder in _list_holders(status):
        left -= sum(measure(value) for name in (*_REFERENCES, "memories") if (value := holder.row.get(name)))
        if left < 0:
            return False
    return True


def find_keepsakes(status: Mapping[str, object]) -> frozenset[str]:
    """Returns the names of the keepsakes that a status refers to."""
    bundles = status.get("keepsakes")
    rows = (name for holder in _list_holders(status) for name in _list_names(holder.row))
    return frozenset((*rows, *(bundles if isinstance(bundles, list) else ())))


def put_back(status: Mapping[str, object], values: Mapping[str, object]) -> Json:
    """Returns the status with the values, by name, in place of the references to them."""
    whole = _copy_rows(status)
    holders = {holder.name: holder for holder in _list_holders(whole)}
    bundles = whole.pop("keepsakes", None)
    for bundle in (child(values, name) for name in (bundles if isinstance(bundles, list) else ())):
        for place, value in bundle.items():
            name, _, field_ = place.rpartition("/")
            holders[name].row[field_] = value
    for holder in holders.values():
        row = holder.row
        for name, reference in _REFERENCES.items():
            if known := text(row, reference):
                row[name] = values[known]
        for name, reference in _BLOCKS.items():
            if names := row.pop(reference, None):
                blocks = [values[known] for known in names] if isinstance(names, list) else []
                parts = [child(row, name), *(block for block in blocks if isinstance(block, Mapping))]
                row[name] = {index: value for part in parts for index, value in part.items()}
        for reference in _REFERENCES.values():
            row.pop(reference, None)
    return whole


def find_outputs(status: Mapping[str, object]) -> frozenset[str]:
    """Returns the names of the keepsakes that hold outputs, or may."""
    bundles = status.get("keepsakes")
    large = (known for holder in _list_holders(status) if (known := text(holder.row, "outputRef")))
    return frozenset((*large, *(bundles if isinstance(bundles, list) else ())))


def put_outputs_back(status: Mapping[str, object], values: Mapping[str, object]) -> Json:
    """Returns the status with those outputs that the given keepsakes hold, for people; references stay."""
    whole = _copy_rows(status)
    bundles = whole.get("keepsakes")
    small = {
        place.removesuffix("/outputs"): value
        for name in (bundles if isinstance(bundles, list) else ())
        for place, value in child(values, name).items()
        if place.endswith("/outputs")
    }
    for holder in _list_holders(whole):
        value = values.get(text(holder.row, "outputRef"), small.get(holder.name))
        if value is not None:
            holder.row["outputs"] = value
    return whole


def name_keepsake(identity: Identity, written: str) -> str:
    """Names the keepsake of a text: `<workflow, at most 30>-<32 hexadecimal digits>`."""
    prefix = naming.child_name(identity.name, "", "", 0, 0).rpartition("-")[0]
    digest = hashlib.sha256("\x1f".join((identity.uid, written)).encode()).hexdigest()
    return f"{prefix}-{digest[:32]}"


def keepsake_key(identity: Identity, name: str) -> Key:
    """Returns the key of the ConfigMap."""
    return Key("ConfigMap", identity.namespace, name)


def build_keepsake(identity: Identity, name: str, written: str) -> Json:
    """Builds the ConfigMap of a text; it goes with its Workflow."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": identity.namespace,
            "labels": {
                naming.LABEL_MANAGED_BY: naming.FIELD_MANAGER,
                naming.LABEL_WORKFLOW: identity.uid,
                LABEL_KEEPSAKE: name.rpartition("-")[2],
            },
            "ownerReferences": [identity.owner_reference],
        },
        "immutable": True,
        "data": {_DATA: written},
    }


def read_keepsake(identity: Identity, name: str, manifest: Mapping[str, object]) -> object:
    """Returns the value of a keepsake; raises ValueError where it does not hold what its name says."""
    written = text(child(manifest, "data"), _DATA)
    if name_keepsake(identity, written) != name:
        raise ValueError("it does not hold what was put there")
    value: object = json.loads(written)
    return value


def select_keepsakes(identity: Identity, names: frozenset[str]) -> str:
    """Returns the label selector of some keepsakes of a run."""
    digests = ",".join(sorted(name.rpartition("-")[2] for name in names))
    return f"{naming.LABEL_WORKFLOW}={identity.uid},{LABEL_KEEPSAKE} in ({digests})"


@dataclass(frozen=True, slots=True)
class _Holder:
    """Is an object of the status that may hold values: a step's row, its items, or an active item."""

    place: tuple[str, ...]
    ended: str
    row: Json

    @property
    def name(self) -> str:
        return "/".join(self.place)


def _order(holder: _Holder) -> tuple[str, tuple[str, ...]]:
    return holder.ended or "~", holder.place  # what has not ended comes after every time


def _list_holders(status: Mapping[str, object]) -> Iterator[_Holder]:
    for part, table in (("", child(status, "steps")), ("rollback", child(status, "rollback", "steps"))):
        for name, row in table.items():
            if not isinstance(row, dict):
                continue
            ended = text(row, "finishedAt")
            yield _Holder((part, name), ended, row)
            items = row.get("items")
            if isinstance(items, dict):
                yield _Holder((part, name, "items"), ended, items)
                yield from (
                    _Holder((part, name, "active", f"{entry['i']:05d}"), "", entry) for entry in items.get("active", ())
                )


def _copy_rows(status: Mapping[str, object]) -> Json:
    """Copies a status as deep as keepsakes are taken out of it."""
    copy: Json = dict(status)
    for path in (("steps",), ("rollback", "steps")):
        holder: MutableMapping[str, object] = copy
        for name in path[:-1]:
            if not isinstance(holder.get(name), Mapping):
                break
            holder[name] = dict(child(holder, name))
            holder = holder[name]  # type: ignore[assignment]  # the copy just made
        else:
            if path[-1] in holder:
                holder[path[-1]] = {name: _copy_row(row) for name, row in child(holder, path[-1]).items()}
    return copy


def _copy_row(row: object) -> object:
    if not isinstance(row, Mapping):
        return row
    copy = dict(row)
    if isinstance(items := copy.get("items"), Mapping):
        copy["items"] = dict(items)
        if isinstance(active := items.get("active"), list):
            copy["items"]["active"] = [dict(entry) for entry in active]
    return copy


def _keep(
    identity: Identity,
    apart: Apart,
    holder: _Holder,
    name: str,
    value: object,
    room: dict[str, int],
    small: Json,
) -> None:
    size = measure(value)
    if size <= INLINE and size <= room[name]:
        room[name] -= size
        return
    del holder.row[name]
    if size <= INLINE:
        small[f"{holder.name}/{name}"] = value
    else:
        holder.row[_REFERENCES[name]] = _put(identity, apart, value)


def _divide(values: Mapping[str, object]) -> list[Json]:
    """Divides what is kept of items by their indices: a block whose items have ended changes no more."""
    blocks: dict[int, Json] = {}
    for index, value in values.items():
        blocks.setdefault(int(index) // BLOCK, {})[index] = value
    return [block for _, block in sorted(blocks.items())]


def _keep_of_items(
    identity: Identity,
    apart: Apart,
    holder: _Holder,
    name: str,
    values: Mapping[str, object],
    room: dict[str, int],
    small: Json,
) -> None:
    """Keeps what there is of few items as any small value, of many in blocks."""
    blocks = [(block, measure(block)) for block in _divide(values)]
    if sum(size for _, size in blocks) > INLINE:
        _keep_blocks(identity, apart, holder.row, name, blocks, room)
    elif (size := measure(values)) <= room["memory"]:
        room["memory"] -= size
    else:
        small[f"{holder.name}/{name}"] = holder.row.pop(name)


def _keep_blocks(
    identity: Identity, apart: Apart, row: Json, name: str, blocks: list[tuple[Json, int]], room: dict[str, int]
) -> None:
    inline: Json = {}
    names: list[str] = []
    for block, size in blocks:
        if size <= INLINE and size <= room["memory"]:
            room["memory"] -= size
            inline |= block
        elif size <= CHUNK:
            names.append(_put(identity, apart, block))
        else:
            ordered = dict(sorted(block.items(), key=lambda row: int(row[0])))
            names += [_put(identity, apart, part) for part in _split(ordered, CHUNK)]
    del row[name]
    if inline:
        row[name] = inline
    if names:
        row[_BLOCKS[name]] = names


def _split(block: Json, most: int) -> Iterator[Json]:
    """Cuts a block into parts of so many bytes, or of a single value that has more."""
    part: Json = {}
    size = 0
    for index, memory in block.items():
        more = measure(memory) + len(index) + 4
        if part and size + more > most:
            yield part
            part, size = {}, 0
        part[index] = memory
        size += more
    yield part


def _put(identity: Identity, apart: Apart, value: object) -> str:
    written = json.dumps(value, sort_keys=True, separators=(",", ":"))
    name = name_keepsake(identity, written)
    apart.texts[name] = written
    return name


def _list_names(row: Mapping[str, object]) -> Iterator[str]:
    yield from (known for reference in _REFERENCES.values() if (known := text(row, reference)))
    for names in map(row.get, _BLOCKS.values()):
        yield from (str(name) for name in names) if isinstance(names, list) else ()
