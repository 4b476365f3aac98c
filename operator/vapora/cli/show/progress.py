"""A bar for long work, on a terminal alone and away from what is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

T = TypeVar("T")


def show_progress(items: Sequence[T], title: str) -> Iterator[T]:
    """Yields the items, with a bar on stderr that is gone afterwards."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(items, description=title)
