"""Migrations: files of statements in an order, each known by its name and the checksum of its text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# What holds no statement: comments, quoted texts, and bodies of functions between dollars.
_QUOTED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:''|\\.|[^'\\])*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_TRANSACTION = re.compile(
    r"(?:\A|;)\s*((?:BEGIN|COMMIT|CANCEL|ROLLBACK|START)(?:\s+(?:TRANSACTION|WORK))?)\s*(?=;|\Z)", re.IGNORECASE
)


class MigrationError(Exception):
    """Says why a migration cannot be, or was not, applied."""


@dataclass(frozen=True, slots=True)
class Migration:
    """Is one file."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Is the SHA-256 of the text, in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_migrations(folder: Path, names: Sequence[str]) -> tuple[Migration, ...]:
    """Reads the files of a folder in the order of the names; raises MigrationError that names the file."""
    if len(set(names)) != len(names):
        raise MigrationError(f"a file is named twice: {', '.join(names)}")
    return tuple(_read(folder, name) for name in names)


def _read(folder: Path, name: str) -> Migration:
    try:
        text = (folder / name).read_text("utf-8")
    except UnicodeDecodeError as problem:
        raise MigrationError(f"{name} is no UTF-8: {problem}") from problem
    except OSError as problem:
        raise MigrationError(f"{name} cannot be read: {problem.strerror}") from problem
    if found := _TRANSACTION.search(_QUOTED.sub(" ", text)):
        raise MigrationError(f"{name} says {found[1].upper()}: each file is one transaction already; take it out")
    return Migration(name, text)
