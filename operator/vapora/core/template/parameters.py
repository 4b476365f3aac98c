"""The parameters of a template: whether they make sense, and what the params given make of them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence

from vapora.api.workflowtemplate import Parameter

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_MAX_SHOWN = 60


def find_parameter_problems(parameters: Sequence[Parameter]) -> Iterator[str]:
    """Yields what is wrong with parameters as a template declares them, each with its place."""
    seen: set[str] = set()
    for parameter in parameters:
        place = f"spec.parameters[{parameter.name}]"
        if parameter.name in seen:
            yield f"{place}: the name is there twice; parameters have unique names"
        seen.add(parameter.name)
        for value in parameter.enum:
            if not _has_type(value, parameter.type):
                yield f"{place}.enum: found {_show(value)}, allowed is {parameter.type}"
        if parameter.default is not None and (problem := _find_problem(parameter, parameter.default)):
            yield f"{place}.default: {problem}"


def fill_params(parameters: Sequence[Parameter], given: Mapping[str, object]) -> dict[str, object]:
    """Returns the values given over the defaults; a parameter with neither is absent."""
    defaults = {parameter.name: parameter.default for parameter in parameters if parameter.default is not None}
    return {**defaults, **given}


def find_param_problems(parameters: Sequence[Parameter], given: Mapping[str, object]) -> Iterator[str]:
    """Yields what is wrong with the params that are given to a template, each with its place."""
    known = {parameter.name: parameter for parameter in parameters}
    for name, value in given.items():
        if name not in known:
            yield f"spec.params.{name}: the template has no such parameter; {_suggest(name, list(known))}"
        elif problem := _find_problem(known[name], value):
            yield f"spec.params.{name}: {problem}"
    for parameter in parameters:
        if parameter.required and parameter.default is None and parameter.name not in given:
            yield f"spec.params.{parameter.name}: is required and not given; allowed is {_describe(parameter)}"


def find_unfillable(parameters: Sequence[Parameter]) -> list[str]:
    """Returns the names of the parameters without which nothing can run, and that have no default."""
    return [parameter.name for parameter in parameters if parameter.required and parameter.default is None]


def _find_problem(parameter: Parameter, value: object) -> str | None:
    if _has_type(value, parameter.type) and (not parameter.enum or _is_among(value, parameter.enum)):
        return None
    return f"found {_show(value)}, allowed is {_describe(parameter)}"


def _has_type(value: object, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _is_among(value: object, allowed: Sequence[object]) -> bool:
    """Compares as JSON does: true is not 1."""
    return any(value == one and isinstance(value, bool) is isinstance(one, bool) for one in allowed)


def _describe(parameter: Parameter) -> str:
    return f"one of {', '.join(map(_show, parameter.enum))}" if parameter.enum else f"a value of type {parameter.type}"


def _show(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"


def _suggest(name: str, known: Sequence[str]) -> str:
    if not known:
        return "it has none"
    near = difflib.get_close_matches(name, known, n=3)
    return f"near are {', '.join(near)}" if near else f"it has {', '.join(sorted(known))}"
