"""What the triggers of a pool say: each a depth that is known, unknown, or not read yet."""

from __future__ import annotations

from dataclasses import dataclass

from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Unknown

NATS = "nats"
WORKFLOW = "workflow"
_NOT_READ = Unknown("not read yet")


@dataclass(frozen=True, slots=True)
class Reading:
    """Is what one trigger says; `trigger` is its type, with its place in the spec where that has several triggers.

    `depth` is None before the first reading: a restart of the operator says nothing about a queue.
    """

    trigger: str
    depth: QueueDepth | None

    @property
    def unknown(self) -> Unknown | None:
        """Says why there is no number; None where there is one."""
        if self.depth is None:
            return _NOT_READ
        return next((d for d in (self.depth.queued, self.depth.in_flight) if isinstance(d, Unknown)), None)

    @property
    def noun(self) -> str:
        """Is what messages call the number: the pool's own queue needs no name."""
        return "queue" if self.trigger == NATS else self.trigger


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Is what running workflows will need: so many tasks at once, at most so many seconds from now."""

    tasks: int
    within: float
