"""What the benchmark makes of pools and of the tasks of their agents."""

import math

from bench.audit import Write
from bench.pools import Crossing, PoolLoad, judge_decisions
from bench.rig import OPERATOR_USER
from bench.tasks import TaskLoad, Work, count_work


def patch(pool: str, at: float, *, user: str = OPERATOR_USER, resource: str = "deployments") -> Write:
    name = f"agentpool-{pool}"
    return Write(user, "patch", resource, "bench", name, 200, received=at - 0.01, answered=at)


def test_a_decision_is_the_first_write_of_the_operator_after_the_crossing():
    crossings = [Crossing("a", 10.0), Crossing("b", 20.0), Crossing("c", 30.0, rises=False)]
    writes = [patch("a", 9.0), patch("a", 12.0), patch("a", 19.0), patch("b", 21.0), patch("c", 33.0)]
    found = judge_decisions(crossings, writes)
    assert found == {
        "crossings": 3,
        "undecided": 0,
        "p95_growth_seconds": 2.0,
        "latest_decision_seconds": 3.0,
    }


def test_what_others_write_and_what_is_written_elsewhere_decides_nothing():
    writes = [patch("a", 11.0, user="kwok"), patch("a", 11.0, resource="deployments/status")]
    found = judge_decisions([Crossing("a", 10.0)], writes)
    assert found["undecided"] == 1
    assert math.isnan(float(str(found["latest_decision_seconds"])))


def test_every_other_pool_that_crosses_has_an_agent_to_lose():
    load = PoolLoad(pools=100, seconds=120)
    assert load.crossings == 10
    replicas = [pool["spec"]["replicas"] for pool in load.build()]
    assert replicas == [1, 2] * 5 + [1] * 90


def test_work_is_counted_by_task_and_by_id():
    lines = ["u/each/0/1 p 1", "u/each/1/1 p 1", "u/each/1/1 q 2", "u/each/2/1 p 1", "u/each/2/2 p 1"]
    assert count_work(lines, ["u"], 4) == Work(done=3, two_ids=1, repeated=1)


def test_all_tasks_are_items_of_the_workflows():
    load = TaskLoad(tasks=5000, agents=20)
    items = [len(w["spec"]["steps"][0]["forEach"]["items"]) for w in load.build_workflows()]
    assert sum(items) == load.tasks
