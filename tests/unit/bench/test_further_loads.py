"""What the benchmark makes of rising rates, of leaders that are ended, and of an hour of work."""

import pytest
from bench.audit import Write
from bench.failover import summarize
from bench.loads import build_one_step
from bench.ramp import RATES, measure_stages, split
from bench.rig import OPERATOR_USER
from bench.soak import Look, build_round, judge_looks, measure_drift

from vapora.core.naming import NO_ITEM, child_name


def test_each_rate_is_judged_by_its_own_workflows():
    load = build_one_step(len(RATES))
    names = [str(obj["metadata"]["name"]) for obj in load.workflows]
    uids = {name: f"uid-{name}" for name in names}
    writes = []
    for place, name in enumerate(names):
        pod = child_name(name, uids[name], "run", NO_ITEM, 1)
        writes.append(Write("admin", "create", "workflows", "bench", name, 201, received=10.0, answered=10.0))
        answered = 10.0 + 0.1 * (place + 1)
        writes.append(Write(OPERATOR_USER, "create", "pods", "bench", pod, 201, received=10.0, answered=answered))
    found = measure_stages(writes, load, [1] * len(RATES), uids)
    waits = {
        place: pytest.approx(100.0 * (number + 1)) for number, place in enumerate(f"at {r} a second" for r in RATES)
    }
    assert found == {"p50_ready_to_child_ms": waits, "p99_ready_to_child_ms": waits}


def test_stages_share_the_workflows_among_them():
    load = build_one_step(6)
    assert [len(stage) for stage in split(load.workflows, [1, 2, 3])] == [1, 2, 3]


def test_taking_over_is_told_by_how_the_leader_ended():
    assert summarize({"kill -9": [10.0, 14.0], "SIGTERM": [0.5, 0.7]}) == {
        "most_seconds_after_kill_9": 14.0,
        "mean_seconds_after_kill_9": 12.0,
        "most_seconds_after_SIGTERM": 0.7,
        "mean_seconds_after_SIGTERM": 0.6,
    }


DRIFTS = {
    "nothing changes": ([100.0] * 5, 0.0),
    "it grows by a tenth of its mean": ([95.0, 97.5, 100.0, 102.5, 105.0], 0.1),
    "it swings without a trend": ([100.0, 120.0, 100.0, 120.0, 100.0], 0.0),
    "there was nothing at any time": ([0.0] * 5, 0.0),
}


@pytest.mark.parametrize("case", DRIFTS)
def test_drift_is_what_the_trend_brings(case: str):
    values, drift = DRIFTS[case]
    assert measure_drift([0.0, 10.0, 20.0, 30.0, 40.0], values) == pytest.approx(drift)


def test_the_first_quarter_of_the_time_does_not_count():
    looks = [Look(float(at), 50.0 if at < 25 else 100.0, 1.0) for at in range(0, 101, 5)]
    found = judge_looks(looks)
    assert (found["rss_mib_first"], found["rss_drift"]) == (100.0, 0.0)


def test_a_round_has_every_kind_of_work_and_all_of_it_expires():
    objects = list(build_round(7))
    names = [obj["metadata"]["generateName"] for obj in objects]
    bodies = {
        body for obj in objects for step in obj["spec"]["steps"] for body in ("run", "agent", "wait") if body in step
    }
    assert len(set(names)) == len(objects)
    assert bodies == {"run", "agent", "wait"}
    assert all(obj["spec"]["ttlAfterFinished"] for obj in objects)
