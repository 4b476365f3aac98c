"""What `vapora graph` does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import typer
from pydantic import TypeAdapter

from vapora.adapters.graph_transfer import import_lines
from vapora.adapters.graph_url import build_graph, find_path
from vapora.cli.exits import Exit
from vapora.cli.extras import needing
from vapora.cli.options import fail
from vapora.cli.show.graph import build_cause, build_costs, build_executions, build_trends
from vapora.cli.show.printing import print_table
from vapora.cli.show.progress import count_progress
from vapora.controller.ports import KnowledgeGraph
from vapora.core.learning.days import sum_by
from vapora.core.learning.execution import Execution, GraphUnavailable, KnownCause
from vapora.core.learning.trend import WINDOW_DAYS, find_trends

T = TypeVar("T")

_EXECUTIONS = TypeAdapter(list[Execution])
_CAUSE = TypeAdapter(KnownCause)


def show_executions(store: str, namespace: str, column: str, value: str, limit: int, output: str) -> None:
    """Prints the latest executions of a namespace."""

    async def read(graph: KnowledgeGraph) -> list[Execution]:
        try:
            return list(await graph.find_executions(namespace, column.replace("-", "_"), value, limit))
        except KeyError:
            raise fail(f"--where: there is no column {column}", Exit.USAGE) from None

    found = ask_graph(store, read)
    if output == "json":
        typer.echo(json.dumps(_EXECUTIONS.dump_python(found, mode="json"), indent=2))
    else:
        print_table(build_executions(found))


def show_cause(store: str, signature: str, output: str) -> None:
    """Prints what is known of an error."""
    found = ask_graph(store, lambda graph: graph.find_known_cause(signature))
    if found is None:
        raise fail(f"no execution failed with {signature}", Exit.NOT_FOUND)
    if output == "json":
        typer.echo(json.dumps(_CAUSE.dump_python(found, mode="json"), indent=2))
    else:
        print_table(build_cause(found))


def show_cost(store: str, by: str, days: int, output: str) -> None:
    """Prints what was spent."""
    first = _today() - timedelta(days=days - 1)
    found = sum_by(by.replace("-", "_"), ask_graph(store, lambda graph: graph.get_daily_aggregates(None, None, first)))
    if output == "json":
        typer.echo(json.dumps([{**asdict(row), "latency": row.latency.total_seconds()} for row in found], indent=2))
    else:
        print_table(build_costs(by, found))


def show_trend(store: str, task_type: str, output: str) -> None:
    """Prints who got better or worse."""
    today = _today()
    first = today - timedelta(days=WINDOW_DAYS - 1)
    found = find_trends(ask_graph(store, lambda graph: graph.get_daily_aggregates(None, task_type, first)), today)
    if output == "json":
        typer.echo(json.dumps([asdict(row) for row in found], indent=2))
    else:
        print_table(build_trends(found))


def export_to(store: str, file: Path | None) -> None:
    """Writes all lines; a file appears only when it is whole."""

    async def write(graph: KnowledgeGraph) -> int:
        if file is None:
            return await _copy(graph.export(), sys.stdout.write)
        part = file.with_name(f"{file.name}.part")
        with part.open("w", encoding="utf-8") as handle:  # nothing else runs
            count = await _copy(graph.export(), handle.write)
        part.replace(file)
        return count

    try:
        count = ask_graph(store, write)
    except OSError as problem:
        raise fail(f"{file}: {problem.strerror}", Exit.USAGE) from None
    typer.echo(f"{count} lines exported", err=True)


def import_from(store: str, file: str, *, is_dry_run: bool) -> None:
    """Imports the lines of a file; one that is none ends it, what comes before is kept. A dry run only reads them."""

    async def read(take: Callable[[AsyncIterable[str]], Awaitable[int]]) -> int:
        if file == "-":
            return await take(_stream(sys.stdin))
        with Path(file).open(encoding="utf-8") as handle:  # noqa: ASYNC230  # nothing else runs
            return await take(_stream(handle))

    async def check(lines: AsyncIterable[str]) -> int:
        return await import_lines(lines, _drop, _drop)

    try:
        if is_dry_run:
            count = asyncio.run(read(check))
        else:
            count = ask_graph(store, lambda graph: read(graph.import_), is_reading=False)
    except OSError as problem:
        raise fail(f"{file}: {problem.strerror}", Exit.USAGE) from None
    except ValueError as problem:
        raise fail(f"{file}: {problem}", Exit.USAGE) from None
    typer.echo(f"{count} lines {'would be imported (dry run)' if is_dry_run else 'imported'}", err=True)


async def _drop(_: object) -> None:
    """Keeps nothing."""


async def _copy(lines: AsyncGenerator[str, None], write: Callable[[str], object]) -> int:
    count = 0
    with count_progress("Exported", "lines") as advance:
        async for line in lines:
            write(f"{line}\n")
            count += 1
            advance()
    return count


async def _stream(lines: Iterable[str]) -> AsyncIterator[str]:
    with count_progress("Read", "lines") as advance:
        for line in lines:
            if line.strip():
                yield line
            advance()


def ask_graph(store: str, ask: Callable[[KnowledgeGraph], Awaitable[T]], *, is_reading: bool = True) -> T:
    """Returns what a store answers; ends the command where it cannot be asked."""

    async def run() -> T:
        async with _opened(store, is_reading=is_reading) as graph:
            return await ask(graph)

    try:
        return asyncio.run(run())
    except GraphUnavailable as problem:
        raise fail(str(problem), Exit.REFUSED) from None


@asynccontextmanager
async def _opened(store: str, *, is_reading: bool) -> AsyncIterator[KnowledgeGraph]:
    try:
        with needing("operator", "graph"):
            graph = build_graph(store, os.environ.get("VAPORA_GRAPH_PASSWORD"))
    except ValueError as problem:
        raise fail(f"--store: {problem}", Exit.USAGE) from None
    if is_reading and store.startswith("sqlite:") and not find_path(store).exists():
        raise fail(f"--store: there is no file {find_path(store)}", Exit.NOT_FOUND)
    await graph.open()
    try:
        yield graph
    finally:
        await graph.close()


def _today() -> date:
    return datetime.now(UTC).date()
