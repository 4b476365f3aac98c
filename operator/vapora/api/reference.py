"""The reference page `docs/api.md`: every field, condition, reason and column."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, JsonValue

from vapora.api.conditiontypes import CONDITION_TYPES
from vapora.api.kinds import API_VERSION, CATEGORY, KINDS, Kind
from vapora.api.reasons import Reason
from vapora.api.schema import Schema, resolve

_INTRODUCTION = f"""<!-- Generated from operator/vapora/api by `make generate`. Do not edit. -->
# The custom resources

API version `{API_VERSION}`; every kind is namespaced and in category `{CATEGORY}` (`kubectl get {CATEGORY}`).

- A **duration** is a number of seconds (`300`) or units in the order d, h, m, s, ms, each once: `1h30m`, `500ms`, `2d`.
- A **quantity** is Kubernetes' own: `500m`, `4Gi`.
- Where a type says `or ${{...}}`, the field also takes one interpolation that gives such a value when the step starts.
- An environment value `secret:<name>:<key>` takes the value from a Secret.
- A default is filled in when the object is stored, except inside the items of a list, where only the operator knows it.
- No field is named `on`, which `kubectl` reads in YAML as `true`: hence `retryOn` and `runOn`.
"""
_LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "from {}",
    "maximum": "to {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
}


def build_reference() -> str:
    """Return the page."""
    kinds = [_describe_kind(kind) for kind in KINDS]
    parts = [_INTRODUCTION, *kinds, _describe_shared(), _describe_conditions(), _describe_reasons()]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _describe_kind(kind: Kind) -> str:
    spec, status = kind.spec_model, kind.status_model
    lines = [
        f"## {kind.name}",
        kind.description,
        "",
        f"Plural `{kind.plural}`, short `{kind.short}`; a name has at most {kind.name_max} characters "
        f"and matches `{kind.name_pattern}`.",
    ]
    if kind.has_scale:
        lines.append("It has the subresource `scale` (spec.replicas, status.replicas, status.selector).")
    if kind.selectable:
        lines.append(f"Field selectors: {', '.join(f'`{path[1:]}`' for path in kind.selectable)}.")
    lines += ["", "| column | shows | |", "|---|---|---|"]
    lines += [
        f"| {column.name} | {_escape(column.description)} | {'`-o wide`' if column.wide else ''} |"
        for column in kind.columns
    ]
    lines += ["", f"### {kind.name} spec", *_describe_fields(spec.model_json_schema())]
    lines += ["", f"### {kind.name} status", *_describe_fields(status.model_json_schema())]
    return "\n".join(lines)


def _describe_shared() -> str:
    definitions: Schema = {}
    for model in _list_models():
        found = model.model_json_schema().get("$defs", {})
        definitions.update(found)
    tops = {model.__name__ for model in _list_models()}
    lines = ["## Types", ""]
    for name in sorted(definitions):
        node = definitions[name]
        if name not in tops and isinstance(node, dict) and "properties" in node:
            lines += [f"### {name}", str(node.get("description", "")), *_describe_choice(node)]
            lines += [*_describe_fields({**node, "$defs": definitions}), ""]
    return "\n".join(lines)


def _list_models() -> Iterator[type[BaseModel]]:
    for kind in KINDS:
        yield from (kind.spec_model, kind.status_model)


def _describe_choice(node: Mapping[str, JsonValue]) -> Iterator[str]:
    branches = node.get("oneOf")
    if isinstance(branches, list):
        fields = [branch["required"] for branch in branches if isinstance(branch, dict)]
        names = [f"`{names[0]}`" for names in fields if isinstance(names, list)]
        yield f"Exactly one of {', '.join(names)}."


def _describe_fields(model: Mapping[str, JsonValue]) -> Iterator[str]:
    definitions, properties = model.get("$defs", {}), model["properties"]
    required = model.get("required", [])
    yield ""
    yield "| field | type | default | limits | meaning |"
    yield "|---|---|---|---|---|"
    if not isinstance(definitions, dict) or not isinstance(properties, dict) or not isinstance(required, list):
        raise ValueError(f"{model.get('title')} is no model of an object")  # noqa: TRY004 - the models are at fault
    for name, raw in properties.items():
        if isinstance(raw, dict):
            node = resolve(raw, definitions)
            default = "required" if name in required else _describe_default(node.get("default"))
            cells = (f"`{name}`", _describe_type(raw, definitions), default, _describe_limits(node))
            yield f"| {' | '.join(cells)} | {_escape(str(node.get('description', '')))} |"


def _describe_default(default: JsonValue) -> str:
    if default is None or default in ([], {}):
        return ""
    return f"`{_describe_value(default)}`"


def _describe_value(value: JsonValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _describe_type(raw: JsonValue, definitions: Schema) -> str:
    if not isinstance(raw, dict):
        return "any JSON"
    for branch in _list_branches(raw):
        if "$ref" in branch:
            return _describe_reference(str(branch["$ref"]).rpartition("/")[2], definitions)
    node = resolve(raw, definitions)
    values = node.get("enum", [node["const"]] if "const" in node else None)
    if isinstance(values, list):
        return " \\| ".join(f"`{_describe_value(value)}`" for value in values)
    return _describe_plain_type(node, definitions)


def _describe_plain_type(node: Schema, definitions: Schema) -> str:
    match node:
        case {"x-vapora-type": name}:
            return str(name)
        case {"type": "array", "items": items}:
            return f"list of {_describe_type(items, definitions)}"
        case {"type": "object"}:
            return _describe_map(node, definitions)
        case {"format": "date-time"}:
            return "time"
    return str(node.get("type", "any JSON"))


def _list_branches(raw: Schema) -> list[Schema]:
    branches = raw.get("anyOf", [raw])
    return [branch for branch in branches if isinstance(branch, dict)] if isinstance(branches, list) else []


_SPECS = {kind.spec_model.__name__: f"{kind.name.lower()}-spec" for kind in KINDS}


def _describe_reference(name: str, definitions: Schema) -> str:
    target = definitions[name]
    if isinstance(target, dict) and "properties" in target:
        return f"[{name}](#{_SPECS.get(name, name.lower())})"
    return _describe_type(target, definitions)


def _describe_map(node: Schema, definitions: Schema) -> str:
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return "object"
    patterns = node.get("patternProperties")
    values = next(iter(patterns.values())) if isinstance(patterns, dict) else node.get("additionalProperties")
    return f"map of {_describe_type(values, definitions)}"


def _describe_limits(node: Schema) -> str:
    if node.get("x-kubernetes-int-or-string"):
        return ""
    limits = [text.format(node[key]) for key, text in _LIMITS.items() if key in node]
    if "pattern" in node:
        limits.append(f"`{_escape(str(node['pattern']))}`")
    return ", ".join(limits)


def _describe_conditions() -> str:
    lines = ["## Conditions", "", "What it means that a condition is true.", "", "| condition | of | meaning |"]
    lines += ["|---|---|---|"]
    lines += [f"| {name} | {', '.join(kinds)} | {meaning} |" for name, (kinds, meaning) in CONDITION_TYPES.items()]
    return "\n".join(lines)


def _describe_reasons() -> str:
    lines = ["## Reasons", "", "What conditions, steps and events give as their reason.", "", "| reason | meaning |"]
    lines += ["|---|---|", *(f"| {reason.value} | {_escape(reason.meaning)} |" for reason in Reason)]
    return "\n".join(lines)


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
