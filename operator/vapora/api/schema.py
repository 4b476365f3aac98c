"""Structural OpenAPI v3 schemas, as the API server wants them, from the pydantic models."""

from collections.abc import Mapping

from pydantic import BaseModel, JsonValue

from vapora.api.base import TYPE_NAME

Schema = dict[str, JsonValue]

ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_KEPT = {
    "type",
    "format",
    "description",
    "pattern",
    "enum",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "oneOf",
}
_DROPPED = {"title", "default", "additionalProperties", "patternProperties", "propertyNames", TYPE_NAME, "$defs"}


def build_schema(model: type[BaseModel], *, with_defaults: bool) -> Schema:
    """Return the model's structural schema; ValueError where the model has what such a schema cannot say.

    Defaults stand only outside list items: inside, the API server would add them to what was applied,
    and every later apply would find a difference.
    """
    raw = model.model_json_schema(by_alias=True)
    return _Converter(_as_schema(raw.get("$defs", {}))).convert(raw, with_defaults=with_defaults)


def resolve(node: Mapping[str, JsonValue], definitions: Mapping[str, JsonValue]) -> Schema:
    """Return the node without reference and without the branch null, which a field that is left out stands for."""
    if "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return {**resolve(_as_schema(definitions[name]), definitions), **rest}
    if "anyOf" in node:
        branches = [branch for branch in _as_schemas(node["anyOf"]) if branch.get("type") != "null"]
        if len(branches) != 1:
            raise ValueError(f"a structural schema has no unions: {node}")
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        return {**resolve(branches[0], definitions), **rest}
    return dict(node)


class _Converter:
    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions

    def convert(self, raw: Mapping[str, JsonValue], *, with_defaults: bool) -> Schema:
        node = resolve(raw, self._definitions)
        schema = _keep_known(node)
        if "const" in node:
            schema["enum"] = [node["const"]]
        default = node.get("default")
        if with_defaults and isinstance(default, str | int | float | bool):
            schema["default"] = default
        if not self._has_type(node):
            return {**schema, **ANYTHING}
        if "properties" in node:
            schema["properties"] = {
                name: self.convert(field, with_defaults=with_defaults)
                for name, field in _as_schema(node["properties"]).items()
                if isinstance(field, dict)
            }
        elif node.get("type") == "object" and not node.get("x-kubernetes-preserve-unknown-fields"):
            schema["additionalProperties"] = self.convert(_get_value_schema(node), with_defaults=with_defaults)
        elif node.get("type") == "array":
            schema["items"] = self.convert(_as_schema(node["items"]), with_defaults=False)
        return schema

    @staticmethod
    def _has_type(node: Mapping[str, JsonValue]) -> bool:
        return "type" in node or "x-kubernetes-int-or-string" in node


def _keep_known(node: Mapping[str, JsonValue]) -> Schema:
    structure = {"properties", "items", "const"}
    unknown = {key for key in node if key not in _KEPT | _DROPPED | structure and not key.startswith("x-kubernetes-")}
    if unknown:
        raise ValueError(f"a structural schema has no {', '.join(sorted(unknown))}: {node}")
    return {key: value for key, value in node.items() if key in _KEPT or key.startswith("x-kubernetes-")}


def _get_value_schema(node: Mapping[str, JsonValue]) -> Schema:
    """Return the schema of a map's values; rules for its keys cannot be said and stay with the model."""
    if "patternProperties" in node:
        return _as_schemas(list(_as_schema(node["patternProperties"]).values()))[0]
    values = node.get("additionalProperties")
    return values if isinstance(values, dict) else {}


def _as_schema(value: JsonValue) -> Schema:
    if not isinstance(value, dict):
        raise ValueError(f"a schema is an object, not {value!r}")  # noqa: TRY004 - the models are at fault, not a caller
    return value


def _as_schemas(value: JsonValue) -> list[Schema]:
    if not isinstance(value, list):
        raise ValueError(f"schemas are a list, not {value!r}")  # noqa: TRY004 - the models are at fault, not a caller
    return [_as_schema(item) for item in value]
