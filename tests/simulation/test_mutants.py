"""Planted bugs: the simulation is worth as much as what it finds.

Each patch names the seed that found it last, which is played first; `python -m tests.simulation.hunt` finds it anew.
"""

import pytest
from tests.simulation.hunt import SEEDS, hunt, list_mutants

MUTANTS = {mutant.name: mutant for mutant in list_mutants()}


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_planted_bug_is_found(name: str) -> None:
    mutant = MUTANTS[name]
    found = hunt(mutant, mutant.seeds)
    assert found is not None, f"none of {len(SEEDS)} seeds finds it"
    print(f"{name}: seed {found.seed}, after {found.played} others: {found.words}")


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 20
