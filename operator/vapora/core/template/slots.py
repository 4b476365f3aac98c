"""The slots of a schedule: the minutes at which it is due, as instants, in a time zone that changes its clocks.

What cron does at a change of clocks is Debian's: where hour and minute are named, a slot within the hour that is left
out comes right after it, and one within the hour that comes twice comes once, at first; a schedule with `*` or `*/n` in
hour or minute goes by the time that passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_FIELDS = 5
_MINUTE = timedelta(minutes=1)


class BadSchedule(ValueError):
    """Says what is wrong with a schedule; the message begins with the field."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """Is a schedule's slots."""

    cron: str
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        """Returns the first slot after an instant; None where there is none within fifty years."""
        for found in CronSim(self.cron, after.astimezone(self.zone)):
            # A step over a change of clocks may come out at an instant before the one asked about.
            if (slot := found.astimezone(UTC)) > after:
                return slot
        return None

    def is_slot(self, instant: datetime) -> bool:
        """Returns whether an instant is a slot."""
        return self.next(instant - _MINUTE) == instant

    def last(self, after: datetime, until: datetime) -> datetime | None:
        """Returns the last slot after one instant and not after another, in a number of steps that is logarithmic."""
        found = self._next_until(after, until)
        if found is None:
            return None
        low, high = found, until
        while high - low > _MINUTE:
            middle = low + (high - low) / 2
            later = self._next_until(middle, until)
            if later is None:
                high = middle
            else:
                low = found = later
        return self._next_until(found, until) or found

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yields the slots after one instant and not after another."""
        slot = self._next_until(after, until)
        while slot is not None:
            yield slot
            slot = self._next_until(slot, until)

    def _next_until(self, after: datetime, until: datetime) -> datetime | None:
        slot = self.next(after)
        return slot if slot is not None and slot <= until else None


def read_timetable(cron: str, time_zone: str) -> Timetable:
    """Reads the fields of a schedule; raises BadSchedule."""
    try:
        # UTC itself needs no database of zones.
        zone = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    except (LookupError, OSError, ValueError) as problem:
        raise BadSchedule(
            f"timeZone: found {time_zone!r}, allowed are names of the IANA database, such as Europe/Berlin"
        ) from problem
    if len(cron.split()) != _FIELDS:
        raise BadSchedule(
            f"cron: found {cron!r}, allowed are five fields: minute, hour, day of month, month, day of week"
        )
    try:
        CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError) as problem:
        raise BadSchedule(f"cron: found {cron!r}: {problem}; an example is */15 8-18 * * MON-FRI") from problem
    return Timetable(cron, zone)
