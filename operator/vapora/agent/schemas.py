"""JSON Schema: whether a task's input, or its output, looks as it should."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from pydantic_core import from_json, to_json
from referencing import Registry
from referencing.exceptions import Unresolvable

_LONGEST_VALUE = 200


class SchemaInvalid(ValueError):
    """The schema itself is none, or refers to something that is not in it."""


def check_schema(schema: Mapping[str, object]) -> None:
    """Raises SchemaInvalid where a schema is none."""
    _build_validator(to_json(schema))


def find_mismatch(what: str, value: object, schema: Mapping[str, object]) -> str | None:
    """Says where a JSON value differs from its schema, as in `output.score: 'x' is not of type 'number'`; else None.

    The draft is that of `$schema`, 2020-12 without one. SchemaInvalid where the schema is none; nothing outside of it
    is ever fetched.
    """
    validator = _build_validator(to_json(schema))
    try:
        error = best_match(validator.iter_errors(value))  # type: ignore[arg-type]  # any JSON value
    except Unresolvable as problem:
        raise SchemaInvalid(f"the schema refers to what it does not hold: {problem}") from problem
    if error is None:
        return None
    text = error.message if len(error.message) <= _LONGEST_VALUE else f"{error.message[:_LONGEST_VALUE]}…"
    return f"{what}{error.json_path[1:]}: {text}"


@lru_cache(maxsize=64)
def _build_validator(schema: bytes) -> Validator:
    """Returns the validator of a schema; the tasks of a step share theirs."""
    parsed = from_json(schema)
    chosen = validator_for(parsed, default=Draft202012Validator)
    try:
        chosen.check_schema(parsed)
    except SchemaError as error:
        raise SchemaInvalid(f"the schema is none at {error.json_path}: {error.message[:_LONGEST_VALUE]}") from error
    return chosen(parsed, registry=Registry())
