"""What is recorded of one try of one step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

SUCCESS, FAILURE, CANCELLED = "success", "failure", "cancelled"
MAX_COUNT = 2**53  # what every store and JSON keep exactly


class GraphUnavailable(Exception):
    """The store of the knowledge graph cannot be used now, and why."""


@dataclass(frozen=True, slots=True)
class Execution:
    """Is one try: who did what kind of work, how it ended, when, and what it cost.

    `pool` is `namespace/name`, empty for work without one; `item` is None for a plain step; `outcome` is success,
    failure or cancelled, `reason` why; `quality` lies in 0..1.
    """

    id: str
    namespace: str
    workflow: str
    step: str
    item: int | None
    try_: int
    pool: str
    role: str
    task_type: str
    outcome: str
    reason: str
    started: datetime
    finished: datetime
    quality: float | None = None
    tokens: int = 0
    model: str = ""
    provider: str = ""
    cost_cents: int = 0
    error_signature: str = ""
    trace_id: str = ""

    @property
    def workflow_uid(self) -> str:
        """Is the uid of the Workflow, which the id begins with."""
        return self.id.partition("/")[0]

    @property
    def is_success(self) -> bool:
        """Is true where the try did what was asked."""
        return self.outcome == SUCCESS

    @property
    def latency(self) -> timedelta:
        """Is how long the try took."""
        return max(self.finished - self.started, timedelta(0))


def execution_id(uid: str, step: str, item: int | None, try_: int) -> str:
    """Returns the id of a try, the same however often it is recorded: `<uid>/<step>/<item>/<try>`."""
    return f"{uid}/{step}/{'' if item is None else item}/{try_}"


def clamp(execution: Execution) -> Execution:
    """Brings what agents say of themselves into the bounds that every store keeps: counts, and quality in 0..1."""
    quality = execution.quality
    if quality is not None:
        quality = None if math.isnan(quality) else min(max(quality, 0.0), 1.0)
    tokens, cost = _clamp_count(execution.tokens), _clamp_count(execution.cost_cents)
    if (quality, tokens, cost) == (execution.quality, execution.tokens, execution.cost_cents):
        return execution
    return replace(execution, quality=quality, tokens=tokens, cost_cents=cost)


def _clamp_count(count: int) -> int:
    return min(max(count, 0), MAX_COUNT)
