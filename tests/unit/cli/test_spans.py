"""Lengths of time as people read them."""

import pytest

from vapora.cli.show.spans import describe_between, describe_span

CASES = {
    -3: "0s",
    0.9: "0s",
    12: "12s",
    59.99: "59s",
    65: "1m05s",
    3600: "1h00m",
    7384: "2h03m",
    90000: "1d01h",
}


@pytest.mark.parametrize(("seconds", "said"), CASES.items())
def test_a_span_has_its_two_largest_units(seconds: float, said: str) -> None:
    assert describe_span(seconds) == said


def test_without_a_beginning_or_an_end_there_is_no_span() -> None:
    assert describe_between(None, None) == ""
