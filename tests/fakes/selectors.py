"""Label selectors as the API server reads them."""

import re
from collections.abc import Mapping

_TERM = re.compile(r"\s*(!?[\w./-]+)\s*(?:(=|==|!=|in|notin)\s*(\([^)]*\)|[\w.-]*))?\s*(?:,|$)")


def is_selected(labels: Mapping[str, str], selector: str) -> bool:
    """Says whether the selector selects an object with these labels."""
    position = 0
    while position < len(selector):
        term = _TERM.match(selector, position)
        if term is None:
            raise ValueError(f"unknown selector: {selector!r}")
        if not _holds(labels, term[1], term[2], term[3] or ""):
            return False
        position = term.end()
    return True


def _holds(labels: Mapping[str, str], name: str, operator: str | None, operand: str) -> bool:
    values = {value.strip() for value in operand.strip("()").split(",")}
    match operator:
        case None:
            return name[1:] not in labels if name.startswith("!") else name in labels
        case "=" | "==" | "in":
            return labels.get(name) in values
        case _:
            return labels.get(name) not in values
