"""Objects as a table, with the columns that `kubectl get` shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.table import Table

from vapora.api.kinds import Column, Kind
from vapora.cli.show.spans import describe_between
from vapora.cli.show.steps import tidy
from vapora.core.views import child, parse_time, rows, text

_FILTER = re.compile(r'^(?P<list>[^\[]+)\[\?\(@\.(?P<key>\w+)=="(?P<value>[^"]*)"\)\]\.(?P<field>\w+)$')
_PHASE_STYLES: Mapping[str, str] = {
    "Succeeded": "green",
    "Healthy": "green",
    "Degraded": "red",
    "Failed": "red",
    "RolledBack": "red",
    "Running": "cyan",
    "Cancelled": "dim",
    "Pending": "dim",
}


def build_table(
    found: Sequence[Mapping[str, object]], kind: Kind, now: datetime, *, is_wide: bool, has_namespaces: bool
) -> Table:
    """Builds the table; a row keeps to one line, cut where the console ends."""
    columns = [column for column in kind.columns if is_wide or not column.wide]
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for title in (*(["NAMESPACE"] if has_namespaces else []), "NAME", *(column.name for column in columns)):
        table.add_column(title, no_wrap=True)
    for obj in found:
        meta = child(obj, "metadata")
        names = (*([text(meta, "namespace")] if has_namespaces else []), text(meta, "name"))
        cells = [_read_cell(obj, column, now) for column in columns]
        style = _PHASE_STYLES.get(text(child(obj, "status"), "phase"), "")
        table.add_row(*names, *cells, style=style)
    return table


def read_path(obj: Mapping[str, object], path: str) -> object:
    """Returns the field that a printer column's path names; None where there is none."""
    if match := _FILTER.match(path):
        *way, name = match["list"].strip(".").split(".")
        found = [row for row in rows(child(obj, *way), name) if row.get(match["key"]) == match["value"]]
        return found[0].get(match["field"]) if found else None
    *way, name = path.strip(".").split(".")
    return child(obj, *way).get(name)


def _read_cell(obj: Mapping[str, object], column: Column, now: datetime) -> str:
    value = read_path(obj, column.path)
    if value is None:
        return ""
    return describe_between(parse_time(value), now) if column.type == "date" else tidy(str(value))
