"""Sets of item indices as ranges, compared with Python's own sets."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapora.core.workflow.ranges import Ranges, parse_ranges

NUMBERS = st.lists(st.integers(0, 40), max_size=60)


def collect(numbers: list[int]) -> Ranges:
    ranges = Ranges()
    for number in numbers:
        ranges = ranges.add(number)
    return ranges


@settings(max_examples=200, derandomize=True, database=None)
@given(NUMBERS)
def test_ranges_hold_what_a_set_holds(numbers: list[int]) -> None:
    ranges, plain = collect(numbers), set(numbers)
    assert list(ranges) == sorted(plain)
    assert len(ranges) == len(plain)
    assert [number in ranges for number in range(-1, 43)] == [number in plain for number in range(-1, 43)]


@settings(max_examples=200, derandomize=True, database=None)
@given(NUMBERS)
def test_spans_are_ascending_and_never_touch(numbers: list[int]) -> None:
    spans = collect(numbers).spans
    assert all(first <= last for first, last in spans)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(spans))


@settings(max_examples=200, derandomize=True, database=None)
@given(NUMBERS)
def test_ranges_read_back_as_they_were_written(numbers: list[int]) -> None:
    ranges = collect(numbers)
    assert parse_ranges(str(ranges)) == ranges


WRITTEN = {
    "nothing": ([], ""),
    "one number": ([7], "7"),
    "a span": ([3, 1, 2], "1-3"),
    "a gap": ([0, 1, 3], "0-1,3"),
    "a gap that closes": ([0, 2, 1], "0-2"),
    "the same number twice": ([5, 5], "5"),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_how_ranges_are_written(case: str) -> None:
    numbers, want = WRITTEN[case]
    assert str(collect(numbers)) == want


@pytest.mark.parametrize("text", ["a", "1-", "-1", "1-2-3", "1;2"])
def test_other_texts_are_no_ranges(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_ranges(text)
