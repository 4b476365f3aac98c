"""What the benchmark makes of its runs."""

import pytest
from bench.report import average, judge, measure_noise
from bench.run import find_percentile


def summary(*, others: float = 0.0, **one_step: float) -> dict:
    held = {"duplicates": 0, "lost": 0, "unrecorded": 0, "operator_writes_per_workflow": 4, "ratio_to_bare_pods": 0.5}
    load = {**held, "others_cpu_share": others, **one_step}
    return {"one_step": load, "noise": measure_noise([{"one_step": load}])}


def verdicts(given: dict, *, only_counts: bool = False) -> dict[str, str]:
    return {limit.figure: verdict for limit, _, verdict in judge(given, only_counts=only_counts)}


def test_figures_are_averaged_and_faults_added_up():
    runs = [{"load": {"seconds": 1.0, "lost": 0}}, {"load": {"seconds": 2.0, "lost": 1}}]
    assert average(runs) == {"load": {"seconds": 1.5, "lost": 1}}


def test_a_figure_that_a_run_lacks_counts_as_nothing():
    assert average([{"writes": {"create pods": 2}}, {"writes": {}}]) == {"writes": {"create pods": 1.0}}


def test_what_held_in_some_runs_alone_did_not_hold():
    assert average([{"has_settled": True}, {"has_settled": False}]) == {"has_settled": False}


def test_a_broken_limit_is_said():
    assert verdicts(summary(ratio_to_bare_pods=0.3))["ratio_to_bare_pods"] == "BROKEN"
    assert verdicts(summary())["ratio_to_bare_pods"] == "held"


def test_rates_of_a_noisy_run_are_not_judged_but_counts_are():
    judged = verdicts(summary(others=0.2, ratio_to_bare_pods=0.3, duplicates=1))
    assert judged["ratio_to_bare_pods"] == "not judged"
    assert judged["duplicates"] == "BROKEN"


def test_a_short_run_is_judged_by_counts_alone():
    assert set(verdicts(summary(), only_counts=True)) == {
        "duplicates",
        "lost",
        "unrecorded",
        "operator_writes_per_workflow",
    }


@pytest.mark.parametrize(("percent", "want"), [(50, 2), (99, 4), (1, 1)])
def test_a_percentile_is_one_of_the_values(percent: int, want: int):
    assert find_percentile([4, 1, 3, 2], percent) == want
