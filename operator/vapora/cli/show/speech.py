"""Lines of many speakers, each behind the speaker's name in a colour of its own."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")
_TAB = "    "


class Speaker:
    """Prints lines; a speaker keeps its colour, and those of one step (`tasks[3]`, `build try 2`) share it."""

    def __init__(self) -> None:
        self._console = Console(soft_wrap=True, highlight=False)
        self._colours: dict[str, str] = {}

    def say(self, title: str, line: str) -> None:
        """Prints a line of a speaker; of what a terminal obeys only colours are let through."""
        step = title.partition("[")[0].partition(" ")[0]
        colour = self._colours.setdefault(step, _COLOURS[len(self._colours) % len(_COLOURS)])
        said = Text.from_ansi(line.replace("\t", _TAB))
        shown = Text("".join(_let_through(said.plain)), spans=said.spans)
        self._console.print(Text.assemble((f"{title} ", colour), shown), soft_wrap=True)


def _let_through(line: str) -> Iterable[str]:
    return (char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
