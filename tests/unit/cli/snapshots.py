"""What was drawn before: compared with, or accepted anew where UPDATE_SNAPSHOTS is set."""

import io
import os
from pathlib import Path

from rich.console import Console, RenderableType

SNAPSHOTS = Path(__file__).parent / "snapshots"


def draw(*renderables: RenderableType, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width, no_color=True).print(*renderables, sep="\n")
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def compare(drawn: str, name: str) -> None:
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(drawn)
    assert drawn == path.read_text()
