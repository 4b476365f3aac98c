"""How many faults have struck, for whoever runs the tests to see."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

import pytest
from tests.chaos.stage import Performance

Count = Callable[[Performance], Performance]  # counts the faults that struck in a run, and returns the run
_PROPERTY = "struck"


def build_count(tell: Callable[[str, object], None]) -> Count:
    """Make what counts by telling pytest properties of the test."""

    def count(run: Performance) -> Performance:
        tell(_PROPERTY, len(run.struck))
        return run

    return count


def assert_struck(runs: Sequence[tuple[object, Future[Performance]]]) -> None:
    """Assert that hardly a fault missed: what is written now and then is no point to count on."""
    missed = [str(scene) for scene, run in runs if run.exception() is None and not run.result().struck]
    assert len(missed) <= len(runs) / 10, missed


def add_up(reports: Iterable[object]) -> int:
    """Return how many were counted in all tests."""
    return sum(
        int(str(value))
        for report in reports
        if type(report) is pytest.TestReport and report.when == "call"
        for name, value in report.user_properties
        if name == _PROPERTY
    )
