"""The result of a try whose Pod's words hold none: what of it is to be read where, and what that gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from vapora.core.plan import Key
from vapora.core.views import child, parse_time, rows, text

CONTAINER = "main"
_MAX_WORDS = 4096  # characters of a log that are a result, as a termination message has at most
_GRAIN = timedelta(seconds=1)  # the API tells whole seconds


@dataclass(frozen=True, slots=True)
class Source:
    """Says where a result may be: in a ConfigMap, where one is named, else at the end of a Pod's log.

    A ConfigMap that was last written before `since` is another run's.
    """

    pod: Key
    config_map: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Is what was read; `problem` says what could not be, and whether that `is_passing`."""

    result: object = None
    problem: str = ""
    is_passing: bool = False


def read_data(manifest: Mapping[str, object], since: datetime | None) -> Reading:
    """Returns what a ConfigMap holds, by key: each value as JSON where it is JSON, else as text."""
    name = text(child(manifest, "metadata"), "name")
    written = _find_last_write(child(manifest, "metadata"))
    if since is not None and written is not None and written + _GRAIN <= since:
        return Reading(problem=f"ConfigMap {name} was last written before this try, at {written.isoformat()}")
    data = {key: _read_json(str(value)) for key, value in child(manifest, "data").items()}
    return Reading(data) if data else Reading(problem=f"ConfigMap {name} holds nothing")


def read_lines(log: str) -> Reading:
    """Returns the last line of a log where it is a JSON object, else its last lines: as JSON or as text."""
    words = log.strip()
    if not words:
        return Reading(problem="its log is empty")
    last = _read_json(words.rpartition("\n")[2])
    if isinstance(last, dict):
        return Reading(last)
    value = _read_json(words)
    return Reading(words[-_MAX_WORDS:] if isinstance(value, str) else value)


def _find_last_write(meta: Mapping[str, object]) -> datetime | None:
    told = [meta.get("creationTimestamp"), *(entry.get("time") for entry in rows(meta, "managedFields"))]
    return max(filter(None, map(parse_time, told)), default=None)


def _read_json(words: str) -> object:
    try:
        value: object = json.loads(words)
    except (ValueError, RecursionError):
        return words
    return value
