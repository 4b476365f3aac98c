"""What a reconcile decides: the writes to make, the status to publish, the events to tell, when to look again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from vapora.core.calls import Perform
from vapora.core.naming import FIELD_MANAGER

Manifest = Mapping[str, object]


class Key(NamedTuple):
    """Names one object of the cluster; a tuple, as it is hashed more often than anything else."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Create:
    """Creates a child under a name that never repeats; one that exists already with this owner and try is a success.

    `needs` is what the child cannot do without; it is made before it, unless it is there.
    """

    manifest: Manifest
    needs: Manifest | None = None


@dataclass(frozen=True, slots=True)
class Apply:
    """Applies a child server-side with one of our field managers, without force: another manager's field is a conflict.

    With `force` it takes a field back that was given to another one on purpose.
    """

    manifest: Manifest
    manager: str = FIELD_MANAGER
    force: bool = False


@dataclass(frozen=True, slots=True)
class Patch:
    """Merges `body` into an object; a `uid` in the body's metadata guards against patching a namesake."""

    key: Key
    body: Manifest
    subresource: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletes the object with this uid; one that is gone already is a success.

    With `if_unchanged` it stays where it is not as it was last seen: what it has become will be seen, and decides anew.
    """

    key: Key
    uid: str
    if_unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Reads a child anew that the watch does not show; that it is gone is a problem with reason NotFound."""

    key: Key


@dataclass(frozen=True, slots=True)
class Publish:
    """Gives a task to a pool's queue; a repeated `message_id` is dropped by the broker."""

    pool: Key
    message_id: str
    envelope: Manifest


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Takes a task back, and where an agent has it already asks that one to give it up, if `also_claimed`."""

    pool: Key
    message_id: str
    also_claimed: bool = True


@dataclass(frozen=True, slots=True)
class EnsureQueue:
    """Makes a pool's durable consumer if it is absent; `max_deliver` counts the first delivery."""

    pool: Key
    max_deliver: int


@dataclass(frozen=True, slots=True)
class RemoveQueue:
    """Removes a pool's consumer and the tasks that wait in its subject."""

    pool: Key


@dataclass(frozen=True, slots=True)
class DrainAgents:
    """Asks agents of a pool, by the names of their pods, to take no more tasks; one that takes none says so again."""

    pool: Key
    pods: tuple[str, ...]


ForBroker = Publish | CancelTask | EnsureQueue | RemoveQueue | DrainAgents
Action = Create | Apply | Patch | Delete | Look | ForBroker | Perform


class EventType(StrEnum):
    """The two types that Kubernetes knows."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Event:
    """Tells people of one transition; warnings are always sent, routine ones at a limited rate."""

    type: EventType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Says why an action could not be done, in the words of whoever refused it."""

    action: Action
    reason: str
    message: str
    is_permanent: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Is the whole decision of one reconcile.

    `status` is the complete desired status as JSON (None: leave it); the writer sends what differs. `urgent` asks for
    the write now instead of at the next paced slot. `requeue_after` is in seconds.
    """

    actions: tuple[Action, ...] = ()
    status: Manifest | None = None
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    urgent: bool = True
