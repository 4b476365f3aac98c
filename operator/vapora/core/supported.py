"""Reading a spec: what does not validate, and what this version does not do yet, told with the place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from vapora.core.conditions import cut

_MAX_TOLD = 5  # places named in one message

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """Says why a spec is refused: `reason` is InvalidSpec or NotSupported, `message` names the places."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Support:
    """Is what this version does of a spec.

    `fields` are paths such as `scaling.min` or `steps[].run`; a path allows all below it. `values` limits allowed
    fields to some of their values. A field that is in neither may only have its default.
    """

    fields: frozenset[str]
    values: Mapping[str, frozenset[object]] = field(default_factory=dict)


def read_spec(model: type[Model], raw: object, support: Support) -> Model | SpecProblem:
    """Returns the parsed spec, or why it is refused."""
    try:
        spec = model.model_validate(raw)
    except ValidationError as error:
        return SpecProblem("InvalidSpec", describe_validation(error))
    places = find_unsupported(spec, support)
    if places:
        return SpecProblem("NotSupported", f"this version of the operator does not do {_enumerate(places)}")
    return spec


def describe_validation(error: ValidationError, root: str = "spec") -> str:
    """Says what is wrong where: `spec.template.image: Field required`."""
    told = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        message = detail["msg"].removeprefix("Value error, ")
        told.append(f"{_place(root, detail['loc'])}: {message}")
    return cut(_enumerate(told, separator="; "))


def find_unsupported(spec: BaseModel, support: Support) -> list[str]:
    """Returns the places whose value is neither the default nor supported, in the order of the fields."""
    return list(_walk(spec, support, "", "spec"))


def _walk(model: BaseModel, support: Support, pattern: str, place: str) -> Iterator[str]:
    for name, info in type(model).model_fields.items():
        if name not in model.model_fields_set:
            continue  # it has its default
        value = getattr(model, name)
        alias = info.alias or name
        yield from _check(value, _default(info), support, f"{pattern}.{alias}".lstrip("."), f"{place}.{alias}")


def _check(value: object, default: object, support: Support, pattern: str, place: str) -> Iterator[str]:
    if value == default:
        return
    if pattern in support.fields:
        yield from _check_value(value, support.values.get(pattern), place)
    elif not _has_below(support, pattern):
        yield place
    elif isinstance(value, BaseModel):
        yield from _walk(value, support, pattern, place)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _check(item, None, support, f"{pattern}[]", f"{place}[{index}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _check(item, None, support, f"{pattern}[]", f"{place}[{key}]")


def _check_value(value: object, allowed: frozenset[object] | None, place: str) -> Iterator[str]:
    if allowed is not None and value not in allowed:
        yield f"{place} = {value}"


def _has_below(support: Support, pattern: str) -> bool:
    return any(path.startswith((f"{pattern}.", f"{pattern}[")) for path in support.fields)


def _default(info: FieldInfo) -> object:
    return None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})


def _place(root: str, location: Iterable[int | str]) -> str:
    place = root
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    return place


def _enumerate(places: list[str], separator: str = ", ") -> str:
    told = separator.join(places[:_MAX_TOLD])
    more = len(places) - _MAX_TOLD
    return f"{told} and {more} more" if more > 0 else told
