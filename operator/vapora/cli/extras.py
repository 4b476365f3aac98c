"""What is installed only on request: the package alone brings the SDK and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from vapora.cli.exits import Exit


@contextmanager
def needing(extra: str, command: str) -> Iterator[None]:
    """Says which extra of the package a command needs, where a module is missing in the block."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "vapora":
            raise
        typer.echo(f"vapora {command}: needs more: pip install 'vapora-operator[{extra}]' ({error})", err=True)
        raise typer.Exit(Exit.USAGE) from None
