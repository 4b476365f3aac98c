"""What is recorded of one try of one step, and what the knowledge graph tells of many."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta

SUCCESS, FAILURE, CANCELLED = "success", "failure", "cancelled"
MAX_COUNT = 10**12  # of one execution; sums of millions still fit what every store and JSON keep exactly
MAX_TEXT = 512  # characters
DAY = timedelta(days=1)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)  # before which nothing ended


class GraphUnavailable(Exception):
    """The store of the knowledge graph cannot be used now, and why."""


@dataclass(frozen=True, slots=True)
class Execution:
    """Is one try: who did what kind of work, how it ended, when, and what it cost.

    `pool` and `runner_up`, the pool it was chosen over, are `namespace/name`, empty where there is none; `item` is None
    for a plain step; `outcome` is success, failure or cancelled, `reason`, `message` and `exit_code` say why; `quality`
    lies in 0..1. `depends_on` names steps, `produced` outputs and `deployed` objects; no name holds white space.
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
    exit_code: int | None = None
    message: str = ""
    runner_up: str = ""
    depends_on: tuple[str, ...] = ()
    produced: tuple[str, ...] = ()
    deployed: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class DailyAggregate:
    """Is what a pool did of a task type in one namespace on one UTC day; it outlives the executions it sums up.

    `executions` counts those that succeeded or failed; `quality_sum` adds up the `quality_count` that had one.
    """

    day: date
    namespace: str
    pool: str
    task_type: str
    executions: int
    successes: int
    cancelled: int
    quality_sum: float
    quality_count: int
    latency: timedelta
    tokens: int
    cost_cents: int


@dataclass(frozen=True, slots=True)
class KnownCause:
    """Is what is known of an error: how often and when it was seen, its latest case, and what solved it last.

    `solved_by` is the try that succeeded after a failure with this signature, of the same step; None where none did.
    """

    signature: str
    seen: int
    first_seen: datetime
    latest: Execution
    solved_by: Execution | None = None


def clamp(execution: Execution) -> Execution:
    """Brings what agents say of themselves into the bounds that every store keeps.

    Counts are at least 0, quality lies in 0..1, text is short and such as can be written as UTF-8, without NUL, nothing
    ends before it started, nor before 1970. An execution within bounds comes back as it is.
    """
    changes: dict[str, object] = {}
    quality = execution.quality
    if quality is not None and not 0.0 <= quality <= 1.0:
        changes["quality"] = None if math.isnan(quality) else min(max(quality, 0.0), 1.0)
    for name in ("tokens", "cost_cents"):
        count = getattr(execution, name)
        if not 0 <= count <= MAX_COUNT:
            changes[name] = min(max(count, 0), MAX_COUNT)
    finished = max(execution.finished, _FIRST)
    started = min(max(execution.started, _FIRST), finished)
    changes |= {"finished": finished} if finished != execution.finished else {}
    changes |= {"started": started} if started != execution.started else {}
    for name in _TEXTS:
        said = getattr(execution, name)
        kept = said if said.isascii() else said.encode("utf-8", "replace").decode()
        kept = kept.replace("\0", "")[:MAX_TEXT]
        if kept != said:
            changes[name] = kept
    return replace(execution, **changes) if changes else execution  # type: ignore[arg-type]  # each by its own name


def clamp_time(execution: Execution, now: datetime) -> Execution:
    """Brings what ended in the future, by a clock that is ahead, to the present."""
    if execution.finished <= now:
        return execution
    return replace(execution, finished=now, started=min(execution.started, now))


def find_changes(claimed: Execution, kept: Execution) -> list[str]:
    """Returns the names of the fields that differ, in the order of the class."""
    names = (field.name for field in fields(Execution))
    return [name for name in names if getattr(claimed, name) != getattr(kept, name)]


_TEXTS = ("reason", "model", "provider", "task_type", "trace_id", "message")  # that agents and containers have a say in
