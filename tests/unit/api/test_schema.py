"""Structural schemas from models."""

import pytest
from pydantic import Field, JsonValue

from vapora.api.base import ApiModel, Duration, EnvName, RawObject
from vapora.api.schema import build_schema

ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}


class Part(ApiModel):
    """A part."""

    size: int = 3
    """Its size."""


class Whole(ApiModel):
    """A whole."""

    name: str = Field(max_length=5)
    """Its name."""
    first: Part = Field(default_factory=Part)
    """The first part."""
    others: tuple[Part, ...] = Field(default=(), max_length=2)
    """The other parts."""
    anything: JsonValue = None
    """Any JSON."""
    raw: RawObject | None = None
    """An object of Kubernetes."""
    labels: dict[EnvName, str] = Field(default_factory=dict, max_length=4)
    """Texts by name."""
    wait: Duration = "5s"
    """How long."""


def test_fields_become_properties_with_their_limits() -> None:
    schema = build_schema(Whole, with_defaults=True)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert schema["required"] == ["name"]
    assert properties["name"] == {"type": "string", "maxLength": 5, "description": "Its name."}
    assert properties["anything"] == {"description": "Any JSON.", **ANYTHING}
    assert properties["raw"] == {"type": "object", "description": "An object of Kubernetes.", **ANYTHING}
    assert properties["labels"] == {
        "type": "object",
        "description": "Texts by name.",
        "maxProperties": 4,
        "additionalProperties": {"type": "string"},
    }
    wait = properties["wait"]
    assert isinstance(wait, dict)
    assert (wait["x-kubernetes-int-or-string"], wait["default"], "type" in wait) == (True, "5s", False)


def test_a_default_stands_in_an_object_and_not_in_a_list_item() -> None:
    properties = build_schema(Whole, with_defaults=True)["properties"]
    assert isinstance(properties, dict)
    size = {"type": "integer", "description": "Its size."}
    assert properties["first"] == {
        "type": "object",
        "description": "The first part.",
        "properties": {"size": {**size, "default": 3}},
    }
    assert properties["others"] == {
        "type": "array",
        "maxItems": 2,
        "description": "The other parts.",
        "items": {"type": "object", "description": "A part.", "properties": {"size": size}},
    }


def test_what_a_structural_schema_cannot_say_is_refused() -> None:
    class Either(ApiModel):
        """One or the other."""

        value: int | bool
        """The value."""

    with pytest.raises(ValueError, match="no unions"):
        build_schema(Either, with_defaults=True)
