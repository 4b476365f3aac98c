"""What agents answer: read leniently, since an agent may be of any version and any make."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeGuard

from vapora.core import naming
from vapora.core.learning.execution import MAX_COUNT
from vapora.core.views import child, text
from vapora.core.workflow.status import State, StepStatus, Unit, WorkflowStatus

_OUTCOMES = frozenset({"success", "failure", "cancelled"})
_CLOCKS_DIFFER = timedelta(seconds=1)
_MAX_LLM_REQUESTS = 1000  # of one task that are counted


@dataclass(frozen=True, slots=True)
class AgentResult:
    """Is what an agent answered; `outcome` is success, failure or cancelled, `quality` lies in 0..1."""

    outcome: str
    output: object = None
    code: str = ""
    message: str = ""
    is_retryable: bool = True
    quality: float | None = None
    tokens: int = 0
    prompt_tokens: int = 0  # of those
    model: str = ""
    provider: str = ""
    cost_cents: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    pool: str = ""  # of the agent, as it says

    @property
    def is_undeliverable(self) -> bool:
        """Is true where the broker gave the task up: no agent ever finished with it."""
        return self.code == "Undeliverable"

    @property
    def words(self) -> str:
        """Is what the agent said of its failure."""
        said = f"{self.code}: {self.message}" if self.code else self.message
        return said or "the agent gave no reason"


def read_result(raw: Mapping[str, object] | None, error: str | None) -> AgentResult:
    """Reads a TaskResult; a message that is none becomes a failure that says so."""
    if raw is None or text(raw, "outcome") not in _OUTCOMES:
        return AgentResult("failure", code="Unreadable", message=error or "the agent's answer is no task result")
    said, quality = child(raw, "error"), raw.get("quality")
    tokens = child(raw, "tokens")
    return AgentResult(
        outcome=text(raw, "outcome"),
        output=raw.get("output"),
        code=text(said, "code"),
        message=text(said, "message"),
        is_retryable=said.get("retryable") is not False,
        quality=min(1.0, max(0.0, float(quality))) if _is_number(quality) else None,
        tokens=_read_count(tokens, "prompt") + _read_count(tokens, "completion"),
        prompt_tokens=_read_count(tokens, "prompt"),
        model=text(raw, "model"),
        provider=text(raw, "provider"),
        cost_cents=_read_cents(raw),
        started_at=_read_time(raw.get("startedAt")),
        finished_at=_read_time(raw.get("finishedAt")),
        pool=text(child(raw, "agent"), "pool"),
    )


def find_impossible(raw: Mapping[str, object] | None, now: datetime) -> list[str]:
    """Returns the fields of a TaskResult whose values cannot be and were read as what can, by an Execution's names."""
    raw = raw or {}
    quality, ended = raw.get("quality"), _read_time(raw.get("finishedAt"))
    found = {
        "quality": quality is not None and not (_is_number(quality) and 0.0 <= quality <= 1.0),
        "tokens": any(not _is_count(count) for count in child(raw, "tokens").values()),
        "cost_cents": not _is_count(raw.get("costCents")),
        "finished": ended is not None and ended > now + _CLOCKS_DIFFER,
    }
    return [field for field, is_impossible in found.items() if is_impossible]


def read_llm_seconds(raw: Mapping[str, object]) -> list[float]:
    """Returns how long a task's requests to models took, as far as what its agent says of them can be."""
    listed = raw.get("llmSeconds")
    found = listed[:_MAX_LLM_REQUESTS] if isinstance(listed, list) else []
    return [float(taken) for taken in found if _is_number(taken) and taken >= 0]


def _is_number(value: object) -> TypeGuard[int | float]:
    """Returns whether a value is a number that a float can hold, which JSON's need not be."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_count(value: object) -> bool:
    return value is None or (_is_number(value) and 0 <= value <= MAX_COUNT)


def _read_count(raw: Mapping[str, object], name: str) -> int:
    """Reads a count; agents may tell fractions, as of cents."""
    value = raw.get(name)
    return min(max(0, round(value)), MAX_COUNT) if _is_number(value) else 0


def _read_cents(raw: Mapping[str, object]) -> int:
    """Reads what a task cost in whole cents: up in as many tasks of a hundred as there are hundredths, by their ids.

    So a thousand tasks of a third of a cent cost 333, and not nothing.
    """
    value = raw.get("costCents")
    if not _is_number(value) or value <= 0:
        return 0
    drawn = int.from_bytes(hashlib.sha256(text(raw, "id").encode()).digest()[:4], "big") / 2**32
    return math.floor(value + drawn)


def _read_time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def split_task_id(task_id: str) -> tuple[str, int, int] | None:
    """Returns the step, item and effect of `<uid>/<step>/<item>/<effect>`; None for anything else."""
    parts = task_id.split("/")
    if len(parts) != 4 or not (parts[2].isdigit() and parts[3].isdigit()):  # the id's four parts
        return None
    return parts[1], int(parts[2]), int(parts[3])


def is_answered(written: WorkflowStatus, step: str, item: int, effect: int) -> bool:
    """Returns whether what came of one effect stands in the written status, so that nobody waits for it any more."""
    status = written.step(step)
    unit = status.unit
    if is_late(status, item, effect):
        return False  # what it cost is yet to be counted
    if written.phase.is_final or status.state.is_final:
        # The next one may have been asked for by a process that leads now, where this one does not know it yet.
        return effect != max(unit.effect, unit.tries) + 1
    if status.items is not None:
        if item not in status.items.active:
            return item in status.items.succeeded or item in status.items.failed or item in status.items.cancelled
        unit = status.items.active[item]
    elif item not in {0, naming.NO_ITEM}:
        return unit.tries > 0  # a step that has not begun here may have begun in another process
    still_wanted = unit.state.is_working or unit.is_open
    return effect < unit.effect or (effect == unit.effect and unit.state is State.RETRYING and not still_wanted)


def is_late(status: StepStatus, item: int, effect: int) -> bool:
    """Returns whether an effect is open of a step or an item that has ended: its answer comes late."""
    items = status.items
    if items is None:
        return status.unit.is_open and status.unit.effect == effect and status.unit.state.is_final
    has_ended = item in items.failed or item in items.cancelled
    return has_ended and (left := items.open.get(item)) is not None and left.effect == effect


@dataclass(frozen=True, slots=True)
class Answered:
    """Is an answer that nobody waits for any more, and the unit it was for as far as it is still known."""

    task_id: str
    step: str
    item: int
    effect: int
    unit: Unit
    answer: AgentResult


def find_answered(written: WorkflowStatus, results: Mapping[str, AgentResult]) -> list[Answered]:
    """Returns the answers whose outcome stands in the written status, or that are to no task of the workflow."""
    found = []
    for task_id, answer in results.items():
        step, item, effect = split_task_id(task_id) or ("", 0, 0)
        if is_answered(written, step, item, effect):
            status = written.step(step)
            place, unit = (naming.NO_ITEM, status.unit) if status.items is None else (item, Unit())
            found.append(Answered(task_id, step, place, effect, unit, answer))
    return found
