"""A bar for long work, on a terminal alone and away from what is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn

T = TypeVar("T")


def show_progress(items: Sequence[T], title: str) -> Iterator[T]:
    """Yields the items, with a bar on stderr that is gone afterwards."""
    with _open() as progress:
        yield from progress.track(items, description=title)


@contextmanager
def count_progress(title: str, unit: str) -> Iterator[Callable[[], None]]:
    """Gives what is called for each piece of work whose whole is not known; it is counted on stderr meanwhile."""
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:.0f}"), TextColumn(unit))
    with _open(*columns) as progress:
        task = progress.add_task(title, total=None)
        yield lambda: progress.advance(task)


def _open(*columns: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
