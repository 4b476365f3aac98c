"""Parsed specs: each read once a generation, as reading one costs more than deciding on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from vapora.core.plan import Key
from vapora.core.views import Meta

S = TypeVar("S")


class SpecCache(Generic[S]):
    """Keeps the last parsed spec of each object."""

    def __init__(self, read: Callable[[object], S]) -> None:
        self._read = read
        self._known: dict[Key, tuple[str, int, S]] = {}

    def get(self, meta: Meta, obj: Mapping[str, object]) -> S:
        """Returns the object's spec, parsed anew only where the object or its generation is another one."""
        known = self._known.get(meta.key)
        if known is not None and known[:2] == (meta.uid, meta.generation):
            return known[2]
        spec = self._read(obj.get("spec"))
        self._known[meta.key] = (meta.uid, meta.generation, spec)
        return spec

    def forget(self, key: Key) -> None:
        """Drops the spec of an object that is gone."""
        self._known.pop(key, None)
