"""Reading the fields of one thing in a definition file, whichever way their names are spelt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from vapora.importing.reading.places import Document, Path, Place, Refused, Remark, refuse

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SHOWN = 60


def to_snake(name: str) -> str:
    """Returns a name in snake case: maxConcurrent, max-concurrent and max_concurrent are the same."""
    return _HUMP.sub("_", name).replace("-", "_").lower()


def describe(value: object) -> str:
    """Says what was found."""
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)[:_SHOWN]


class Fields:
    """Reads a mapping field by field; what was never asked for is refused at the end. Null is as if left out."""

    def __init__(self, document: Document, path: Path, value: object, what: str) -> None:
        self.document = document
        self.path = path
        self.what = what
        if not isinstance(value, Mapping):
            raise refuse(document.place(*path), f"{what} must be a mapping, found {describe(value)}")
        self.value: Mapping[str, object] = value
        self._values: dict[str, object] = {}
        self._keys: dict[str, str] = {}
        self._asked: dict[str, None] = {}
        for key, entry in value.items():
            name = to_snake(key)
            if name in self._keys:
                raise refuse(document.place(*path, key), f"{what} has {key} and {self._keys[name]}: one is too many")
            self._keys[name] = key
            if entry is not None:
                self._values[name] = entry

    def key(self, name: str) -> str:
        """Returns a field's name as it stands in the file."""
        return self._keys.get(name, name)

    def place(self, name: str = "") -> Place:
        """Returns where a field stands, or the whole."""
        return self.document.place(*self.path, *([self.key(name)] if name else []))

    def has(self, name: str) -> bool:
        """Returns whether a field has a value."""
        return name in self._values

    def take(self, *names: str) -> object:
        """Returns the value of the one of these fields that is there, None where none is."""
        for name in names:
            self._asked[name] = None
        found = [name for name in names if name in self._values]
        if len(found) > 1:
            message = f"{self.what} has {self.key(found[0])} and {self.key(found[1])}: one is too many"
            raise refuse(self.place(found[1]), message)
        return self._values[found[0]] if found else None

    def find(self, *names: str) -> str:
        """Returns which of these fields is there; the first where none is."""
        return next((name for name in names if name in self._values), names[0])

    def text(self, *names: str) -> str:
        """Returns a text; empty where there is none."""
        value = self.take(*names)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(self.find(*names), "text", value)
        return value

    def need_text(self, *names: str) -> str:
        """Returns a text that must be there."""
        value = self.text(*names)
        if not value:
            raise refuse(self.place(), f"{self.what} has no {names[0]}")
        return value

    def word(self, allowed: Iterable[str], *names: str) -> str:
        """Returns one of the words allowed; empty where there is none."""
        value = self.text(*names)
        if value and value not in (words := tuple(allowed)):
            raise self.wrong(self.find(*names), f"one of {', '.join(words)}", value)
        return value

    def integer(self, *names: str) -> int | None:
        """Returns a whole number, also one written as text."""
        value = self.take(*names)
        if isinstance(value, str) and value.strip().removesuffix("%").isdecimal():
            return int(value.strip().removesuffix("%"))
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self.wrong(self.find(*names), "a whole number", value)
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """Returns true or false."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "true or false", value)
        return default if value is None else value

    def texts(self, *names: str) -> list[str]:
        """Returns a list of texts; empty where there is none."""
        value = self.take(*names)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(self.find(*names), "a list of texts", value)
        return value

    def inner(self, *names: str) -> Fields | None:
        """Returns the fields of a field; None where it is not there."""
        value = self.take(*names)
        if value is None:
            return None
        name = self.find(*names)
        return Fields(self.document, (*self.path, self.key(name)), value, f"{self.what}.{self.key(name)}")

    def each(self, *names: str) -> Iterator[Fields]:
        """Yields the fields of each entry of a list."""
        value = self.take(*names)
        name = self.key(self.find(*names))
        if value is not None and not isinstance(value, list):
            raise self.wrong(name, "a list", value)
        for index, entry in enumerate(value or []):
            yield Fields(self.document, (*self.path, name, index), entry, f"{self.what}.{name}[{index}]")

    def rest(self) -> Iterator[tuple[str, object, Place]]:
        """Yields name, value and place of the fields nobody asked for, and takes them."""
        for name, value in self._values.items():
            if name not in self._asked:
                self._asked[name] = None
                yield name, value, self.place(name)

    def refuse_rest(self) -> None:
        """Raises Refused for fields that nobody asked for, with what is near."""
        allowed = list(self._asked)
        unknown = [name for name in self._keys if name not in self._asked]
        if unknown:
            raise Refused(*(self._unknown(name, allowed) for name in unknown))

    def _unknown(self, name: str, allowed: list[str]) -> Remark:
        near = get_close_matches(name, allowed, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"allowed are {', '.join(sorted(allowed))}"
        return Remark(self.place(name), "error", f"{self.what} has no field {self.key(name)}; {hint}")

    def wrong(self, name: str, wanted: str, value: object) -> Refused:
        """Returns what refuses a field of a wrong type."""
        return refuse(self.place(name), f"{self.what}.{self.key(name)} must be {wanted}, found {describe(value)}")
