"""Fails a whole run of the integration tests where a declared metric never moved in any operator (--every-metric)."""

import pytest
from tests.integration.moved import add_seen, list_seen, list_unmoved


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-metric", action="store_true", help="fail if a declared metric never moved")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Runs in the process that leads the workers of pytest-xdist, whenever one of them is done."""
    add_seen(getattr(node, "workeroutput", {}).get("moved", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["moved"] = list_seen()
    elif session.config.getoption("--every-metric") and (unmoved := list_unmoved()):
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        reporter.write_line(f"\nno operator moved these metrics: {', '.join(unmoved)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
