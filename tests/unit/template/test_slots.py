"""When a schedule is due, above all where clocks are changed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapora.core.template.slots import BadSchedule, Timetable, read_timetable

MINUTE = timedelta(minutes=1)
BERLIN = "Europe/Berlin"
SPRING = datetime(2026, 3, 29, 1, tzinfo=UTC)  # 02:00 becomes 03:00 in Berlin
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)  # 03:00 becomes 02:00 in Berlin
CASES = {
    "in spring, a slot in the hour left out comes right after it": ("30 2 * * *", SPRING, ["03:00"]),
    "in spring, two slots in the hour left out come as one": ("15,45 2 * * *", SPRING, ["03:00"]),
    "in spring, a slot right after the hour left out comes as ever": ("0 3 * * *", SPRING, ["03:00"]),
    "in spring, what goes by the hour loses one": ("30 * * * *", SPRING, ["00:30", "01:30", "03:30", "04:30"]),
    "in spring, what goes by minutes of the hour left out is left out": ("*/30 2 * * *", SPRING, []),
    "in autumn, a slot in the hour that comes twice comes once, at first": ("30 2 * * *", AUTUMN, ["02:30 +0200"]),
    "in autumn, a slot before the hour that comes twice comes as ever": ("30 1 * * *", AUTUMN, ["01:30"]),
    "in autumn, what goes by the hour comes twice": (
        "30 * * * *",
        AUTUMN,
        ["01:30", "02:30 +0200", "02:30 +0100", "03:30"],
    ),
}


def write(slot: datetime) -> str:
    return slot.astimezone(ZoneInfo(BERLIN)).strftime("%H:%M %z")


@pytest.mark.parametrize("name", CASES)
def test_where_clocks_are_changed(name: str) -> None:
    cron, change, wanted = CASES[name]
    slots = read_timetable(cron, BERLIN).between(change - timedelta(hours=2, minutes=1), change + timedelta(hours=2))
    assert [found.startswith(want) for found, want in zip(map(write, slots), wanted, strict=True)] == [True] * len(
        wanted
    )


def expect(cron: str, zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """Debian's rule, minute by minute: `M H * * *` and its lists name times of day, `*` goes by what passes."""
    minutes, hours = ({int(part) for part in field.split(",")} if field != "*" else None for field in cron.split()[:2])
    instant = first
    while instant <= last:
        local, before = instant.astimezone(zone), (instant - MINUTE).astimezone(zone)
        matches = (minutes is None or local.minute in minutes) and (hours is None or local.hour in hours)
        if minutes is None or hours is None:
            if matches:
                yield instant
        else:
            skipped = [before.replace(tzinfo=None) + MINUTE * n for n in range(1, 120)]
            left_out = [wall for wall in skipped if wall < local.replace(tzinfo=None)]
            if (matches and not local.fold) or any(w.hour in hours and w.minute in minutes for w in left_out):
                yield instant
        instant += MINUTE


@pytest.mark.parametrize("change", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0,59 1,2,3 * * *", "7 * * * *", "* * * * *", "* 2 * * *", "0 3 * * *"])
def test_from_every_minute_around_a_change_the_next_slot_is_the_one_that_cron_has(cron: str, change: datetime) -> None:
    zone, table = ZoneInfo(BERLIN), read_timetable(cron, BERLIN)
    first, last = change - timedelta(hours=4), change + timedelta(hours=30)
    wanted = list(expect(cron, zone, first, last))
    for minute in range(6 * 60):
        now = first + minute * MINUTE
        assert table.next(now) == next(slot for slot in wanted if slot > now)
        assert table.is_slot(now) == (now in wanted)
        assert table.last(first - MINUTE, now) == next((slot for slot in reversed(wanted) if slot <= now), None)


CRONS = st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15 8-18 * * MON-FRI", "0 12 29 2 *"])
ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu"])
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(deadline=None)
@given(CRONS, ZONES, INSTANTS, st.timedeltas(timedelta(0), timedelta(days=1)))
def test_slots_are_whole_minutes_in_order_and_the_last_one_is_the_end_of_the_row(
    cron: str, zone: str, after: datetime, length: timedelta
) -> None:
    table = read_timetable(cron, zone)
    slots = list(table.between(after, after + length))
    assert slots == sorted(set(slots))
    assert all(slot.second == slot.microsecond == 0 and after < slot <= after + length for slot in slots)
    assert table.last(after, after + length) == (slots[-1] if slots else None)


def test_the_last_slot_of_ten_years_is_found_in_few_steps() -> None:
    counted = Counting("* * * 1 *", UTC)
    slot = counted.last(datetime(2016, 3, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    assert slot == datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    assert len(asked) < 50


asked: list[datetime] = []


class Counting(Timetable):
    """Notes how often the next slot is asked for."""

    def next(self, after: datetime) -> datetime | None:
        asked.append(after)
        return Timetable.next(self, after)


BAD = {
    "too few fields": ("* * * *", "UTC", "cron: found '* * * *', allowed are five fields"),
    "seconds": ("* * * * * *", "UTC", "cron: found '* * * * * *', allowed are five fields"),
    "a name": ("@daily", "UTC", "cron: found '@daily', allowed are five fields"),
    "a minute that is none": ("61 * * * *", "UTC", "cron: found '61 * * * *': Bad minute"),
    "a day that never comes": ("0 0 31 2 *", "UTC", "cron: found '0 0 31 2 *': Bad day-of-month"),
    "a zone that is none": ("* * * * *", "Mars/Base", "timeZone: found 'Mars/Base', allowed are names of the IANA"),
    "a zone that is a path": ("* * * * *", "../localtime", "timeZone: found '../localtime', allowed are names"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_schedule_is_refused_with_what_is_allowed(name: str) -> None:
    cron, zone, wanted = BAD[name]
    with pytest.raises(BadSchedule) as found:
        read_timetable(cron, zone)
    assert str(found.value).startswith(wanted)
