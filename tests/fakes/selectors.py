"""Label selectors as the API server reads them."""

import functools
import re
from collections.abc import Mapping

_TERM = re.compile(r"\s*(!?[\w./-]+)\s*(?:(=|==|!=|in|notin)\s*(\([^)]*\)|[\w.-]*))?\s*(?:,|$)")
_Terms = tuple[tuple[str, str | None, frozenset[str]], ...]


def is_selected(labels: Mapping[str, str], selector: str) -> bool:
    """Says whether the selector selects an object with these labels."""
    return all(_holds(labels, name, operator, values) for name, operator, values in _parse(selector))


@functools.lru_cache(maxsize=256)
def _parse(selector: str) -> _Terms:
    terms, position = [], 0
    while position < len(selector):
        term = _TERM.match(selector, position)
        if term is None:
            raise ValueError(f"unknown selector: {selector!r}")
        values = frozenset(value.strip() for value in (term[3] or "").strip("()").split(","))
        terms.append((term[1], term[2], values))
        position = term.end()
    return tuple(terms)


def _holds(labels: Mapping[str, str], name: str, operator: str | None, values: frozenset[str]) -> bool:
    match operator:
        case None:
            return name[1:] not in labels if name.startswith("!") else name in labels
        case "=" | "==" | "in":
            return labels.get(name) in values
        case _:
            return labels.get(name) not in values
