"""The language of `provisioning.query`: `SELECT a, b FROM agent_health WHERE role = 'developer'`, and nothing more."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

MAX_QUERY_BYTES = 2048
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "agent_health": ("name", "role", "queue_depth", "in_flight", "replicas", "ready"),
    "workflows": ("name", "phase", "progress", "started_at", "finished_at"),
    "executions": (
        "workflow", "step", "item", "try", "pool", "role", "task_type", "outcome", "reason", "started", "finished",
        "quality", "tokens", "model", "provider", "cost_cents", "error_signature", "trace_id", "exit_code",
        "message", "runner_up", "depends_on", "produced", "deployed",
    ),
}  # fmt: skip
# What a WHERE may name: times are not compared as text.
_UNFIT = frozenset({"started_at", "finished_at", "started", "finished"})
_TOKEN = re.compile(r"\s*(?:(?P<word>[A-Za-z_]\w*)|(?P<text>'(?:[^']|'')*')|(?P<sign>[,=]))")


class QueryError(ValueError):
    """Says what is wrong with a query, and at which column of its text."""


@dataclass(frozen=True, slots=True)
class Query:
    """Is a query that was read; without `where_column` every row is meant."""

    columns: tuple[str, ...]
    source: str
    where_column: str = ""
    where_value: str = ""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def take(self, kind: str, wanted: str) -> _Token:
        token = self.next
        if token.kind != kind:
            raise QueryError(f"column {token.column}: {wanted} is needed, found {token.shown}")
        self._at += 1
        return token

    def take_keyword(self, word: str) -> None:
        if not self.is_keyword(word):
            raise QueryError(f"column {self.next.column}: {word} is needed, found {self.next.shown}")
        self._at += 1

    def take_sign(self, sign: str) -> bool:
        is_there = (self.next.kind, self.next.text) == ("sign", sign)
        self._at += is_there
        return is_there

    def is_keyword(self, word: str) -> bool:
        return self.next.kind == "word" and self.next.text.upper() == word


def parse_query(text: str) -> Query:
    """Reads a query; raises QueryError with the column."""
    reader = _Reader(_split(text))
    reader.take_keyword("SELECT")
    names = [reader.take("word", "the name of a column")]
    while reader.take_sign(","):
        names.append(reader.take("word", "the name of a column"))
    reader.take_keyword("FROM")
    source = reader.take("word", "the name of a source")
    if source.text not in COLUMNS:
        raise QueryError(f"column {source.column}: there is no source {source.text!r}; there are {', '.join(COLUMNS)}")
    where, value = _read_where(reader)
    reader.take("end", "WHERE or the end" if where is None else "the end")
    for name in [*names, *([where] if where else [])]:
        _check_column(name, source.text)
    if where and where.text in _UNFIT:
        raise QueryError(f"column {where.column}: {where.text} cannot be compared")
    return Query(tuple(name.text for name in names), source.text, where.text if where else "", value)


def _split(text: str) -> list[_Token]:
    if len(text.encode()) > MAX_QUERY_BYTES:
        raise QueryError(f"a query has at most {MAX_QUERY_BYTES} bytes, this has {len(text.encode())}")
    tokens: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            what = "a text without its closing '" if text[place] == "'" else f"an unknown sign {text[place]!r}"
            raise QueryError(f"column {place + 1}: {what}")
        tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup) + 1))
        at = found.end()
    return [*tokens, _Token("end", "", end + 1)]


def _read_where(reader: _Reader) -> tuple[_Token | None, str]:
    if not reader.is_keyword("WHERE"):
        return None, ""
    reader.take_keyword("WHERE")
    name = reader.take("word", "the name of a column")
    if not reader.take_sign("="):
        raise QueryError(f"column {reader.next.column}: = is needed, found {reader.next.shown}")
    value = reader.take("text", "a text in single quotes")
    return name, value.text[1:-1].replace("''", "'")


def _check_column(name: _Token, source: str) -> None:
    if name.text in COLUMNS[source]:
        return
    near = get_close_matches(name.text, COLUMNS[source], n=3)
    told = f"near {'is' if len(near) == 1 else 'are'} {', '.join(near)}" if near else ""
    told = told or f"there are {', '.join(COLUMNS[source])}"
    raise QueryError(f"column {name.column}: {source} has no column {name.text!r}; {told}")
