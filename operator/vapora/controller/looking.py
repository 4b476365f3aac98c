"""What the present code looks at, so that every line it logs can say so."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from vapora.core.plan import Key


@dataclass(frozen=True, slots=True)
class Look:
    """Is one reconcile: of which object, and the how manyth of this process; `find_uid` tells the object's uid."""

    key: Key
    number: int
    find_uid: Callable[[Key], str]


looking_at: ContextVar[Look | None] = ContextVar("looking_at", default=None)
