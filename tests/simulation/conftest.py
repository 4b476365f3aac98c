"""Adds up what the parts of the simulation found, wherever they ran; fails where something happened too seldom."""

import json
import time
from collections.abc import Iterator

import pytest
from tests.simulation.report import Report
from tests.simulation.test_simulation import PART, SEEDS

LEAST, AMONG = 200, 10_000  # so often everything has to happen in so many seeds
_STARTED = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-mutants", action="store_true", help="find every planted bug, not only a few drawn ones")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STARTED] = time.monotonic()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a run of all seeds in which something was too rare: no single part of it could tell."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and _find_rare(_add_up(reporter)) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    total = _add_up(terminalreporter)
    if total.seeds:
        wall = time.monotonic() - terminalreporter.config.stash[_STARTED]
        terminalreporter.section("simulation")
        terminalreporter.write_line(total.render(wall))
        if rare := _find_rare(total):
            terminalreporter.write_line(f"happened less than {LEAST} times in {AMONG} seeds: {rare}", red=True)
    return (yield)


def _find_rare(total: Report) -> dict[str, int]:
    return total.find_rare(LEAST * total.seeds // AMONG) if total.seeds == len(SEEDS) else {}


def _add_up(terminalreporter: pytest.TerminalReporter) -> Report:
    total = Report()
    for outcome in ("passed", "failed"):
        for row in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(row, "user_properties", ()):
                if name == PART:
                    total += Report.from_json(json.loads(value))
    return total
