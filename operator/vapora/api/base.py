"""What all resources share: the model base, the scalar types and conditions."""

import re
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, PlainValidator, Strict, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.functional_validators import AfterValidator
from pydantic.types import StringConstraints

from vapora.api.durations import DURATION_PATTERN, MAX_SECONDS, parse_duration
from vapora.api.secrets import parse_secret_reference


class ApiModel(BaseModel):
    """Part of a spec: immutable, in camelCase outside, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        validate_default=False,
    )


class StatusModel(ApiModel):
    """Part of a status: a field written by a newer operator is no reason to fail."""

    model_config = ConfigDict(extra="ignore")


def require_one(*fields: str) -> ConfigDict:
    """Configure a model whose schema demands exactly one of the fields."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [field]} for field in fields]})


TYPE_NAME = "x-vapora-type"
"""The key under which a type tells its name to the documentation; the CRDs do not carry it."""

EXPRESSION_PATTERN = r"\$\{[^{}]{1,200}\}"
_EXPRESSION = re.compile(EXPRESSION_PATTERN)
QUANTITY_PATTERN = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+))?"
_QUANTITY = re.compile(QUANTITY_PATTERN)
_PERCENTAGE = re.compile(r"[0-9]{1,3}%")


def is_expression(value: object) -> bool:
    """Whether the value is nothing but one ``${...}``."""
    return isinstance(value, str) and _EXPRESSION.fullmatch(value) is not None


def _check_duration(value: object) -> object:
    parse_duration(value)
    return value


def _check_duration_or_expression(value: object) -> object:
    return value if is_expression(value) else _check_duration(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_quantity(value: object) -> object:
    if _is_count(value) or (isinstance(value, str) and _QUANTITY.fullmatch(value)):
        return value
    raise ValueError(f"{value!r} is no quantity: allowed are such as 500m, 2, 4Gi")


def _check_quantity_or_expression(value: object) -> object:
    return value if is_expression(value) else _check_quantity(value)


def _check_count_or_expression(value: object) -> object:
    if _is_count(value) or is_expression(value):
        return value
    raise ValueError(f"{value!r} is no count: allowed are a number from 0 and one ${{...}}")


def _check_count_or_percentage(value: object) -> object:
    if _is_count(value) or (isinstance(value, str) and _PERCENTAGE.fullmatch(value)):
        return value
    raise ValueError(f"{value!r} is no count: allowed are a number from 0 and a share such as 10%")


def _check_env_value(value: str) -> str:
    parse_secret_reference(value)
    return value


def _int_or_string(name: str, pattern: str, maximum: int | None = None) -> WithJsonSchema:
    schema: dict[str, JsonValue] = {
        TYPE_NAME: name,
        "x-kubernetes-int-or-string": True,
        "pattern": pattern,
        "minLength": 1,
        "maxLength": 256,
        "minimum": 0,
    }
    return WithJsonSchema(schema if maximum is None else {**schema, "maximum": maximum})


Integer = Annotated[int, Strict()]
"""A whole number; unlike `int` it takes neither true nor "5"."""
Number = Annotated[float, Strict()]
Boolean = Annotated[bool, Strict()]
Timestamp = AwareDatetime

Duration = Annotated[
    int | str, PlainValidator(_check_duration), _int_or_string("duration", DURATION_PATTERN, MAX_SECONDS)
]
"""Seconds as a number, or units such as 1h30m; `parse_duration` reads it."""
DurationOrExpression = Annotated[
    int | str,
    PlainValidator(_check_duration_or_expression),
    _int_or_string("duration or ${...}", f"^({DURATION_PATTERN[1:-1]}|{EXPRESSION_PATTERN})$", MAX_SECONDS),
]
"""A duration, or one ``${...}`` that becomes a duration when the step starts."""
Quantity = Annotated[int | str, PlainValidator(_check_quantity), _int_or_string("quantity", f"^{QUANTITY_PATTERN}$")]
"""A Kubernetes quantity."""
QuantityOrExpression = Annotated[
    int | str,
    PlainValidator(_check_quantity_or_expression),
    _int_or_string("quantity or ${...}", f"^({QUANTITY_PATTERN}|{EXPRESSION_PATTERN})$"),
]
CountOrExpression = Annotated[
    int | str,
    PlainValidator(_check_count_or_expression),
    _int_or_string("integer or ${...}", f"^{EXPRESSION_PATTERN}$"),
]
"""A number from 0, or one ``${...}`` that becomes one when the step starts."""
CountOrPercentage = Annotated[
    int | str, PlainValidator(_check_count_or_percentage), _int_or_string("integer or percentage", "^[0-9]{1,3}%$")
]
"""A number from 0, or a share such as 10%."""

DNS_LABEL_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_NAME_PATTERN = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
StepName = Annotated[str, StringConstraints(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=57)]
"""The name of a step; with what is added to it for its undoing it is still a label's value."""
DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=63)]
"""Lower-case letters, digits and dashes, at most 63: the name of a step, a port, a namespace."""
ObjectName = Annotated[str, StringConstraints(pattern=DNS_NAME_PATTERN, min_length=1, max_length=253)]
"""The name of a Kubernetes object."""
NameOrExpression = Annotated[
    str, StringConstraints(pattern=r"^([-a-z0-9.]|[$][{][^{}]+[}])+$", min_length=1, max_length=253)
]
"""The name of a Kubernetes object, in which ``${...}`` is filled in when the step starts."""
Word = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", max_length=63)]
"""A role, a capability, a task type: a word that may stand in a label."""
OutputName = Annotated[str, StringConstraints(pattern="^[A-Za-z_][A-Za-z0-9_-]*$", max_length=63)]
Line = Annotated[str, StringConstraints(max_length=256)]
Text = Annotated[str, StringConstraints(max_length=4096)]
LongText = Annotated[str, StringConstraints(max_length=32768)]
StatusLine = Annotated[str, StringConstraints(max_length=1024)]
"""A line of a status; wider than what is written, since a status that is refused would say nothing at all."""
Message = Annotated[str, StringConstraints(max_length=4096)]
"""A message of a status; the operator cuts what it writes to 1 KiB."""
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
"""A CEL expression."""
EnvName = Annotated[str, StringConstraints(pattern="^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=253)]
EnvValue = Annotated[str, StringConstraints(max_length=32768), AfterValidator(_check_env_value)]
"""A value of an environment variable; ``secret:<name>:<key>`` is a reference to a Secret."""
Environment = Annotated[dict[EnvName, EnvValue], Field(max_length=256)]
RawObject = Annotated[
    dict[str, JsonValue], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
]
"""An object of Kubernetes' own API, passed on as it is."""
JsonMap = Annotated[dict[str, JsonValue], Field(max_length=256)]
Argument = Annotated[str, StringConstraints(max_length=65536)]
Arguments = Annotated[tuple[Argument, ...], Field(max_length=256)]
Image = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Percent = Annotated[Integer, Field(ge=1, le=100)]


class ObjectRef(ApiModel):
    """The name of an object in the same namespace."""

    name: ObjectName
    """Its name."""


class SecretKeyRef(ApiModel):
    """One key of a Secret in the same namespace."""

    name: ObjectName
    """The Secret's name."""
    key: Annotated[str, StringConstraints(pattern="^[-._a-zA-Z0-9]+$", max_length=253)]
    """The key in the Secret."""


class SecretRef(ApiModel):
    """A Secret in the same namespace, or one key of it."""

    name: ObjectName
    """The Secret's name."""
    key: Annotated[str, StringConstraints(pattern="^[-._a-zA-Z0-9]+$", max_length=253)] | None = None
    """The key in the Secret; without it the reader takes the keys it knows."""


class Resources(ApiModel):
    """What a container requests and may use at most."""

    requests: dict[str, Quantity] = Field(default_factory=dict, max_length=32)
    """What the scheduler reserves, by resource name."""
    limits: dict[str, Quantity] = Field(default_factory=dict, max_length=32)
    """What the container may use at most, by resource name."""


class Condition(StatusModel):
    """One aspect of the object's state, as Kubernetes' own conditions."""

    type: Annotated[str, StringConstraints(max_length=63)]
    """The aspect."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, StringConstraints(max_length=128)] = ""
    """Why, as one CamelCase word of the list of reasons."""
    message: Message = ""
    """Why, as a sentence that names the cause and the next step."""
    last_transition_time: Timestamp | None = None
    """When status last changed."""
    observed_generation: Integer | None = None
    """The generation of the spec this was said about."""


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]
"""Conditions that others may add to."""
AtomicConditions = Annotated[
    tuple[Condition, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
]
"""Conditions written as a whole: no ownership is kept for each, so that a status write stays cheap."""
