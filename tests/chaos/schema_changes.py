"""Changes of a spec made from its schema: for each field another value than it has."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from tests.integration.engine import CRDS

Json = dict[str, Any]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field that holds no others. Its path has `[]` for the items of a list and `{}` for the values of a map."""

    path: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Change:
    """A spec before and after one field got another value."""

    path: str
    value: object
    before: Json
    after: Json

    def __str__(self) -> str:
        return f"{self.path} = {self.value!r:.60}"


@dataclass(frozen=True, slots=True)
class Table:
    """What the schema does not say.

    All by path, those of `values` and `besides` by its end too. `values` are the values of fields, `bases` the specs in
    which fields mean something, by the start of their path; `besides` is what else changes in the object around, None
    for what goes.
    """

    bases: Mapping[str, Json]
    values: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    besides: Mapping[str, Json] = field(default_factory=dict)


def read_spec_schema(plural: str) -> Schema:
    """Return the schema of a kind's spec."""
    definition = yaml.safe_load((CRDS / f"vapora.dev_{plural}.yaml").read_text())
    return dict(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])


def list_leaves(schema: Schema, path: str = "") -> Iterator[Leaf]:
    """Yield every field that holds no others."""
    if "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from list_leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from list_leaves(schema["additionalProperties"], f"{path}{{}}")
    elif "items" in schema:
        yield from list_leaves(schema["items"], f"{path}[]")
    else:
        yield Leaf(path, schema)


def list_changes(schema: Schema, table: Table) -> Iterator[Change]:
    """Yield the changes of every field: one of each, of an enumeration one to each other value."""
    for leaf in list_leaves(schema):
        before = copy.deepcopy(_find(table.bases, leaf.path, str.startswith) or {})
        for value in _list_values(leaf, _read(before, leaf.path), table):
            after = copy.deepcopy(before)
            _set(after, schema, leaf.path.split("."), value, _find(table.besides, leaf.path, _ends) or {})
            yield Change(leaf.path, value, before, after)


def _find(table: Mapping[str, Any], path: str, fits: Any) -> Any:
    """Return the entry of the longest key that fits."""
    fitting = [key for key in table if fits(path, key)]
    return table[max(fitting, key=len)] if fitting else None


def _ends(path: str, key: str) -> bool:
    return path == key or path.endswith(f".{key}")


def _list_values(leaf: Leaf, present: object, table: Table) -> list[object]:
    given = _find(table.values, leaf.path, _ends)
    if given is not None:
        return list(given)
    schema = leaf.schema
    former = schema.get("default") if present is None else present
    if "enum" in schema:
        return [value for value in schema["enum"] if value != former]
    return [_make(schema, former)]


def _make(schema: Schema, former: object = None) -> object:
    """Make a value that the schema allows, another one than the former."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return {"changed": "yes"} if schema.get("type") == "object" else "changed"
    if schema.get("x-kubernetes-int-or-string"):
        return "7m"  # a duration of seven minutes, or a quantity
    kind = schema.get("type")
    if kind == "boolean":
        return not former
    if kind == "number":
        return 0.25
    if kind == "integer":
        wanted = former + 1 if isinstance(former, int) else max(2, schema.get("minimum", 0))
        return wanted if wanted <= schema.get("maximum", wanted) else wanted - 2
    if kind == "object":
        return {name: _make(schema["properties"][name]) for name in schema.get("required", [])}
    if kind == "array":
        return [_make(schema["items"])]
    assert kind == "string", f"no value is known for {schema}"
    return "changed"


def _read(value: Any, path: str) -> object:
    """Return what stands at a path, None where nothing does; of lists and maps the first."""
    for part in path.split("."):
        name = part.rstrip("[]{}")
        value = value.get(name) if isinstance(value, dict) else None
        for _ in range((len(part) - len(name)) // 2):
            inner = list(value.values()) if isinstance(value, dict) else value
            value = inner[0] if inner else None
    return value


def _set(spec: Json, schema: Schema, parts: list[str], value: object, beside: Json) -> None:
    """Set a field, and what must stand beside it; what is missing on the way is made."""
    part, *rest = parts
    name = part.rstrip("[]{}")
    inner = schema["properties"][name]
    marks = part[len(name) :]
    if not rest:
        spec[name] = [value] if marks == "[]" else {"changed": value} if marks == "{}" else value
        if marks == "{}" and isinstance(value, dict):
            spec[name] = value  # the table says the keys, too
        spec.update(copy.deepcopy(beside))
        for gone in [key for key, entry in spec.items() if entry is None]:
            del spec[gone]
        return
    inner = inner.get("items") or inner.get("additionalProperties") or inner
    if marks == "[]":
        held = spec.setdefault(name, [])
        if not held:
            held.append(_make({**inner, "type": "object"}))
        _set(held[0], inner, rest, value, beside)
    else:
        held = spec.setdefault(name, {})
        if marks == "{}":
            held = held.setdefault("changed", {})
        if not held:
            held.update(_make({**inner, "type": "object"}))
        _set(held, inner, rest, value, beside)
