"""Workflows in the engine: what is written when, in which order, and what a killed operator leaves to the next."""

from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.cluster import DEVELOPERS, Cluster, task_of
from tests.unit.workflow.world import agent_step, run_step

from vapora.controller.ports import ApiError
from vapora.core.plan import Key

W = Key("Workflow", "default", "w")


# What is written, and when.


@in_virtual_time
async def test_a_quick_step_costs_one_pod_one_status_write_and_one_release() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())
        writes = [row for row in cluster.requests if row[0] != "list" and row[1] != "Event"]
        assert writes == [("create", "Pod"), ("patch", "Workflow"), ("patch", "Pod")]
        assert cluster.condition("Recorded") == "True Recorded"


@in_virtual_time
async def test_progress_is_written_a_while_later_and_rests_on_a_revision() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"), run_step("b"), maxParallel=7)
        await cluster.until(lambda: cluster.count("create", "Pod") == 2)
        assert cluster.status == {}
        await cluster.until(lambda: cluster.status, seconds=0.5)
        revision = cluster.api.find("ControllerRevision", cluster.status["revision"])
        assert revision["data"]["spec"]["maxParallel"] == 7
        assert cluster.requests.index(("create", "ControllerRevision")) < cluster.requests.index(("patch", "Workflow"))


@in_virtual_time
async def test_progress_of_one_workflow_is_written_at_most_four_times_a_second() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(*[run_step(f"s{number}") for number in range(20)], maxParallel=1)
        for number in range(19):
            await cluster.end_pod(f"s{number}")
        seconds = cluster.clock.monotonic()
        assert cluster.count("create", "Pod") >= 19
        assert cluster.count("patch", "Workflow") <= seconds * 4 + 1


@in_virtual_time
async def test_events_tell_only_what_is_written() -> None:
    async with Cluster().operated() as cluster:
        told = list[tuple[str, str]]()

        def note(verb: str, key: Key) -> None:
            if (verb, key.kind) == ("create", "Event"):
                told.append((key.name, cluster.phase))

        cluster.after = note
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: len(told) == 2)
        assert [phase for _, phase in told] == ["Succeeded", "Succeeded"]
        reasons = [event["reason"] for event in cluster.api.all("Event")]
        assert sorted(reasons) == ["WorkflowStarted", "WorkflowSucceeded"]


@in_virtual_time
async def test_a_status_that_cannot_be_written_tells_no_event_and_is_written_later() -> None:
    async with Cluster().operated() as cluster:
        troubled = [True]

        def trouble(verb: str, key: Key) -> None:
            if troubled[0] and (verb, key.kind) == ("patch", "Workflow"):
                raise refuse(500)

        cluster.before = trouble
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.clock.sleep(1)
        assert (cluster.status, cluster.api.all("Event"), cluster.held_pods()) == ({}, [], ["a"])
        troubled[0] = False
        await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())
        assert cluster.count("create", "Pod") == 1


@in_virtual_time
async def test_a_workflow_at_rest_costs_nothing() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())
        await cluster.clock.sleep(5)
        known = len(cluster.requests)
        cluster.operator.queue.add(W)
        await cluster.clock.sleep(5)
        assert len(cluster.requests) == known
        assert cluster.operator.workflows._runs.count == 0


@in_virtual_time
async def test_a_workflow_that_was_at_rest_before_the_start_is_left_alone() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())
        known = len(cluster.requests)
        await cluster.restart()
        await cluster.clock.sleep(5)
        assert len(cluster.requests) == known


# What comes first.


@in_virtual_time
async def test_a_task_is_given_out_after_its_revision_the_finalizer_and_its_assignment_are_durable() -> None:
    async with Cluster().operated() as cluster:
        seen = []

        def look(task: str) -> None:
            row = cluster.step("t")
            seen.append((task, row["state"], row["assignment"]["pool"], row["effect"], row["tries"]))
            assert cluster.workflow["metadata"]["finalizers"] == ["vapora.dev/cleanup"]
            assert cluster.api.find("ControllerRevision", cluster.status["revision"]) is not None

        cluster.broker.before = look
        cluster.submit(agent_step("t"))
        await cluster.until(lambda: cluster.broker.tasks)
        assert seen == [(task_of(cluster, "t"), "Starting", "developers", 1, 1)]


@in_virtual_time
async def test_an_answer_is_durable_before_a_dependent_starts_and_before_it_is_acknowledged() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(agent_step("t", outputs=["n"]), run_step("b", dependsOn=["t"]))
        await cluster.until(lambda: cluster.broker.tasks)

        def look(verb: str, key: Key) -> None:
            if (verb, key.kind) == ("create", "Pod"):
                assert cluster.step("t")["outputs"] == {"n": 1}

        cluster.before = look
        cluster.answer(task_of(cluster, "t"), output={"n": 1})
        await cluster.end_pod("b")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert cluster.acknowledged == [task_of(cluster, "t")]
        assert cluster.graph.outcomes() == {"t//1": "success", "b//1": "success"}


@in_virtual_time
async def test_a_task_that_the_broker_did_not_take_is_given_out_when_it_is_back() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(agent_step("t"))
        cluster.broker.problem = "connection refused"
        await cluster.until(lambda: cluster.step("t").get("reason") == "BrokerUnavailable")
        cluster.broker.problem = None
        await cluster.until(lambda: cluster.broker.tasks, seconds=10)
        await cluster.until(lambda: cluster.step("t")["state"] == "Running")


@in_virtual_time
async def test_a_step_that_waits_for_a_pool_goes_on_when_one_turns() -> None:
    async with Cluster().operated() as cluster:
        cluster.pools = []
        cluster.submit(agent_step("t"))
        await cluster.until(lambda: cluster.operator.assigning.list_waiting("default") == [W])
        cluster.pools = [DEVELOPERS]
        cluster.operator.queue.add(W)
        await cluster.until(lambda: cluster.broker.tasks)
        await cluster.until(lambda: cluster.operator.assigning.list_waiting("default") == [])


@in_virtual_time
async def test_a_try_that_waits_for_a_pool_is_woken_too() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(agent_step("t", retry={"initialDelay": "1s"}))
        await cluster.until(lambda: cluster.broker.tasks)
        cluster.pools = []
        cluster.answer(task_of(cluster, "t"), "failure", error={"message": "tests are red"})
        await cluster.until(lambda: cluster.operator.assigning.list_waiting("default") == [W])
        cluster.pools = [DEVELOPERS]
        cluster.operator.queue.add(W)
        await cluster.until(lambda: task_of(cluster, "t", effect=2) in cluster.broker.tasks)


# What goes wrong on the way.


@in_virtual_time
async def test_a_conflict_is_decided_anew_and_never_shown() -> None:
    async with Cluster(lag=0.5).operated() as cluster:
        cluster.submit(run_step("a"), run_step("b"))
        await cluster.until(lambda: cluster.count("create", "Pod") == 2)
        cluster.api.change(W, {"metadata": {"annotations": {"team": "data"}}})
        await cluster.until(lambda: cluster.step("a"), seconds=2)
        assert cluster.operator.meter.seen["reconciled", "Workflow", "conflict"] >= 1
        assert "onflict" not in str(cluster.status)
        await cluster.end_pod("a")
        await cluster.end_pod("b")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert cluster.count("create", "Pod") == 2


@in_virtual_time
async def test_a_child_that_is_refused_is_told_at_once_and_tried_again_after_its_delay() -> None:
    async with Cluster().operated() as cluster:
        is_full = [True]

        def limit(verb: str, key: Key) -> None:
            if is_full[0] and (verb, key.kind) == ("create", "Pod"):
                raise ApiError("exceeded quota: pods", status=403, reason="Forbidden")

        cluster.before = limit
        cluster.submit(run_step("a", retry={"initialDelay": "5s"}))
        await cluster.until(lambda: cluster.step("a"), seconds=1)
        row = cluster.step("a")
        assert (row["state"], row["reason"], row["message"]) == ("Retrying", "AdmissionRefused", "exceeded quota: pods")
        assert cluster.count("create", "Pod") == 1
        is_full[0] = False
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert cluster.step("a")["tries"] == 2


@in_virtual_time
async def test_where_one_item_is_refused_for_good_its_siblings_stop_before_anything_follows() -> None:
    async with Cluster().operated() as cluster:
        made: list[str] = []

        def refuse_third(verb: str, key: Key) -> None:
            if (verb, key.kind) == ("create", "Pod"):
                made.append(key.name)
                if len(made) == 3:
                    raise ApiError("exceeded quota: pods", status=403, reason="Forbidden")

        cluster.before = refuse_third
        fan = run_step("f", forEach={"items": [0, 1, 2]}, retry={"infrastructureAttempts": 1}, onFailure="continue")
        cluster.submit(fan, run_step("after", edges=[{"name": "f", "type": "soft"}]))
        await cluster.until(lambda: len(made) == 4, seconds=60)
        running = [pod for pod in cluster.api.all("Pod") if "deletionTimestamp" not in pod["metadata"]]
        assert [pod["metadata"]["labels"]["vapora.dev/step"] for pod in running] in ([], ["after"])


@in_virtual_time
async def test_a_child_that_a_busy_server_refused_is_asked_for_again_as_the_same_try() -> None:
    async with Cluster().operated() as cluster:
        refusals = [3]

        def be_busy(verb: str, key: Key) -> None:
            if (verb, key.kind) == ("create", "Pod") and refusals[0]:
                refusals[0] -= 1
                raise refuse(500)

        cluster.before = be_busy
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert (cluster.step("a")["tries"], len(cluster.api.all("Pod"))) == (1, 1)


@in_virtual_time
async def test_a_child_whose_creation_was_not_answered_is_not_made_twice() -> None:
    async with Cluster().operated() as cluster:
        lost = [True]

        def lose(verb: str, key: Key) -> None:
            if (verb, key.kind) == ("create", "Pod") and lost[0]:
                lost[0] = False
                raise refuse(0)

        cluster.after = lose
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert (cluster.step("a")["tries"], len(cluster.api.all("Pod"))) == (1, 1)


@in_virtual_time
async def test_a_child_that_could_not_be_let_go_is_let_go_later() -> None:
    async with Cluster().operated() as cluster:
        refusals = [3]

        def be_busy(verb: str, key: Key) -> None:
            if (verb, key.kind) == ("patch", "Pod") and refusals[0]:
                refusals[0] -= 1
                raise refuse(500)

        cluster.before = be_busy
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())
        assert cluster.condition("Recorded") == "True Recorded"
