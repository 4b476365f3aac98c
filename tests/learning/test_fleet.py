"""The proof that learning pays: the simulated fleet of bench.learning, with the shipped defaults."""

import asyncio
import re
from pathlib import Path

import pytest
from bench.fleet import SEEDS
from bench.learning import Proof, build_plot, prove, write_table

DOCS = Path(__file__).parents[2] / "docs"
BASELINES = ("round robin", "least loaded")


@pytest.fixture(scope="module")
def proof() -> Proof:
    return asyncio.run(prove())


def test_the_proof_has_twenty_seeds(proof: Proof) -> None:
    assert {len(courses) for courses in proof.drifting.courses.values()} == {len(SEEDS)} == {20}


@pytest.mark.parametrize("baseline", BASELINES)
def test_learning_succeeds_more_often_than(proof: Proof, baseline: str) -> None:
    uplift = proof.drifting.uplift("learned", baseline)
    assert uplift.low > 0.05, uplift


def test_exploring_costs_less_than_it_brings_after_a_drift(proof: Proof) -> None:
    assert proof.drifting.uplift("learned", "learned, never exploring").low > 0
    assert proof.drifting.regret("learned") < proof.drifting.regret("least loaded") / 2


@pytest.mark.parametrize("baseline", BASELINES)
def test_among_equal_pools_there_is_nothing_to_gain(proof: Proof, baseline: str) -> None:
    uplift = proof.equal.uplift("learned", baseline)
    assert uplift.low <= 0 <= uplift.high, uplift


def test_from_nothing_it_is_no_worse_than_least_loaded(proof: Proof) -> None:
    assert proof.first_days.high > 0
    assert proof.first_days.low > -0.05


def test_a_pool_that_went_bad_overnight_is_soon_avoided(proof: Proof) -> None:
    assert sorted(proof.tasks_until_avoided)[len(SEEDS) // 2] <= 25
    assert max(proof.tasks_until_avoided) <= 60


def test_a_better_pool_that_joins_is_found(proof: Proof) -> None:
    assert sorted(proof.tasks_until_preferred)[len(SEEDS) // 2] <= 120


def test_the_guide_shows_what_is_found(proof: Proof) -> None:
    shown = re.search(r"<!-- fleet -->\n(.*?)<!-- /fleet -->", (DOCS / "learning.md").read_text("utf-8"), re.DOTALL)
    assert shown is not None
    assert shown[1] == write_table(proof), "run `python -m bench.learning --write`"
    assert (DOCS / "learning.svg").read_text("utf-8") == build_plot(proof)
