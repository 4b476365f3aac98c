"""Thousands of runs of the whole engine, each with its own workflow, fate, weather and schedule.

A seed that fails is told with its number: `python -m tests.simulation --story SEED` tells what happened.
"""

import json
from collections.abc import Callable

import pytest
from tests.simulation.report import play_range
from tests.simulation.run import Run, draw_plot
from tests.simulation.strikes import check_table

SEEDS = range(4_000)  # more by hand: `python -m tests.simulation` plays as many as one likes
PART, SIZE = "simulation", 200


@pytest.mark.parametrize("first", range(SEEDS.start, SEEDS.stop, SIZE))
def test_no_seed_breaks_an_invariant(first: int, record_property: Callable[[str, object], None]) -> None:
    report = play_range(range(first, first + SIZE))
    record_property(PART, json.dumps(report.to_json()))
    assert report.failures == {}


@pytest.mark.parametrize("seed", range(0, 200, 20))
def test_a_seed_replays_exactly(seed: int) -> None:
    stories = []
    for _ in range(2):
        run = Run(seed, draw_plot(seed), tells=True)
        run.play()
        stories.append((run.trace, run.status, run.seen))
    assert stories[0] == stories[1]


def test_every_fault_of_the_table_strikes() -> None:
    check_table()
