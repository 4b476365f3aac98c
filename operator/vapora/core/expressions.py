"""CEL expressions: compiled once, checked for size and depth, evaluated against plain JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import cel

from vapora.core.expression_work import MAX_WORK, NestedComprehension, Shape, find_shape, measure_work

MAX_EXPRESSION_BYTES = 2048
# CEL's strings (raw ones, then those of three quotes, then plain ones) and comments: nothing in them is code.
_QUIET = re.compile(
    r"""[rR](?:"{3}[\s\S]*?"{3}|'{3}[\s\S]*?'{3}|"[^"]*"|'[^']*')"""
    r"""|"{3}(?:\\[\s\S]|[^\\])*?"{3}|'{3}(?:\\[\s\S]|[^\\])*?'{3}"""
    r"""|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|//[^\n]*"""
)
_STEP_OR_QUIET = re.compile(
    r"""(?<![\w.])steps\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*(?:"([^"\\]+)"|'([^'\\]+)')\s*\])|""" + _QUIET.pattern, re.ASCII
)
_COMPLAINT = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
_DASHED = re.compile(r"(?<![\w.])steps\.([a-z0-9]+(?:-[a-z0-9]+)+)")
_UNNAMED = re.compile(r"""(?<![\w.])steps\b(?!\s*\.\s*[A-Za-z_]|\s*\[\s*""\s*\])""")
_UNCOUNTED = 1_000_000_000
_LESS = f"allowed are {MAX_WORK:,} (fewer entries, or a forEach over them)"


class ExpressionError(ValueError):
    """Says what is wrong with an expression, or why it has no value here."""


class MissingKey(ExpressionError):
    """Says that an expression looks at a field that is not there."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Is a compiled expression; `steps` are the names of the steps it looks at, in order, without repetition."""

    source: str
    steps: tuple[str, ...]
    _program: cel.Program
    _shape: Shape

    def evaluate(self, variables: Mapping[str, object]) -> object:
        """Returns the value as plain JSON types.

        Raises ExpressionError where a name is undefined or types differ, and where it could run for long.
        """
        if (work := measure_work(self._shape, variables)) > MAX_WORK:
            raise ExpressionError(f"it could take {_count(work)} steps on these values; {_LESS}: {self.source!r}")
        try:
            value: object = self._program.execute(dict(variables))
        except KeyError as missing:
            raise MissingKey(f"{self.source!r}: no such key {missing}; test it with has(...) first") from missing
        except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as problem:
            raise ExpressionError(f"{self.source!r}: {problem}") from problem
        return value

    def holds(self, variables: Mapping[str, object]) -> bool:
        """Returns the truth of a condition; anything but true or false is an ExpressionError."""
        value = self.evaluate(variables)
        if not isinstance(value, bool):
            raise ExpressionError(f"{self.source!r} gave {value!r}; a condition must give true or false")
        return value


def compile_expression(source: str) -> Expression:
    """Compiles CEL source; raises ExpressionError with the place for a syntax error or a broken limit.

    A comprehension within another is refused: over a thousand items it would hold the interpreter for a minute.
    """
    if len(source.encode()) > MAX_EXPRESSION_BYTES:
        raise ExpressionError(f"an expression is at most {MAX_EXPRESSION_BYTES} bytes, this has {len(source.encode())}")
    bare = _QUIET.sub(lambda found: " " if found.group().startswith("//") else '""', source)
    if dashed := _DASHED.search(bare):
        name = dashed.group(1)
        raise ExpressionError(f'{source!r}: steps.{name} is a subtraction in CEL; write steps["{name}"]')
    if _UNNAMED.search(bare):
        raise ExpressionError(f'{source!r}: steps are looked at by name, as in steps.build or steps["a-b"]')
    try:
        shape = find_shape(bare, (found.group() for found in _QUIET.finditer(source)))
    except NestedComprehension:
        words = "a comprehension (all, exists, map, filter) inside another is not allowed"
        raise ExpressionError(f"{source!r}: {words}") from None
    try:
        program = cel.compile(source)
    except ValueError as problem:
        raise ExpressionError(f"{source!r}: {_describe_syntax(str(problem))}") from problem
    named = (next(filter(None, match.groups()), "") for match in _STEP_OR_QUIET.finditer(source))
    return Expression(source, tuple(dict.fromkeys(filter(None, named))), program, shape)


def _describe_syntax(said: str) -> str:
    """Returns what the compiler said first, in a line, with its place."""
    first = _COMPLAINT.search(said)
    return f"line {first[1]}, column {first[2]}: {first[3]}" if first else said


def _count(work: int) -> str:
    return f"{work:,}" if work < _UNCOUNTED else f"over {_UNCOUNTED:,}"
