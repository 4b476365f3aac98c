"""Reading a spec: what does not validate, and what this version does not do yet, told with the place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from vapora.core.conditions import cut

_MAX_TOLD = 5  # places named in one message
_MAX_SHOWN = 60  # characters of what was found
_SAY_WHAT_THEY_FOUND = frozenset({"missing", "value_error", "extra_forbidden"})

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
        return SpecProblem("InvalidSpec", describe_validation(error, raw=raw, model=model))
    places = find_unsupported(spec, support)
    if places:
        return SpecProblem("NotSupported", f"this version of the operator does not do {_enumerate(places)}")
    return spec


def describe_validation(
    error: ValidationError, root: str = "spec", *, raw: object = None, model: type[BaseModel] | None = None
) -> str:
    """Says what is wrong where, what was found and what is allowed: `spec.template.image: Field required`.

    With the `raw` value, entries of lists are named where they have names; with its `model`, so are fields that are
    there instead of an unknown one.
    """
    details = error.errors(include_url=False, include_context=False)
    return cut(_enumerate([describe_detail(detail, root, raw=raw, model=model) for detail in details], separator="; "))


def describe_detail(
    detail: ErrorDetails, root: str, *, raw: object = None, model: type[BaseModel] | None = None
) -> str:
    """Says one of the things that are wrong, as `describe_validation` does."""
    location, message = detail["loc"], detail["msg"].removeprefix("Value error, ")
    found = detail["input"]
    if detail["type"] == "extra_forbidden" and model is not None:
        message = f"there is no such field{_suggest(str(location[-1]), _list_fields(model, location[:-1]))}"
    elif isinstance(found, Mapping) and message.startswith("exactly one of"):
        named = [name for name in found if found[name] and re.search(rf"\b{re.escape(str(name))}\b", message)]
        message += f"; found {' and '.join(map(str, named)) or 'none'}"
    elif detail["type"] not in _SAY_WHAT_THEY_FOUND:
        message += f", found {json.dumps(found, ensure_ascii=False, default=str):.{_MAX_SHOWN}}"
    return f"{_place(root, location, raw)}: {message}"


def _list_fields(model: type[BaseModel], location: Iterable[int | str]) -> list[str]:
    """Returns the names of the fields at a place; none where that is no model's."""
    for part in location:
        fields = {info.alias or name: info for name, info in model.model_fields.items()}
        if isinstance(part, int):
            continue
        inner = _find_model(fields[part].annotation) if part in fields else None
        if inner is None:
            return []
        model = inner
    return [info.alias or name for name, info in model.model_fields.items()]


def _find_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_find_model, get_args(annotation))), None)


def _suggest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=3)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; allowed are {', '.join(known)}" if known else ""


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
            label = getattr(item, "name", None) or index
            yield from _check(item, None, support, f"{pattern}[]", f"{place}[{label}]")
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


def _place(root: str, location: Iterable[int | str], raw: object = None) -> str:
    place = root
    for part in location:
        raw = _step_into(raw, part)
        name = raw.get("name") if isinstance(raw, Mapping) else None
        label = name if isinstance(name, str) and name else part
        place += f"[{label}]" if isinstance(part, int) else f".{part}"
    return place


def _step_into(raw: object, part: int | str) -> object:
    if isinstance(raw, Mapping):
        return raw.get(part)
    return raw[part] if isinstance(raw, list) and isinstance(part, int) and part < len(raw) else None


def _enumerate(places: list[str], separator: str = ", ") -> str:
    told = separator.join(places[:_MAX_TOLD])
    more = len(places) - _MAX_TOLD
    return f"{told} and {more} more" if more > 0 else told
