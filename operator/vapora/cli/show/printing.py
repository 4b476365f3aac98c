"""Printing objects: for people on a terminal, for people in a log, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import typer
import yaml
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table

from vapora.api.kinds import Kind
from vapora.cli.exits import find_exit
from vapora.cli.show.lines import tell_changes
from vapora.cli.show.table import build_table
from vapora.cli.show.tree import build_tree
from vapora.core.views import child

Object = Mapping[str, object]
_UNLIMITED = 10_000  # columns where no terminal ends the line
_FRAME_LINES = 6  # of the screen, for what is not steps
_LINES_PER_STEP = 2


def print_object(obj: Object, kind: Kind, output: str, now: datetime) -> None:
    """Prints one object as table, wide, json or yaml."""
    if output in {"table", "wide"}:
        print_table(build_table([obj], kind, now, is_wide=output == "wide", has_namespaces=False))
    else:
        dump(_strip(obj), output)


def print_list(
    found: Sequence[Object], kind: Kind, output: str, now: datetime, *, has_namespaces: bool, nothing: str
) -> None:
    """Prints objects as table, wide, json or yaml; says `nothing` where a table would be empty."""
    if output not in {"table", "wide"}:
        dump({"apiVersion": "v1", "kind": "List", "items": [_strip(obj) for obj in found]}, output)
    elif found:
        print_table(build_table(found, kind, now, is_wide=output == "wide", has_namespaces=has_namespaces))
    else:
        typer.echo(nothing, err=True)


def print_tree(obj: Object, now: datetime) -> None:
    """Prints the tree of a workflow."""
    Console().print(build_tree(obj, now))


def print_rows(found: Sequence[Object], table: Table, output: str, *, nothing: str) -> None:
    """Prints rows as table, json or yaml; says `nothing` where a table would be empty."""
    if output not in {"table", "wide"}:
        dump([dict(row) for row in found], output)
    elif found:
        print_table(table)
    else:
        typer.echo(nothing, err=True)


def print_table(table: Table) -> None:
    """Prints a table, cut to a terminal's width but whole where there is none."""
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    console = Console(width=_UNLIMITED)
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _strip(obj: Object) -> dict[str, object]:
    """Leaves out who owns which field, as kubectl does."""
    meta = {name: value for name, value in child(obj, "metadata").items() if name != "managedFields"}
    return {**obj, "metadata": meta}


def dump(value: dict[str, object] | list[dict[str, object]], output: str) -> None:
    """Prints a value as json or yaml."""
    if output == "json":
        typer.echo(json.dumps(value, indent=2))
    else:
        typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)


class LineWatcher:
    """Prints a line for each change."""

    def __init__(self) -> None:
        self._before: Object | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, obj: Object) -> None:
        """Prints what changed."""
        for line in tell_changes(self._before, obj, datetime.now(UTC)):
            typer.echo(line)
        self._before = obj


class LiveWatcher:
    """Draws the tree over itself; what runs counts its seconds meanwhile. The last tree stays, and is whole."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._obj: Object | None = None
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, obj: Object) -> None:
        """Draws the newest tree."""
        self._obj = obj
        self._live.refresh()

    def _render(self) -> RenderableType:
        if self._obj is None:
            return ""
        room = max(1, (self._console.height - _FRAME_LINES) // _LINES_PER_STEP)
        limit = None if find_exit(self._obj) is not None else room
        return build_tree(self._obj, datetime.now(UTC), limit=limit)


def build_watcher() -> LiveWatcher | LineWatcher:
    """Builds what suits the output: a live tree on a terminal, else lines."""
    console = Console()
    return LiveWatcher(console) if console.is_terminal and not console.is_dumb_terminal else LineWatcher()
