"""The stage of the chaos tests, what comes of workflows on it when nothing happens, and the draw of faults."""

import secrets
from collections.abc import Iterator

import pytest
from tests.chaos.draw import Draw, read_commit
from tests.chaos.stage import Stage, Undisturbed, set_stage
from tests.cluster.access import Cluster
from tests.cluster.embedded import EmbeddedCluster
from tests.cluster.nats import NatsServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("chaos").addoption(
        "--chaos-full", action="store_true", help="let a fault strike at every write instead of at some drawn ones"
    )


@pytest.fixture(scope="session")
def draw(request: pytest.FixtureRequest) -> Draw:
    # The option is known only where this folder was named to pytest.
    return Draw(everything=request.config.getoption("--chaos-full", default=False), seed=read_commit())


@pytest.fixture(scope="module")  # its operator looks at all namespaces, so also at those of the next file's tests
def stage(cluster: Cluster, nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if not isinstance(cluster, EmbeddedCluster):
        pytest.skip("an existing cluster gives no audit log to count Pods in")
    namespace = f"chaos-{secrets.token_hex(3)}"
    with set_stage(cluster, nats, tmp_path_factory.mktemp("stage"), namespace) as ready:
        yield ready


@pytest.fixture(scope="module")
def undisturbed(stage: Stage) -> Undisturbed:
    return stage.perform_undisturbed()
