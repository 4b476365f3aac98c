"""What a schedule asks for now: which slots start, which were missed, which run makes room, what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from vapora.api.workflowtemplate import Schedule
from vapora.core.template.definition import Template
from vapora.core.template.runs import Run
from vapora.core.template.slots import Timetable

MAX_STARTS = 20  # runs made at one look
_INSTANT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Missed:
    """Is a row of slots that go by without a run: from `first` until before `until`, where known."""

    first: datetime
    until: datetime | None
    cause: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Is what a schedule asks for.

    `decided` is the instant before which every slot was decided when this was asked, `next` the one before which they
    will be: the first slot that is yet to start. `next` is not after now where a slot waits for `blockers`, or where
    there is more to start.
    """

    starts: tuple[datetime, ...] = ()
    replaced: tuple[Run, ...] = ()
    blockers: tuple[Run, ...] = ()
    missed: Missed | None = None
    decided: datetime | None = None
    next: datetime | None = None


def find_first(
    template: Template, *, noted: datetime | None, is_new: bool, is_changed: bool, created_at: datetime, now: datetime
) -> datetime | None:
    """Returns the first slot that is not decided yet.

    `noted` is what the status says of it. A schedule counts from the template's creation where the template was never
    looked at (`is_new`), and from now where it was not in force: added, changed, suspended or refused until now. A slot
    that is overdue while the spec changes (`is_changed`) stays due if the schedule still has it.
    """
    timetable = template.timetable
    if timetable is None or template.schedule is None or template.schedule.suspend:
        return None
    if noted is not None and (not is_changed or (noted <= now and timetable.is_slot(noted))):
        return noted
    return timetable.next(created_at if is_new else now)


def plan_schedule(template: Template, runs: Sequence[Run], first: datetime | None, now: datetime) -> Decision:
    """Decides on the slots from `first` until now."""
    schedule, timetable = template.schedule, template.timetable
    if schedule is None or timetable is None or first is None:
        return Decision()
    if first > now:
        return Decision(decided=first, next=first)
    due, missed = _find_due(template, schedule, timetable, first, now)
    following = timetable.next(due[-1] if due else now)
    made = {run.slot for run in runs}
    if not due:
        return Decision(missed=missed, decided=first, next=following)
    others = tuple(run for run in runs if not run.is_finished and run.slot not in due)
    if schedule.concurrency == "Forbid" and others and due[0] not in made:
        return Decision(blockers=others, missed=missed, decided=first, next=due[0])
    if schedule.concurrency == "Replace":
        replaced = tuple(run for run in others if not run.is_deleting)
        return Decision(_without(due, made), replaced, missed=missed, decided=first, next=following)
    return Decision(_without(due, made), missed=missed, decided=first, next=following)


def _find_due(
    template: Template, schedule: Schedule, timetable: Timetable, first: datetime, now: datetime
) -> tuple[tuple[datetime, ...], Missed | None]:
    """Returns the slots to start, in order, and those before them that are too late."""
    earliest, cause = first, "only the latest slot that was missed is made up for"
    if template.starting_deadline is not None and now - template.starting_deadline > first:
        earliest, cause = now - template.starting_deadline, "they are later than startingDeadline"
    if template.starting_deadline is None or schedule.concurrency == "Replace":
        last = timetable.last(earliest - _INSTANT, now)
        due: tuple[datetime, ...] = () if last is None else (last,)
    else:
        many = 1 if schedule.concurrency == "Forbid" else MAX_STARTS
        due = tuple(islice(timetable.between(earliest - _INSTANT, now), many))
    until = due[0] if due else None
    return due, Missed(first, until, cause) if until is None or until > first else None


def _without(due: Sequence[datetime], made: set[datetime]) -> tuple[datetime, ...]:
    return tuple(slot for slot in due if slot not in made)
