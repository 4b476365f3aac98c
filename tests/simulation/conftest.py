"""Adds up what the parts of the simulation found, wherever they ran, and tells it at the end."""

import json
import time
from collections.abc import Iterator

import pytest
from tests.simulation.report import Report
from tests.simulation.test_simulation import PART, SEEDS

LEAST = 200  # how often everything has to happen in ten thousand seeds
_STARTED = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-mutants", action="store_true", help="find every planted bug, not only a few drawn ones")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STARTED] = time.monotonic()


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    total = sum(_find_reports(terminalreporter), Report())
    if total.seeds:
        wall = time.monotonic() - terminalreporter.config.stash[_STARTED]
        terminalreporter.section("simulation")
        terminalreporter.write_line(total.render(wall))
        if total.seeds == len(SEEDS) and (rare := total.find_rare(LEAST)):
            terminalreporter.write_line(f"happened less than {LEAST} times: {rare}", red=True)
    return (yield)


def _find_reports(terminalreporter: pytest.TerminalReporter) -> Iterator[Report]:
    for outcome in ("passed", "failed"):
        for row in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(row, "user_properties", ()):
                if name == PART:
                    yield Report.from_json(json.loads(value))
