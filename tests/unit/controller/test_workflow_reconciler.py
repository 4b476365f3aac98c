"""Workflows in the engine: what is written when, in which order, and what a killed operator leaves to the next."""

import pytest
from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.cluster import DEVELOPERS, Cluster
from tests.unit.workflow.world import agent_step, run_step

from vapora.controller.ports import ApiError
from vapora.core.plan import Key

W = Key("Workflow", "default", "w")


def task_of(cluster: Cluster, step: str, item: int = 0, effect: int = 1) -> str:
    return f"{cluster.workflow['metadata']['uid']}/{step}/{item}/{effect}"


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
        assert cluster.operator.workflows._runs == {}


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
        await cluster.until(lambda: cluster.operator.workflows.waiting_for_pool == {W})
        cluster.pools = [DEVELOPERS]
        cluster.operator.queue.add(W)
        await cluster.until(lambda: cluster.broker.tasks)
        await cluster.until(lambda: cluster.operator.workflows.waiting_for_pool == set())


@in_virtual_time
async def test_a_try_that_waits_for_a_pool_is_woken_too() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(agent_step("t", retry={"initialDelay": "1s"}))
        await cluster.until(lambda: cluster.broker.tasks)
        cluster.pools = []
        cluster.answer(task_of(cluster, "t"), "failure", error={"message": "tests are red"})
        await cluster.until(lambda: cluster.operator.workflows.waiting_for_pool == {W})
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


# A spec that changes.


@in_virtual_time
async def test_a_spec_that_is_corrected_before_anything_started_runs_as_corrected() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a", when="1 +"))
        await cluster.until(lambda: cluster.condition("Stalled") == "True InvalidSpec")
        assert cluster.count("create", "Pod") == 0
        cluster.api.change(W, {"spec": {"steps": [run_step("b")]}})
        await cluster.end_pod("b")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert (cluster.condition("Stalled"), list(cluster.status["steps"])) == ("", ["b"])


async def begin_and_change(cluster: Cluster) -> None:
    """Has a run of two steps begin, and changes its second step."""
    cluster.submit(run_step("a"), run_step("b", dependsOn=["a"]))
    await cluster.until(lambda: cluster.step("a"))
    cluster.api.change(W, {"spec": {"steps": [run_step("a"), run_step("c", dependsOn=["a"])]}})
    await cluster.until(lambda: cluster.condition("SpecOutdated") == "True SpecChanged")


@pytest.mark.parametrize("restarts", [False, True], ids=["in one life", "over a restart"])
def test_a_run_that_has_begun_keeps_its_spec_and_says_so(restarts: bool) -> None:
    @in_virtual_time
    async def story() -> None:
        async with Cluster().operated() as cluster:
            await begin_and_change(cluster)
            if restarts:
                await cluster.restart()
            await cluster.end_pod("a")
            await cluster.end_pod("b")
            await cluster.until(lambda: cluster.phase == "Succeeded")
            assert list(cluster.status["steps"]) == ["a", "b"]
            assert cluster.condition("SpecOutdated") == "True SpecChanged"

    story()


@in_virtual_time
async def test_a_spec_that_is_changed_back_is_outdated_no_more() -> None:
    async with Cluster().operated() as cluster:
        await begin_and_change(cluster)
        cluster.api.change(W, {"spec": {"steps": [run_step("a"), run_step("b", dependsOn=["a"])]}})
        await cluster.until(lambda: cluster.condition("SpecOutdated") == "")


@pytest.mark.parametrize("restarts", [False, True], ids=["in one life", "over a restart"])
def test_a_finished_workflow_whose_spec_changes_only_says_so(restarts: bool) -> None:
    @in_virtual_time
    async def story() -> None:
        async with Cluster().operated() as cluster:
            cluster.submit(run_step("a"))
            await cluster.end_pod("a")
            await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())
            if restarts:
                await cluster.restart()
            cluster.api.change(W, {"spec": {"steps": [run_step("a"), run_step("b")]}})
            await cluster.until(lambda: cluster.condition("SpecOutdated") == "True SpecChanged")
            assert (cluster.status["progress"], cluster.status["observedGeneration"]) == ("1/1", 2)
            cluster.api.change(W, {"spec": {"steps": [run_step("a")]}})
            await cluster.until(lambda: cluster.condition("SpecOutdated") == "")
            assert (cluster.phase, cluster.count("create", "Pod")) == ("Succeeded", 1)

    story()


@in_virtual_time
async def test_a_run_whose_revision_is_gone_says_so_and_can_be_deleted() -> None:
    async with Cluster().operated() as cluster:
        await begin_and_change(cluster)
        cluster.api.remove(Key("ControllerRevision", "default", cluster.status["revision"]))
        await cluster.restart()
        await cluster.until(lambda: cluster.condition("Stalled") == "True SpecChanged")
        cluster.api.remove(W)
        await cluster.until(lambda: cluster.api.find("Workflow", "w") is None)


# The knowledge graph.


@in_virtual_time
async def test_children_and_answers_are_kept_until_the_graph_has_what_they_tell() -> None:
    async with Cluster().operated() as cluster:
        cluster.graph.problem = "disk full"
        cluster.submit(run_step("a"), agent_step("t"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.broker.tasks)
        cluster.answer(task_of(cluster, "t"))
        await cluster.until(lambda: cluster.phase == "Succeeded")
        await cluster.clock.sleep(30)
        assert (cluster.held_pods(), cluster.acknowledged) == (["a"], [])
        assert cluster.condition("Recorded") == "False Pending"
        assert cluster.condition("LearningAvailable") == "False GraphUnavailable"
        cluster.graph.problem = None
        await cluster.until(lambda: cluster.condition("Recorded") == "True Recorded")
        await cluster.until(lambda: not cluster.held_pods() and cluster.acknowledged)
        assert cluster.graph.outcomes() == {"a//1": "success", "t//1": "success"}


@in_virtual_time
async def test_what_a_killed_operator_had_not_recorded_the_next_one_records() -> None:
    async with Cluster().operated() as cluster:
        cluster.graph.problem = "disk full"
        cluster.submit(run_step("a"), agent_step("t"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.broker.tasks)
        cluster.answer(task_of(cluster, "t"))
        await cluster.until(lambda: cluster.phase == "Succeeded")
        await cluster.kill()
        cluster.graph.problem = None
        cluster.start()
        await cluster.until(lambda: not cluster.held_pods() and cluster.acknowledged)
        assert cluster.graph.outcomes() == {"a//1": "success", "t//1": "success"}
        assert cluster.condition("Recorded") == "True Recorded"


@in_virtual_time
async def test_recorded_is_not_said_before_the_graph_has_everything_also_after_a_restart() -> None:
    async with Cluster().operated() as cluster:
        cluster.graph.problem = "disk full"
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        said = set[str]()
        cluster.after = lambda verb, key: said.add(cluster.condition("Recorded"))
        await cluster.restart()
        await cluster.clock.sleep(30)
        assert said <= {"False Pending", ""}
        cluster.graph.problem = None
        await cluster.until(lambda: cluster.condition("Recorded") == "True Recorded" and not cluster.held_pods())


@in_virtual_time
async def test_executions_that_the_outbox_had_no_room_for_are_handed_over_again() -> None:
    cluster = Cluster()
    cluster.graph_room = 1
    async with cluster.operated():
        cluster.graph.problem = "busy"
        cluster.submit(agent_step("t", timeout="2s", retry={"maxAttempts": 2, "initialDelay": "1s"}))
        await cluster.until(lambda: cluster.phase == "Failed")
        cluster.graph.problem = None
        await cluster.until(lambda: cluster.condition("Recorded") == "True Recorded")
        assert cluster.graph.outcomes() == {"t//1": "failure", "t//2": "failure"}


@in_virtual_time
async def test_a_late_success_replaces_the_failure_that_was_recorded() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(agent_step("t", timeout="2s", retry={"initialDelay": "30s"}))
        await cluster.until(lambda: cluster.graph.outcomes() == {"t//1": "failure"})
        cluster.answer(task_of(cluster, "t"))
        await cluster.until(lambda: cluster.phase == "Succeeded")
        await cluster.until(lambda: cluster.graph.outcomes() == {"t//1": "success"})


@in_virtual_time
async def test_without_a_graph_children_are_let_go_as_soon_as_their_end_is_written() -> None:
    async with Cluster(graph=False).operated() as cluster:
        cluster.submit(run_step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())
        assert cluster.condition("Recorded") == ""


# Ends and restarts.


@in_virtual_time
async def test_a_workflow_goes_on_where_a_killed_operator_left_it_without_doing_anything_twice() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"), agent_step("t", dependsOn=["a"]), run_step("b", dependsOn=["t"]))
        await cluster.until(lambda: cluster.count("create", "Pod") == 1)
        await cluster.restart()
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.broker.tasks)
        await cluster.restart()
        cluster.answer(task_of(cluster, "t"))
        await cluster.restart()
        await cluster.end_pod("b")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert len(cluster.api.all("Pod")) == 2
        assert list(cluster.broker.tasks) == [task_of(cluster, "t")]


@in_virtual_time
async def test_cancel_by_annotation_stops_children_and_tasks() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"), agent_step("t"))
        await cluster.until(lambda: cluster.broker.tasks and cluster.step("t").get("state") == "Running")
        cluster.api.change(W, {"metadata": {"annotations": {"vapora.dev/request": "cancel 1"}}})
        await cluster.until(lambda: cluster.broker.cancelled)
        await cluster.end_pod("a", exit_code=143)
        cluster.answer(task_of(cluster, "t"), "cancelled")
        await cluster.until(lambda: cluster.phase == "Cancelled")
        assert cluster.status["handledRequest"] == "cancel 1"
        assert cluster.graph.outcomes() == {"a//1": "cancelled", "t//1": "cancelled"}


@in_virtual_time
async def test_deleting_a_workflow_calls_its_tasks_back_before_it_goes() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(agent_step("t"))
        await cluster.until(lambda: cluster.step("t").get("state") == "Running")
        task = task_of(cluster, "t")
        cluster.api.remove(W)
        await cluster.until(lambda: cluster.api.find("Workflow", "w") is None)
        assert cluster.broker.cancelled == [task]


@in_virtual_time
async def test_deleting_a_workflow_lets_its_children_go_with_it() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"))
        await cluster.until(lambda: cluster.api.all("Pod"))
        cluster.api.remove(W)
        await cluster.until(lambda: not cluster.api.all("Pod"))
        assert cluster.api.find("Workflow", "w") is None


@in_virtual_time
async def test_a_new_workflow_of_the_same_name_is_another_run() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"))
        await cluster.until(lambda: cluster.step("a"))
        cluster.api.remove(W)
        cluster.submit(run_step("a"))
        await cluster.until(lambda: len(cluster.api.all("Pod")) == 1 and cluster.step("a"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert cluster.step("a")["tries"] == 1
