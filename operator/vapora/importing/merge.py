"""One service in two files: a TOML file wins field by field, and what differs is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from vapora.importing.dialects.draft import Draft
from vapora.importing.dialects.fields import to_snake
from vapora.importing.quantities import parse_quantity
from vapora.importing.reading.places import Path, Remark

_AS_A_WHOLE = {("dependencies",), ("image",), ("version",)}


def merge_drafts(base: Draft, winner: Draft) -> tuple[Draft, list[Remark]]:
    """Returns the service of both, with a remark for each field in which they differ."""
    remarks = list(_find_differences(base, winner))
    merged = Draft(winner.kind, winner.name, winner.namespace, winner.origin)
    merged.spec.update(_merge(_normalise(base.spec), _normalise(winner.spec)))
    merged.places.update({**base.places, (): base.origin, **winner.places})
    return merged, remarks


def _normalise(spec: Mapping[str, object]) -> dict[str, object]:
    return {to_snake(key): value for key, value in spec.items()}


def _merge(base: Mapping[str, object], winner: Mapping[str, object]) -> dict[str, object]:
    merged = {**base, **winner}
    for key in base.keys() & winner.keys():
        below, above = base[key], winner[key]
        if isinstance(below, Mapping) and isinstance(above, Mapping):
            merged[key] = _merge(below, above)
    return merged


def _find_differences(base: Draft, winner: Draft) -> Iterator[Remark]:
    if base.namespace != winner.namespace:
        told = f"namespace is {winner.namespace} here, {base.namespace} in {base.origin}; this one is taken"
        yield Remark(winner.origin, "note", told)
    below, above = _normalise(base.spec), _normalise(winner.spec)
    for path, value, other in _walk((), below, above):
        place, former = winner.place(path), base.place(path)
        shown = ".".join(map(str, path))
        told = f"{winner.name}: {shown} is {_write(other)} here, {_write(value)} in {former}; this one is taken"
        yield Remark(place, "note", told)


def _walk(path: Path, base: object, winner: object) -> Iterator[tuple[Path, object, object]]:
    if isinstance(base, Mapping) and isinstance(winner, Mapping) and path not in _AS_A_WHOLE:
        for key in [key for key in base if key in winner]:
            yield from _walk((*path, key), base[key], winner[key])
    elif base != winner:
        number = parse_quantity(base)
        if number is None or number != parse_quantity(winner):
            yield path, base, winner


def _write(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
