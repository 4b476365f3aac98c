"""What running workflows are about to need of a pool, how good such forecasts were, and whether to act on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vapora.core.agentpool.readings import Foreseen

ENOUGH = 5  # forecasts whose outcome is known, before their error counts
TRUSTED = 0.5  # the largest mean error at which agents are started ahead
_WEIGHT = 0.2  # of the newest outcome in the mean
_KEPT = 64  # forecasts whose moment has not come


@dataclass(frozen=True, slots=True)
class Forecast:
    """Is what is foreseen now, and the mean error of what was foreseen: |foreseen - came| / the larger of both.

    `error` is None while too few outcomes are known; until then forecasts are made and compared, not acted on.
    """

    foreseen: Foreseen
    error: float | None

    @property
    def is_trusted(self) -> bool:
        """Says whether agents are started ahead; else the pool only reacts."""
        return self.error is not None and self.error <= TRUSTED


@dataclass(frozen=True, slots=True)
class Record:
    """Is how the forecasts of one pool did: those whose moment has not come, and the mean error of the others."""

    pending: tuple[tuple[datetime, int], ...] = ()
    error: float = 0.0
    outcomes: int = 0

    def judge(self, foreseen: Foreseen) -> Forecast:
        """Joins a new forecast with the error of the former ones."""
        return Forecast(foreseen, round(self.error, 2) if self.outcomes >= ENOUGH else None)


def note_forecast(record: Record, foreseen: Foreseen, given: int, now: datetime) -> Record:
    """Compares the forecasts whose moment has come with the tasks that are now given out, and keeps the new one.

    One of nothing has no outcome: it starts no agents, so that the pool reacts, and a wave that nobody could foresee
    says nothing about those that can be.
    """
    due = [tasks for moment, tasks in record.pending if moment <= now]
    for tasks in due:
        record = _learn(record, tasks, given)
    pending = tuple(row for row in record.pending if row[0] > now)
    moment = now + timedelta(seconds=foreseen.within)
    if len(pending) < _KEPT and (not pending or moment - pending[-1][0] >= timedelta(seconds=1)):
        pending = (*pending, (moment, foreseen.tasks))
    return replace(record, pending=pending)


def _learn(record: Record, tasks: int, given: int) -> Record:
    if tasks == 0:
        return record
    error = abs(tasks - given) / max(tasks, given)
    mean = error if record.outcomes == 0 else record.error + _WEIGHT * (error - record.error)
    return replace(record, error=mean, outcomes=record.outcomes + 1)
