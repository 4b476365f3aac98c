"""What running workflows are about to need of a pool, how good such forecasts were, and whether to act on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vapora.core.agentpool.readings import Foreseen

ENOUGH = 5  # forecasts whose outcome is known, before their error counts
TRUSTED = 0.5  # the largest error at which agents are started ahead
_WEIGHT = 0.05  # of the newest outcome: about as much as the twenty before it count
_KEPT = 64  # forecasts whose moment has not come
_LEAST_SPACING = 0.5  # seconds between two that are kept: a pool is looked at once a second


@dataclass(frozen=True, slots=True)
class Forecast:
    """Is what is foreseen now, and the error of what was foreseen: the mean of |foreseen - came| / that of the larger.

    So the wrong one of many tasks counts little, and that of a few counts for no more than they are.
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
    """Is how the forecasts of one pool did: those whose moment has not come, and the means over the others.

    `wrong` is the mean of the tasks that were too many or too few, `larger` of those foreseen or come. How far ahead
    forecasts look changes, so moments are in no order.
    """

    pending: tuple[tuple[datetime, int], ...] = ()
    noted_at: datetime | None = None
    wrong: float = 0.0
    larger: float = 0.0
    outcomes: int = 0

    def judge(self, foreseen: Foreseen) -> Forecast:
        """Joins a new forecast with the error of the former ones."""
        return Forecast(foreseen, round(self.wrong / self.larger, 2) if self.outcomes >= ENOUGH else None)


def note_forecast(record: Record, foreseen: Foreseen, given: int, now: datetime) -> Record:
    """Compares the forecasts whose moment has come with the tasks that are now given out, and keeps the new one.

    One of nothing has no outcome: it starts no agents, so that the pool reacts, and a wave that nobody could foresee
    says nothing about those that can be.
    """
    due = [tasks for moment, tasks in record.pending if moment <= now]
    for tasks in due:
        record = _learn(record, tasks, given)
    pending = tuple(row for row in record.pending if row[0] > now)
    record = replace(record, pending=pending)
    spacing = timedelta(seconds=max(foreseen.within / _KEPT, _LEAST_SPACING))
    if len(pending) >= _KEPT or (record.noted_at is not None and now - record.noted_at < spacing):
        return record
    moment = now + timedelta(seconds=foreseen.within)
    return replace(record, pending=(*pending, (moment, foreseen.tasks)), noted_at=now)


def _learn(record: Record, tasks: int, given: int) -> Record:
    if tasks == 0:
        return record
    return replace(
        record,
        wrong=record.wrong + _WEIGHT * (abs(tasks - given) - record.wrong),
        larger=record.larger + _WEIGHT * (max(tasks, given) - record.larger),
        outcomes=record.outcomes + 1,
    )
