"""Planted bugs: the simulation is worth as much as what it finds. A few are drawn by the commit, or all on request."""

import time
from pathlib import Path

import pytest
from tests.chaos.draw import Draw, read_commit
from tests.simulation.hunt import Mutant, hunt, list_mutants

MUTANTS = {mutant.name: mutant for mutant in list_mutants()}
SEEDS = range(10_000)
DRAWN = 4
BUDGET = 60.0  # seconds for the drawn ones together


@pytest.fixture(scope="module")
def deadline(request: pytest.FixtureRequest) -> float:
    return float("inf") if request.config.getoption("--all-mutants") else time.monotonic() + BUDGET


@pytest.fixture(scope="module")
def drawn(request: pytest.FixtureRequest) -> set[str]:
    chance = Draw(everything=request.config.getoption("--all-mutants"), seed=read_commit())
    return set(chance.choose(sorted(MUTANTS), DRAWN))


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_planted_bug_is_found(name: str, drawn: set[str], deadline: float, tmp_path: Path) -> None:
    if name not in drawn:
        pytest.skip("another was drawn")
    found = None
    for first in range(SEEDS.start, SEEDS.stop, 500):
        if (found := _hunt(MUTANTS[name], tmp_path / str(first), range(first, first + 500))) is not None:
            break
        if time.monotonic() > deadline:
            pytest.skip(f"the time was over after {first + 500} seeds")
    assert found is not None, "no seed finds it"
    print(f"{name}: seed {found[0]}: {found[1]}")


def _hunt(mutant: Mutant, folder: Path, seeds: range) -> tuple[int, str] | None:
    folder.mkdir()
    return hunt(mutant, folder, seeds)


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 20
