"""What runs record decides to whom the next ones give their tasks."""

from dataclasses import replace

from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.cluster import DEVELOPERS, Cluster, task_of
from tests.unit.learning.builders import an_execution

JUNIORS = replace(DEVELOPERS, name="juniors", in_flight=5)
TASK = {"name": "t", "agent": {"role": "developer", "title": "Review the change"}, "retry": {"maxAttempts": 1}}


def remember(cluster: Cluster, pool: str, outcome: str, count: int = 20) -> None:
    """Has the graph know of former tasks of a pool."""
    assert cluster.graph is not None
    for number in range(count):
        row = an_execution(number, uid=pool, pool=f"default/{pool}", namespace="default", task_type="code-review")
        row = replace(row, outcome=outcome, finished=cluster.clock.now())
        cluster.graph.rows[row.id] = row


@in_virtual_time
async def test_the_pool_that_did_it_best_gets_the_task_although_another_has_more_room() -> None:
    cluster = Cluster()
    cluster.pools = [DEVELOPERS, JUNIORS]
    remember(cluster, "developers", "failure")
    remember(cluster, "juniors", "success")
    cluster.submit(TASK)
    async with cluster.operated():
        await cluster.until(lambda: cluster.broker.tasks)
        assigned = cluster.step("t")["assignment"]
        assert (assigned["pool"], assigned["runnerUp"], assigned["executions"]) == ("juniors", "developers", 20)
        assert cluster.operator.meter.seen["assigned", "score", "read"] == 1
        cluster.answer(task_of(cluster, "t"))
        await cluster.until(lambda: cluster.phase == "Succeeded")


@in_virtual_time
async def test_the_choice_survives_a_restart_although_other_things_are_known_by_then() -> None:
    cluster = Cluster()
    cluster.pools = [DEVELOPERS, JUNIORS]
    remember(cluster, "juniors", "success")
    cluster.submit(TASK)
    async with cluster.operated():
        await cluster.until(lambda: cluster.broker.tasks)
        before = cluster.step("t")["assignment"]
        remember(cluster, "juniors", "failure")
        await cluster.restart()
        cluster.answer(task_of(cluster, "t"))
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert cluster.step("t")["assignment"] == before
        assert len(cluster.broker.tasks) == 1


@in_virtual_time
async def test_while_the_graph_is_away_the_least_loaded_pool_gets_the_task() -> None:
    cluster = Cluster()
    cluster.pools = [DEVELOPERS, JUNIORS]
    remember(cluster, "juniors", "success")
    assert cluster.graph is not None
    cluster.graph.problem = "the disk is gone"
    cluster.submit(TASK)
    async with cluster.operated():
        await cluster.until(lambda: cluster.broker.tasks)
        assigned = cluster.step("t")["assignment"]
        assert (assigned["pool"], "score" in assigned) == ("developers", False)
        assert assigned["reason"].endswith("the history cannot be read")
        assert cluster.operator.meter.seen["assigned", "unread", "read"] == 1


@in_virtual_time
async def test_a_run_learns_from_the_one_before_it() -> None:
    cluster = Cluster()
    cluster.pools = [DEVELOPERS, replace(JUNIORS, in_flight=0)]
    steps = [{**TASK, "name": name, "onFailure": "continue"} for name in ("one", "two")]
    steps[1] = {**steps[1], "edges": [{"name": "one", "type": "soft"}]}
    cluster.submit(*steps)
    async with cluster.operated():
        await cluster.until(lambda: cluster.broker.tasks)
        assert cluster.step("one")["assignment"]["pool"] == "developers"
        cluster.answer(task_of(cluster, "one"), "failure")
        await cluster.until(lambda: len(cluster.broker.tasks) == 2)
        second = cluster.step("two")["assignment"]
        assert (second["pool"], second["runnerUp"]) == ("juniors", "developers")
        assert cluster.operator.meter.seen["assigned", "load", "read"] == 1
        assert cluster.operator.meter.seen["assigned", "score", "from memory"] == 1


@in_virtual_time
async def test_learning_costs_no_write_of_the_api() -> None:
    counts = []
    for has_graph in (False, True):
        cluster = Cluster(graph=has_graph)
        cluster.pools = [DEVELOPERS, JUNIORS]
        if has_graph:
            remember(cluster, "juniors", "success")
        cluster.submit(TASK)
        async with cluster.operated():
            await cluster.until(lambda: cluster.broker.tasks)  # noqa: B023 - awaited here
            cluster.answer(task_of(cluster, "t"))
            await cluster.until(lambda: cluster.phase == "Succeeded")  # noqa: B023
            await cluster.clock.sleep(5)
        counts.append(sum(verb not in {"get", "list"} for verb, _ in cluster.requests))
    assert counts[0] == counts[1]
