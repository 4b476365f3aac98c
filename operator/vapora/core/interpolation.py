"""`${...}` in the strings of a step: looked up in params, outputs, the item and the allowed environment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_STEP_OUTPUT = re.compile(r"steps(?:\.([a-z0-9][a-z0-9-]*)|\[\s*[\"']([^\"']+)[\"']\s*\])\.outputs\.([A-Za-z0-9_.-]+)")
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MISSING = object()


class ReferenceProblem(ValueError):
    """Says which `${...}` has no value, or more than one; `reason` is the step's reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Scope:
    """Holds what a reference may name; `outputs` has only steps that ended with outputs."""

    params: Mapping[str, object] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    workflow: Mapping[str, object] = field(default_factory=dict)
    item: object = _MISSING
    index: int | None = None

    def resolve(self, name: str) -> object:
        """Returns the value of one reference; raises ReferenceProblem."""
        if name == "item" and self.item is not _MISSING:
            return self.item
        if name == "index" and self.index is not None:
            return self.index
        if match := _STEP_OUTPUT.fullmatch(name):
            return self._step_output(name, match.group(1) or match.group(2), match.group(3))
        for prefix, source in (("params.", self.params), ("env.", self.environment), ("workflow.", self.workflow)):
            if name.startswith(prefix):
                return _walk(source, name.removeprefix(prefix), name)
        if name.startswith("item.") and isinstance(self.item, Mapping):
            return _walk(self.item, name.removeprefix("item."), name)
        return self._bare(name)

    def _step_output(self, name: str, step: str, output: str) -> object:
        if step not in self.outputs:
            message = f"${{{name}}}: step {step!r} has no outputs (it was skipped, or declares none)"
            raise ReferenceProblem("MissingOutput", message)
        return _walk(self.outputs[step], output, name, reason="MissingOutput")

    def _bare(self, name: str) -> object:
        if name in self.params:
            return self.params[name]
        found = [step for step, outputs in self.outputs.items() if name in outputs]
        if len(found) > 1:
            places = " and ".join(f"steps.{step}.outputs.{name}" for step in sorted(found))
            raise ReferenceProblem("AmbiguousReference", f"${{{name}}} could be {places}; write the one that is meant")
        if found:
            return self.outputs[found[0]][name]
        if name in self.environment:
            return self.environment[name]
        raise ReferenceProblem("UnresolvedReference", f"${{{name}}} is no param, no output and no allowed variable")


def _walk(source: Mapping[str, object], path: str, name: str, reason: str = "UnresolvedReference") -> object:
    if path in source:
        return source[path]
    value: object = source
    for part in path.split("."):
        value = value.get(part, _MISSING) if isinstance(value, Mapping) else _MISSING
        if value is _MISSING:
            raise ReferenceProblem(reason, f"${{{name}}}: there is no {part!r}")
    return value


def interpolate(value: object, scope: Scope) -> object:
    """Returns `value` with every reference replaced; a string that is one reference takes the value's own type.

    Secret references (`secret:<name>:<key>`) are left as they are. Raises ReferenceProblem.
    """
    return _transform(value, scope.resolve)


def write_texts(body: object) -> object:
    """Returns a container's body with what a program reads as text written as text: 7 as `7`, a list as JSON."""
    if not isinstance(body, Mapping):
        return body
    env, lists = body.get("env"), {name: body[name] for name in ("command", "args") if isinstance(body.get(name), list)}
    written: dict[str, object] = {name: [_write(entry) for entry in entries] for name, entries in lists.items()}
    if isinstance(env, Mapping):
        written["env"] = {name: _write(entry) for name, entry in env.items()}
    return {**body, **written}


def _write(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _transform(value: object, resolve: Callable[[str], object]) -> object:
    if isinstance(value, str):
        return _replace(value, resolve) if "${" in value else value
    if isinstance(value, Mapping):
        return {name: _transform(entry, resolve) for name, entry in value.items()}
    if isinstance(value, list):
        return [_transform(entry, resolve) for entry in value]
    return value


def _replace(text: str, resolve: Callable[[str], object]) -> object:
    if text.startswith("secret:"):
        return text
    whole = _REFERENCE.fullmatch(text)
    if whole and whole.group(1) is not None:
        return resolve(whole.group(1).strip())

    def put(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "${"
        return _write(resolve(match.group(1).strip()))

    return _REFERENCE.sub(put, text)


def references(value: object) -> Iterator[str]:
    """Yields the names that a value refers to, in reading order."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            if match.group(1) is not None:
                yield match.group(1).strip()
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from references(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from references(entry)


def referred_step(name: str, produced_by: Mapping[str, str]) -> str | None:
    """Returns the step whose output a reference names, explicitly or, by `produced_by` (output -> step), barely."""
    if match := _STEP_OUTPUT.fullmatch(name):
        return match.group(1) or match.group(2)
    return produced_by.get(name) if _BARE.fullmatch(name) else None
