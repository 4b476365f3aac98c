"""Bare names of outputs in conditions: which step they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from vapora.importing.reading.places import Place, refuse

_TOKEN = re.compile(
    r"""(?P<quiet>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?<![\w.])(?P<name>[A-Za-z_]\w*)(?P<call>\s*\()?""", re.DOTALL
)
_KNOWN = {"params", "steps", "item", "index", "workflow", "response", "result", "object", "true", "false", "null", "in"}
_MACRO = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\(")
_DASH = re.compile(r"[^A-Za-z0-9_]")


def refer(step: str, output: str) -> str:
    """Writes an output of a step as CEL."""
    return f'steps["{step}"].outputs.{output}' if _DASH.search(step) else f"steps.{step}.outputs.{output}"


def name_outputs(
    source: str, producers: Mapping[str, Sequence[str]], params: Mapping[str, object], place: Place
) -> str:
    """Returns a condition with each bare name written as the output of its step, or as a param.

    Raises Refused for a name that two steps give, or nobody.
    """

    def put(found: re.Match[str]) -> str:
        name = found["name"]
        if not name or found["call"] or name in _KNOWN:
            return found[0]
        steps = producers.get(name, ())
        if len(steps) > 1:
            places = " or ".join(refer(step, name) for step in steps)
            raise refuse(place, f"{name} could be {places}; write the one that is meant")
        if steps:
            return refer(steps[0], name)
        if name in params:
            return f"params.{name}"
        if _MACRO.search(source):
            return found[0]  # it may be the variable of a macro
        allowed = ", ".join(sorted({*producers, *params})) or "none"
        raise refuse(place, f"no step gives {name}; there are {allowed}")

    return _TOKEN.sub(put, source)


def find_names(block: str) -> list[str]:
    """Returns the names that a block of a condition uses, in order."""
    found = (match["name"] for match in _TOKEN.finditer(block) if match["name"] and not match["call"])
    return list(dict.fromkeys(found))
