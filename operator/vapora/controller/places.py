"""Who takes part in which mutual exclusion: an index by key, so that an event costs what its rivals are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from vapora.controller.store import Store
from vapora.core.plan import Key
from vapora.core.workflow.concurrency import Contender, read_contender

Group = tuple[str, str]  # a namespace and a key


class Places:
    """Knows the contenders, from their statuses at the start and from what is decided of them since.

    What one decides is known to the others at once: before it is written two would take the same place.
    """

    def __init__(self, store: Store, wake: Callable[[Key], None]) -> None:
        self._store = store
        self._wake = wake
        self._known: dict[Key, Contender] | None = None
        self._groups: dict[Group, dict[Key, Contender]] = defaultdict(dict)

    def clear(self) -> None:
        """Forgets all: another leader may have written since."""
        self._known = None
        self._groups.clear()

    def find_rivals(self, key: Key, group: str) -> tuple[Contender, ...]:
        """Returns the others of a key that have not ended."""
        self._read_once()
        return tuple(rival for rival in self._groups.get((key.namespace, group), {}).values() if rival.key != key)

    def note(self, key: Key, contender: Contender | None) -> None:
        """Keeps what became of a run, and has its rivals looked at where that is news; None: it takes part no more."""
        known = self._read_once()
        before = known.get(key)
        if before == contender:
            return
        if before is not None:
            self._leave(key, before)
        if contender is not None:
            known[key] = self._groups[key.namespace, contender.group][key] = contender
        for group in {part.group for part in (before, contender) if part is not None}:
            for rival in self._groups.get((key.namespace, group), {}):
                if rival != key:
                    self._wake(rival)

    def _leave(self, key: Key, before: Contender) -> None:
        group = (key.namespace, before.group)
        self._groups[group].pop(key, None)
        if not self._groups[group]:
            del self._groups[group]
        if self._known is not None:
            self._known.pop(key, None)

    def _read_once(self) -> dict[Key, Contender]:
        """Reads the statuses that stand, once a term."""
        if self._known is None:
            self._known = {}
            for obj in self._store.objects("Workflow"):
                if (contender := read_contender(obj)) is not None:
                    self._known[contender.key] = contender
                    self._groups[contender.key.namespace, contender.group][contender.key] = contender
        return self._known
