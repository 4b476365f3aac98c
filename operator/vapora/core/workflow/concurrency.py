"""Mutual exclusion: which runs of the same key hold a place, which wait, and which make room for a newer one.

All of it follows from statuses: a run with a key says in its own that it takes part, from its first look to its end. It
holds a place once `startedAt` stands there, which is written before anything of it is started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vapora.api.workflow import Concurrency
from vapora.core.plan import Key
from vapora.core.views import child, number, text

CONCURRENCY_LIMIT = "ConcurrencyLimit"
SUPERSEDED = "Superseded"


@dataclass(frozen=True, slots=True)
class Contender:
    """Is a run that has a key and has not ended.

    `born` orders runs by their creation. One that is paused before it began does not ask for a place.
    """

    key: Key
    uid: str
    born: str
    group: str
    limit: int
    cancels_older: bool
    has_begun: bool
    is_paused: bool

    @property
    def rank(self) -> tuple[str, bool, str]:
        """Returns what orders runs: the second of their creation, and in the same one whether they have begun.

        What is left is ordered by uid.
        """
        return self.born, not self.has_begun, self.uid


def describe_concurrency(wanted: Concurrency) -> dict[str, object]:
    """Returns `status.concurrency`."""
    return {"key": wanted.key, "limit": wanted.limit, "onBusy": wanted.on_busy}


def read_contender(obj: Mapping[str, object]) -> Contender | None:
    """Reads the part that a Workflow takes, from its status; None where it takes none."""
    meta, status = child(obj, "metadata"), child(obj, "status")
    said = child(status, "concurrency")
    if not said:
        return None
    return Contender(
        key=Key("Workflow", text(meta, "namespace"), text(meta, "name")),
        uid=text(meta, "uid"),
        born=text(meta, "creationTimestamp"),
        group=text(said, "key"),
        limit=number(said, "limit"),
        cancels_older=text(said, "onBusy") == "cancelOlder",
        has_begun=bool(text(status, "startedAt")),
        is_paused=bool(text(status, "pausedAt")),
    )


def find_ahead(own: Contender, rivals: Iterable[Contender]) -> tuple[Contender, ...]:
    """Returns those because of which a run must wait: none where it has a place.

    First come those that hold one, then those that wait longer.
    """
    ahead = [
        rival
        for rival in rivals
        if rival.uid != own.uid and (rival.has_begun or (not rival.is_paused and rival.rank < own.rank))
    ]
    ahead.sort(key=lambda rival: (not rival.has_begun, rival.rank))
    return tuple(ahead) if len(ahead) >= own.limit else ()


def find_superseding(own: Contender, rivals: Iterable[Contender]) -> Contender | None:
    """Returns the newer run for which this one makes room: it says cancelOlder, and enough others are newer too."""
    newer = sorted((rival for rival in rivals if rival.rank > own.rank), key=lambda rival: rival.rank)
    active = [rival for rival in newer if rival.has_begun or not rival.is_paused]
    return next((rival for rival in reversed(active) if rival.cancels_older and len(active) >= rival.limit), None)
