"""Children that have a name that is needed and belong to another owner: mostly a deleted namesake's, for a moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vapora.controller.store import Store
from vapora.core.plan import Key
from vapora.core.views import Meta


def find_leftovers(store: Store, owner: Meta, names: Iterable[tuple[str, str]]) -> Iterator[Meta]:
    """Yields the known children of these kinds and names in the owner's namespace that are not the owner's."""
    for kind, name in names:
        view = store.find_child(Key(kind, owner.key.namespace, name))
        if view is not None and view.meta.owner_uid != owner.uid:
            yield view.meta
