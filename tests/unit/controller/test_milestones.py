"""What is told of runs, as metrics and spans: once, when it is written, and with the same ids by whoever tells it."""

from collections import Counter

from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.cluster import DEVELOPERS, Cluster, task_of
from tests.unit.workflow.world import agent_step, run_step

from vapora.controller.ports import Conflict
from vapora.core.plan import Key
from vapora.core.workflow.tracing import Span, build_trace_id, build_traceparent


def told(cluster: Cluster, what: str) -> Counter[tuple[str, ...]]:
    return Counter({key[1:]: count for key, count in cluster.operator.meter.seen.items() if key[0] == what})


def tree(spans: list[Span]) -> dict[str, str]:
    """Every span by its name, with the name of its parent."""
    names = {span.span_id: span.name for span in spans}
    assert len(names) == len(spans)
    return {span.name: names.get(span.parent_id, "") for span in spans}


@in_virtual_time
async def test_a_run_is_told_once_with_its_steps_and_tries() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"), run_step("b", dependsOn=["a"]))
        await cluster.clock.sleep(10)
        await cluster.end_pod("a")
        await cluster.clock.sleep(20)
        await cluster.end_pod("b")
        await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())
        (((phase, seconds), count),) = told(cluster, "run").items()
        assert (phase, count) == ("Succeeded", 1)
        assert 29 <= int(seconds) <= 32
        assert told(cluster, "step").total() == 2
        assert {key[:2] for key in told(cluster, "step")} == {("run", "success")}
        assert told(cluster, "step waited").total() == 2
        assert not told(cluster, "failed")
        assert tree(cluster.spans) == {
            "attempt a": "step a",
            "step a": "workflow",
            "attempt b": "step b",
            "step b": "workflow",
            "workflow": "",
        }
        assert {span.trace_id for span in cluster.spans} == {cluster.status["traceId"]}


@in_virtual_time
async def test_a_failed_try_is_told_with_whose_fault_it_was_and_whether_it_is_retried() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a", retry={"maxAttempts": 2, "initialDelay": "1s"}))
        await cluster.end_pod("a", exit_code=3)
        await cluster.until(lambda: cluster.step("a").get("tries") == 2 or cluster.count("create", "Pod") == 2)
        await cluster.end_pod("a", exit_code=3)
        await cluster.until(lambda: cluster.phase == "Failed")
        assert told(cluster, "failed") == {
            ("run", "application", "retried"): 1,
            ("run", "application", "final"): 1,
        }
        assert [span.problem for span in cluster.spans if span.name == "attempt a"] == ["ExitCode", "ExitCode"]


@in_virtual_time
async def test_what_could_not_be_written_is_told_once_it_is() -> None:
    async with Cluster().operated() as cluster:
        refusals = [Conflict("somebody else wrote", status=409, reason="Conflict")]

        def upset(verb: str, key: Key) -> None:
            if (verb, key.kind) == ("patch", "Workflow") and refusals:
                raise refusals.pop()

        cluster.before = upset
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert refusals == []
        assert told(cluster, "step").total() == told(cluster, "run").total() == 1
        assert len(cluster.spans) == 3


@in_virtual_time
async def test_who_takes_over_goes_on_with_the_same_trace() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"), run_step("b", dependsOn=["a"]))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.step("a").get("state") == "Succeeded")
        await cluster.restart()
        await cluster.end_pod("b")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert tree(cluster.spans)["step a"] == tree(cluster.spans)["step b"] == "workflow"
        assert {span.trace_id for span in cluster.spans} == {build_trace_id(cluster.workflow["metadata"]["uid"])}
        assert told(cluster, "step").total() == 1


@in_virtual_time
async def test_an_agents_task_is_counted_and_carries_the_span_of_its_try() -> None:
    cluster = Cluster()
    cluster.pools = [DEVELOPERS]
    async with cluster.operated():
        cluster.submit(agent_step("a"))
        await cluster.until(lambda: cluster.broker.tasks)
        uid = cluster.workflow["metadata"]["uid"]
        envelope = cluster.broker.tasks[task_of(cluster, "a")]
        assert envelope["traceparent"] == build_traceparent(uid, "a", None, 1)
        cluster.answer(task_of(cluster, "a"))
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert told(cluster, "task").total() == 1
        (span,) = (span for span in cluster.spans if span.name == "attempt a")
        assert envelope["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
        assert span.attributes["vapora.pool"] == "default/developers"


@in_virtual_time
async def test_items_are_attempts_of_their_step() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a", forEach={"items": ["x", "y"]}))
        await cluster.until(lambda: cluster.count("create", "Pod") == 2)
        for pod in cluster.api.all("Pod"):
            cluster.finish_pod(pod, 0, "")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert told(cluster, "step").total() == 1
        attempts = [span for span in cluster.spans if span.name == "attempt a"]
        assert {span.attributes["vapora.item"] for span in attempts} == {0, 1}
        assert len({span.parent_id for span in attempts}) == 1
