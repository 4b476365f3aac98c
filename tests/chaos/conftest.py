"""The stage of the chaos tests, and how many of their faults are drawn."""

import random
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from tests.chaos.stage import Stage, set_stage
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("chaos").addoption(
        "--chaos-full", action="store_true", help="let a fault strike at every write instead of at some drawn ones"
    )


class Draw:
    """Draws faults by the commit, so that each commit tries others and any draw can be repeated."""

    def __init__(self, *, everything: bool, seed: str) -> None:
        self._everything = everything
        self._seed = seed

    def choose(self, faults: Sequence[T], most: int) -> list[T]:
        """Return as many of the faults, in their order; all of them where that is asked for."""
        if self._everything or len(faults) <= most:
            return list(faults)
        chosen = random.Random(self._seed).sample(range(len(faults)), most)
        return [faults[place] for place in sorted(chosen)]


@pytest.fixture(scope="session")
def draw(request: pytest.FixtureRequest) -> Draw:
    # The option is known only where this folder was named to pytest.
    return Draw(everything=request.config.getoption("--chaos-full", default=False), seed=_read_commit())


def _read_commit() -> str:
    try:
        command = ["git", "rev-parse", "HEAD"]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def stage(cluster: Cluster, nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    namespace = f"chaos-{secrets.token_hex(3)}"
    with set_stage(cluster, nats, tmp_path_factory.mktemp("stage"), namespace) as ready:
        yield ready
