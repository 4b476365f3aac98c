"""Durations."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapora.api.durations import DURATION_PATTERN, MAX_SECONDS, parse_duration

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "durations.json").read_text())["cases"]
ACCEPTED = [(value, seconds) for value, seconds in VECTORS if seconds is not None]
REFUSED = [value for value, seconds in VECTORS if seconds is None]


@pytest.mark.parametrize(("value", "seconds"), ACCEPTED, ids=repr)
def test_an_accepted_spelling_gives_its_seconds(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize("value", [*REFUSED, 1.5, [], "1e3", "٣s", "5s\n", f"{MAX_SECONDS + 1}", "3651d"], ids=repr)
def test_another_spelling_is_refused_with_what_was_found_and_what_is_allowed(value: object) -> None:
    with pytest.raises(ValueError, match="allowed are") as caught:
        parse_duration(value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [value for value, _ in VECTORS if isinstance(value, str)], ids=repr)
def test_the_pattern_of_the_schema_agrees_with_the_parser(value: str) -> None:
    assert bool(value and re.fullmatch(DURATION_PATTERN, value)) == (value not in REFUSED)


@given(st.integers(0, 3000), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_units_add_up(days: int, hours: int, minutes: int, seconds: int, millis: int) -> None:
    total = days * 86400 + hours * 3600 + minutes * 60 + seconds + millis / 1000
    assert parse_duration(f"{days}d{hours}h{minutes}m{seconds}s{millis}ms") == pytest.approx(total)
