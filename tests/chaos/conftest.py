"""The stages of the chaos tests, what comes of workflows on them when nothing happens, and the draw of faults."""

import secrets
from collections.abc import Callable, Iterator, Sequence

import pytest
from tests.chaos.counting import Count, add_up, build_count
from tests.chaos.draw import Draw, read_commit
from tests.chaos.forking import PROGRAM
from tests.chaos.stage import Stage, Undisturbed, set_stage
from tests.chaos.stages import Stages, set_stages
from tests.cluster.access import Cluster
from tests.cluster.embedded import EmbeddedCluster
from tests.cluster.nats import NatsServer
from tests.cluster.process import Supervisor

SIDE_BY_SIDE = 6


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("chaos").addoption(
        "--chaos-full", action="store_true", help="let a fault strike at every write instead of at some drawn ones"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    struck = add_up(report for reports in terminalreporter.stats.values() for report in reports)
    if struck:
        terminalreporter.write_line(f"chaos: {struck} faults struck")


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    return build_count(record_property)


@pytest.fixture(scope="session")
def draw(request: pytest.FixtureRequest) -> Draw:
    # The option is known only where this folder was named to pytest.
    return Draw(everything=request.config.getoption("--chaos-full", default=False), seed=read_commit())


def require_embedded(cluster: Cluster) -> None:
    if not isinstance(cluster, EmbeddedCluster):
        pytest.skip("an existing cluster gives no audit log to count Pods in")


@pytest.fixture(scope="module")
def program() -> Sequence[str]:
    """The supervisor that forks the operator."""
    return PROGRAM


@pytest.fixture(scope="module")
def stage(
    cluster: Cluster, nats: NatsServer, tmp_path_factory: pytest.TempPathFactory, program: Sequence[str]
) -> Iterator[Stage]:
    require_embedded(cluster)
    folder, namespace = tmp_path_factory.mktemp("stage"), f"chaos-{secrets.token_hex(3)}"
    with (
        Supervisor("vapora-operators-", program=program) as supervisor,
        set_stage(cluster, nats, folder, namespace, supervisor=supervisor) as ready,
    ):
        yield ready


@pytest.fixture(scope="module")
def stages(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    require_embedded(cluster)
    with set_stages(cluster, tmp_path_factory.mktemp("stages"), SIDE_BY_SIDE) as ready:
        yield ready


@pytest.fixture(scope="module")
def undisturbed(stages: Stages) -> Undisturbed:
    return stages.perform_undisturbed()
