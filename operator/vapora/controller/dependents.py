"""Who needs whom: so that those who need an object are looked at when it turns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from vapora.core.plan import Key


class Dependents:
    """Knows who needs an object: the reverse of what each one says it needs."""

    def __init__(self) -> None:
        self._needed: dict[Key, frozenset[Key]] = {}
        self._needing: dict[Key, set[Key]] = defaultdict(set)

    def register(self, key: Key, needed: Iterable[Key]) -> None:
        """Keeps what an object needs, instead of what it needed before."""
        now, before = frozenset(needed), self._needed.get(key, frozenset())
        for gone in before - now:
            self._needing[gone].discard(key)
            if not self._needing[gone]:
                del self._needing[gone]
        for new in now - before:
            self._needing[new].add(key)
        self._needed[key] = now
        if not now:
            del self._needed[key]

    def find(self, key: Key) -> frozenset[Key]:
        """Returns the objects that need this one."""
        return frozenset(self._needing.get(key, ()))
