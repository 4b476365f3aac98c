"""Where something stands in a definition file, what is said about it, and a file's value with its places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Path = tuple[str | int, ...]
Level = Literal["note", "warning", "error"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Is a place in a file; line and column count from 1, and 0 says that they are not known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Returns `file:line:column`, as compilers say it."""
        return ":".join([self.file, *(str(part) for part in (self.line, self.column) if part)])


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """Says something about a place: a note of what the import did, a warning, or an error that refuses the import."""

    place: Place
    level: Level
    message: str

    def __str__(self) -> str:
        """Returns `file:line:column: level: message`."""
        return f"{self.place}: {self.level}: {self.message}"


class Refused(ValueError):
    """Says what in the files cannot be imported, and where."""

    def __init__(self, *remarks: Remark) -> None:
        super().__init__("\n".join(map(str, remarks)))
        self.remarks = remarks


def refuse(place: Place, message: str) -> Refused:
    """Returns what refuses an import for one place."""
    return Refused(Remark(place, "error", message))


@dataclass(frozen=True, slots=True)
class Document:
    """Is what a file says, as plain JSON, with the place of each value as far as it is known.

    `defines` names for instances of schemas, by their key, the schema.
    """

    file: str
    value: Mapping[str, object]
    places: Mapping[Path, Place] = field(default_factory=dict)
    defines: Mapping[str, str] = field(default_factory=dict)

    def place(self, *path: str | int) -> Place:
        """Returns where a value stands, or what it stands in."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return self.places.get((), Place(self.file))
