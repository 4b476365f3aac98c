"""Workflows over their whole life: specs that change, what the graph has to take first, ends and restarts."""

import copy

import pytest
from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.cluster import Cluster, task_of
from tests.unit.workflow.world import agent_step, run_step

from vapora.core.plan import Key

W = Key("Workflow", "default", "w")

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
    """Has a run of two steps begin, and changes the first, which has started, and the name of the second."""
    cluster.submit(run_step("a"), run_step("b", dependsOn=["a"]))
    await cluster.until(lambda: cluster.step("a"))
    changed = run_step("a", run={"image": "another"})
    cluster.api.change(W, {"spec": {"steps": [changed, run_step("c", dependsOn=["a"])]}})
    await cluster.until(lambda: cluster.condition("SpecOutdated") == "True StepPinned")


@pytest.mark.parametrize("restarts", [False, True], ids=["in one life", "over a restart"])
def test_a_step_that_has_started_keeps_its_spec_and_the_others_follow(restarts: bool) -> None:
    @in_virtual_time
    async def story() -> None:
        async with Cluster().operated() as cluster:
            await begin_and_change(cluster)
            if restarts:
                await cluster.restart()
            await cluster.end_pod("a")
            await cluster.end_pod("c")
            await cluster.until(lambda: cluster.phase == "Succeeded")
            assert list(cluster.status["steps"]) == ["a", "c"]
            assert cluster.count("create", "Pod") == 2

    story()


@in_virtual_time
async def test_a_spec_that_is_changed_back_is_outdated_no_more() -> None:
    async with Cluster().operated() as cluster:
        await begin_and_change(cluster)
        cluster.api.change(W, {"spec": {"steps": [run_step("a"), run_step("b", dependsOn=["a"])]}})
        await cluster.until(lambda: cluster.condition("SpecOutdated") == "")


@in_virtual_time
async def test_an_edit_to_a_task_that_nobody_knows_is_not_followed() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"), run_step("b", dependsOn=["a"]))
        await cluster.until(lambda: cluster.step("a"))
        unknown = {"name": "b", "task": {"type": "no.such"}, "dependsOn": ["a"]}
        cluster.api.change(W, {"spec": {"steps": [run_step("a"), unknown]}})
        await cluster.until(lambda: cluster.condition("SpecOutdated") == "True InvalidSpec")
        await cluster.end_pod("a")
        await cluster.end_pod("b")
        await cluster.until(lambda: cluster.phase == "Succeeded")


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
async def test_a_workflow_is_not_said_to_be_recorded_while_answers_may_still_come() -> None:
    async with Cluster().operated() as cluster:
        cluster.graph.problem = "disk full"
        cluster.submit(agent_step("t"))
        await cluster.until(lambda: cluster.broker.tasks)
        cluster.answer(task_of(cluster, "t"))
        await cluster.until(lambda: cluster.phase == "Succeeded")
        await cluster.kill()
        cluster.graph.problem = None
        late, cluster.answers = cluster.answers, {}
        cluster.start()
        cluster.operator.inbox.is_complete = False
        await cluster.clock.sleep(30)
        assert cluster.condition("Recorded") == "False Pending"
        cluster.answer(task_of(cluster, "t"), **late[task_of(cluster, "t")])
        cluster.operator.inbox.is_complete = True
        await cluster.until(lambda: cluster.condition("Recorded") == "True Recorded")
        assert cluster.graph.outcomes() == {"t//1": "success"}


@in_virtual_time
async def test_what_an_agent_did_is_recorded_before_the_status_forgets_who_did_it() -> None:
    async with Cluster().operated() as cluster:
        assert cluster.graph is not None
        cluster.graph.seconds = 0.03
        known = list[dict[str, str]]()

        def look(verb: str, key: Key) -> None:
            if (verb, key.kind) == ("patch", "Workflow") and cluster.graph and cluster.answers:
                known.append(cluster.graph.outcomes())

        cluster.submit(agent_step("t", forEach={"items": [1]}), agent_step("u", dependsOn=["t"]))
        await cluster.until(lambda: cluster.broker.tasks)
        cluster.before = look
        cluster.answer(task_of(cluster, "t"))
        await cluster.until(lambda: known)
        assert known[0] == {"t/0/1": "success"}


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
async def test_an_ended_workflow_stays_recorded_where_an_answer_comes_again() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(agent_step("t"))
        await cluster.until(lambda: cluster.broker.tasks)
        task = task_of(cluster, "t")
        cluster.answer(task)
        await cluster.until(lambda: cluster.condition("Recorded") == "True Recorded" and cluster.acknowledged)
        await cluster.kill()
        ended = cluster.workflow["metadata"]["resourceVersion"]
        cluster.graph.seconds = 1.0  # so that it is looked at while the execution is on its way
        cluster.answers[task] = {"outcome": "success"}
        cluster.start()
        while len(cluster.acknowledged) < 2:
            cluster.operator.queue.add(W)
            await cluster.clock.sleep(0.1)
        assert cluster.workflow["metadata"]["resourceVersion"] == ended


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


ONCE, TWICE = {"maxAttempts": 1}, {"maxAttempts": 2, "initialDelay": "10s"}


def state_of(cluster: Cluster, step: str) -> object:
    """The state that is written of a step; None before."""
    return cluster.status.get("steps", {}).get(step, {}).get("state")


@in_virtual_time
async def test_a_failure_that_is_known_says_so_until_the_next_try() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a", retry=TWICE), run_step("b", onFailure="continue", retry=ONCE))
        await cluster.end_pod("a", 28, "disk 3 is full")
        await cluster.until(lambda: state_of(cluster, "a") == "Retrying")
        assert "knownCause" not in cluster.status["steps"]["a"]
        writes = cluster.requests.count(("patch", "Workflow"))
        await cluster.end_pod("b", 28, "disk 7 is full")
        await cluster.until(lambda: state_of(cluster, "b") == "Failed")
        assert cluster.requests.count(("patch", "Workflow")) == writes + 1, "it is told by the write that tells the end"
        assert cluster.status["steps"]["b"]["knownCause"].startswith("seen once before, first on ")
        await cluster.restart()
        await cluster.end_pod("a", 28, "disk 9 is full")
        await cluster.until(lambda: cluster.phase == "Failed")
        assert cluster.status["steps"]["a"]["knownCause"].startswith("seen 2 times before, ")
        assert "knownCause" in cluster.status["steps"]["b"]


@in_virtual_time
async def test_an_item_that_failed_for_good_says_what_is_known_of_its_error() -> None:
    async with Cluster().operated() as cluster:
        wide = {"forEach": {"items": [1, 2], "maxParallel": 1, "failureTolerance": 2}, "retry": ONCE}
        cluster.submit(run_step("a", **wide))
        for _ in range(2):
            await cluster.end_pod("a", 28, "disk 3 is full")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        first, second = cluster.step("a")["items"]["failed"]
        assert "knownCause" not in first
        assert second["knownCause"].startswith("seen once before, first on ")


@in_virtual_time
async def test_a_graph_that_is_slow_to_explain_a_failure_holds_nothing_up() -> None:
    async with Cluster().operated() as cluster:
        cluster.graph.seconds = 30.0
        cluster.submit(run_step("a", retry={"maxAttempts": 1}))
        await cluster.end_pod("a", 1)
        await cluster.until(lambda: cluster.phase == "Failed", seconds=2.0)
        assert "knownCause" not in cluster.status["steps"]["a"]


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


@in_virtual_time
async def test_a_leader_that_comes_back_decides_by_what_is_written() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"), agent_step("t"))
        await cluster.until(lambda: cluster.step("t").get("state") == "Running")
        cluster.operator.workflows.forget_all()
        await cluster.end_pod("a")
        cluster.answer(task_of(cluster, "t"))
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert (len(cluster.api.all("Pod")), len(cluster.broker.tasks)) == (1, 1)


@in_virtual_time
async def test_nothing_that_rests_on_a_revision_is_written_before_it_could_be_made() -> None:
    async with Cluster().operated() as cluster:
        troubled = [True]

        def trouble(verb: str, key: Key) -> None:
            if troubled[0] and key.kind == "ControllerRevision":
                raise refuse(500)

        cluster.before = trouble
        cluster.submit(run_step("a"))
        await cluster.clock.sleep(2)
        assert (cluster.status, cluster.count("create", "Pod")) == ({}, 1)
        troubled[0] = False
        await cluster.until(lambda: cluster.status.get("revision"))
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded")
        assert cluster.count("create", "Pod") == 1


@in_virtual_time
async def test_a_child_that_was_let_go_is_not_lost_to_a_leader_that_sees_the_workflow_as_it_was() -> None:
    async with Cluster().operated() as cluster:
        cluster.submit(run_step("a"))
        await cluster.until(lambda: cluster.api.all("Pod"))
        [pod] = cluster.api.all("Pod")
        cluster.api.change(Key("Pod", "default", pod["metadata"]["name"]), {"status": {"phase": "Running"}})
        await cluster.until(lambda: cluster.step("a").get("state") == "Running")
        before = copy.deepcopy(cluster.workflow)
        await cluster.end_pod("a")
        await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())
        await cluster.restart()
        await cluster.clock.sleep(1)
        store = cluster.operator.store
        store.remove(W, before["metadata"]["uid"])
        store.put("Workflow", before)
        cluster.operator.queue.add(W)
        await cluster.clock.sleep(60)
        assert (cluster.phase, cluster.step("a")["tries"], len(cluster.api.all("Pod"))) == ("Succeeded", 1, 1)
        assert cluster.graph is not None
        assert cluster.graph.outcomes() == {"a//1": "success"}
