"""How much work an expression can be at most, told before it is evaluated: nothing can interrupt it once it runs.

The evaluator holds the interpreter until it is done, and it copies: a variable each time it is named, all that a
`map` or `filter` has found so far each time it finds more. So the work is the square of what is looked through, and of
ten thousand entries that is seconds. The figures are of common-expression-language 0.10; a unit is about 70 ns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_WORK = 1_000_000
_CONVERT = 6  # a value that is handed over costs so many times one that is copied
_CONTAINER, _STRING, _KEY, _CHARS = 3, 3, 3, 50
_TEXT = re.compile(r"\bmatches\s*\(\s*(?:\"\"|(?P<other>[^)]))")
_PATH = re.compile(r"""(?<![\w.])(?!\d)(\w+)((?:\s*\.\s*[A-Za-z_]\w*(?!\w|\s*\())*)""", re.ASCII)
_NO_NAMES = frozenset({"true", "false", "null", "in"})
_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_WIDE, _NARROW, _PLAIN = 4_500, 1_000, 50  # of a regular expression: classes of Unicode, small ones, anything else
_UNKNOWN_PATTERN = MAX_WORK // 3
_MACRO = re.compile(r"\.\s*(all|exists|exists_one|existsOne|map|filter)\s*\(")


@dataclass(frozen=True, slots=True)
class Part:
    """Is the code outside all comprehensions, or within one: what it names, and what it does with it."""

    length: int
    paths: tuple[tuple[str, ...], ...]
    joins: int  # operators + : what they join may be long
    patterns: int  # the work of its regular expressions
    builds: bool = False
    maps: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """Is an expression as far as it says how much work it is; `loops` are its comprehensions in reading order."""

    outside: Part
    loops: tuple[Part, ...]


class NestedComprehension(ValueError):
    """Says that a comprehension stands within another."""


def find_shape(bare: str, patterns: Iterable[str]) -> Shape:
    """Returns the shape of source code whose strings are blanked; raises NestedComprehension.

    `patterns` are all its strings: each may be a regular expression.
    """
    pattern = max(map(_weigh_pattern, patterns), default=0)
    outside, loops, at = "", [], 0
    while (macro := _MACRO.search(bare, at)) is not None:
        end = _find_end(bare, macro.end())
        inside = bare[macro.end() : end]
        if _MACRO.search(inside):
            raise NestedComprehension
        variable, _, body = inside.partition(",")
        loops.append(_read_part(body, pattern, {variable.strip()}, macro[1]))
        outside, at = outside + bare[at : macro.start()], end
    return Shape(_read_part(outside + bare[at:], pattern, set(), ""), tuple(loops))


def measure_work(shape: Shape, variables: Mapping[str, object]) -> int:
    """Returns the most work that an expression can be with these variables; beyond MAX_WORK it need not be exact."""
    total = _weigh(variables)
    work, longest = total.weight * _CONVERT, total.longest
    if work > MAX_WORK:
        return work
    outside = shape.outside
    paths = {path for part in (outside, *shape.loops) for path in part.paths}
    weights = {path: _weigh_path(variables, path) for path in paths}
    seen = sum(weights[path] for path in outside.paths)
    work += seen * (1 + outside.joins // 2) + outside.length + outside.patterns
    turns = max(longest, outside.length // 2) * (1 + outside.joins)
    entries = seen * (1 + outside.joins) + outside.length
    for loop in shape.loops:
        named = turns * sum(weights[path] for path in loop.paths)
        work += turns * (loop.length // 4 + 3 + loop.patterns) + (entries + named) * (1 + loop.joins)
        if loop.builds:
            built = (entries + named) * (1 + loop.joins) + (turns * loop.length // 2 if loop.maps else 0)
            work += turns * built // 2
            entries += built
    return work


def _find_end(bare: str, start: int) -> int:
    """Returns the place of the parenthesis that closes the one before `start`."""
    depth = 1
    for place in range(start, len(bare)):
        depth += (bare[place] == "(") - (bare[place] == ")")
        if depth == 0:
            return place
    return len(bare)


def _read_part(code: str, pattern: int, variables: set[str], macro: str) -> Part:
    names = (match for match in _PATH.finditer(code) if not code[match.end() :].lstrip().startswith("("))
    paths = (tuple(re.findall(r"\w+", match.group(), re.ASCII)) for match in names)
    regexes = [_UNKNOWN_PATTERN if match["other"] else pattern for match in _TEXT.finditer(code)]
    return Part(
        length=len(code),
        paths=tuple(path for path in paths if path[0] not in variables | _NO_NAMES),
        joins=code.count("+"),
        patterns=sum(regexes),
        builds=macro in {"map", "filter"},
        maps=macro == "map",
    )


def _weigh_pattern(pattern: str) -> int:
    times = 1
    for first, last in _COUNTED.findall(pattern):
        times *= max(1, int(first[:6]), int((last or "0")[:6]))
    wide = len(re.findall(r"\\[wWpP]|\(\?[a-z]*i", pattern))
    narrow = len(re.findall(r"\\[dDsSbB]", pattern))
    return min(MAX_WORK + 1, times * (wide * _WIDE + narrow * _NARROW + len(pattern) * _PLAIN))


@dataclass(slots=True)
class _Scale:
    weight: int = 0
    longest: int = 0

    def put(self, value: object) -> None:
        if isinstance(value, Mapping):
            self.weight += _CONTAINER + _KEY * len(value)
            self._put_all(value.values(), len(value))
        elif isinstance(value, list | tuple):
            self.weight += _CONTAINER
            self._put_all(value, len(value))
        else:
            self.weight += _STRING + len(value) // _CHARS if isinstance(value, str | bytes) else 1

    def _put_all(self, values: Iterable[object], count: int) -> None:
        self.longest = max(self.longest, count)
        for value in values:
            if isinstance(value, int | float):
                self.weight += 1
                continue
            if self.weight > MAX_WORK:
                return
            self.put(value)


def _weigh(value: object) -> _Scale:
    scale = _Scale()
    try:
        scale.put(value)
    except RecursionError:
        scale.weight = MAX_WORK + 1
    return scale


def _weigh_path(variables: Mapping[str, object], path: tuple[str, ...]) -> int:
    value: object = variables
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            break
        value = value[name]
    return 0 if value is variables else _weigh(value).weight
