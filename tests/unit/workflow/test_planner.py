"""What a workflow does, told as stories over the pure planner."""

import json
from dataclasses import replace

import pytest
from tests.unit.workflow.world import START, World, agent_step, finished, pool, run_step

from vapora.core.gpu.vocabulary import load_vocabulary
from vapora.core.supported import SpecProblem
from vapora.core.workflow.observed import Surroundings
from vapora.core.workflow.results import AgentResult


def test_one_step_runs_and_the_workflow_succeeds_with_one_child() -> None:
    world = World({"steps": [run_step("a")]})
    world.settle()
    assert len(world.created) == 1
    assert str(world.status.phase) == "Running"
    world.finish("a")
    assert str(world.status.phase) == "Succeeded"
    assert len(world.created) == 1
    assert [execution.outcome for execution in world.executions] == ["success"]


def test_a_chain_runs_in_order() -> None:
    world = World({"steps": [run_step("a"), run_step("b", dependsOn=["a"]), run_step("c", dependsOn=["b"])]})
    world.settle()
    assert world.states() == {"a": "Starting"}
    world.finish("a")
    assert world.states() == {"a": "Succeeded", "b": "Starting"}
    world.finish("b")
    world.finish("c")
    assert str(world.status.phase) == "Succeeded"


def test_sequential_steps_run_in_list_order_without_edges() -> None:
    world = World({"type": "sequential", "steps": [run_step("b"), run_step("a")]})
    world.settle()
    assert world.states() == {"b": "Starting"}


def test_never_more_steps_at_once_than_max_parallel() -> None:
    world = World({"maxParallel": 3, "steps": [run_step(f"s{n}") for n in range(10)]})
    world.settle()
    while str(world.status.phase) == "Running":
        world.finish(world.children[world.running()[0]].meta.labels["vapora.dev/step"])
    assert world.most_at_once == 3
    assert str(world.status.phase) == "Succeeded"


def test_a_failed_step_is_tried_again_after_its_delay_under_a_new_name() -> None:
    world = World({"steps": [run_step("a", retry={"maxAttempts": 2, "initialDelay": 5})]})
    world.settle()
    world.finish("a", exit_code=3, message="no such table")
    step = world.step("a").unit
    assert (str(step.state), step.attempt, step.reason, step.exit_code) == ("Retrying", 1, "ExitCode", 3)
    world.pass_time(4.9)
    assert len(world.created) == 1
    world.pass_time(0.2)
    assert len(set(world.created)) == 2
    world.finish("a", exit_code=3, message="no such table")
    assert world.status.message == "step a failed: exit code 3: no such table"
    assert str(world.status.phase) == "Failed"


def test_a_try_that_the_cluster_spoilt_uses_up_no_attempt() -> None:
    world = World({"steps": [run_step("a", retry={"maxAttempts": 1})]})
    world.settle()
    world.finish("a", exit_code=1, phase="Failed", disruption="EvictionByEvictionAPI", message="node drained")
    unit = world.step("a").unit
    assert (unit.reason, unit.attempt, unit.infrastructure_failures) == ("Evicted", 1, 1)
    world.pass_time(5)
    assert world.step("a").unit.attempt == 1
    world.finish("a")
    assert str(world.status.phase) == "Succeeded"


def test_infrastructure_failures_end_when_their_own_budget_is_used_up() -> None:
    world = World({"steps": [run_step("a", retry={"infrastructureAttempts": 2, "initialDelay": 0})]})
    world.settle()
    for _ in range(2):
        world.finish("a", exit_code=1, phase="Failed", disruption="PreemptionByScheduler")
    assert world.status.reason == "Preempted"


def test_a_child_that_is_gone_unseen_is_lost_not_successful() -> None:
    world = World({"steps": [run_step("a", retry={"infrastructureAttempts": 1})]})
    world.settle()
    key = world.child("a")
    world.children[key] = replace(world.children[key], phase="Running")
    world.settle()
    del world.children[key]
    world.settle()
    assert (str(world.status.phase), world.status.reason) == ("Failed", "ChildLost")


def test_a_timeout_stops_the_child_and_counts_as_an_attempt() -> None:
    world = World({"steps": [run_step("a", timeout="30s", retry={"maxAttempts": 1})]})
    world.settle()
    world.pass_time(29)
    assert str(world.status.phase) == "Running"
    world.pass_time(1)
    assert world.children[world.child("a")].meta.is_deleting
    assert (str(world.status.phase), world.status.reason) == ("Failed", "TimedOut")


def test_a_pending_timeout_says_why_the_child_never_ran() -> None:
    world = World({"steps": [run_step("a", pendingTimeout="1m", retry={"infrastructureAttempts": 1})]})
    world.settle()
    key = world.child("a")
    world.children[key] = replace(world.children[key], unschedulable="0/3 nodes are available: 3 Insufficient cpu.")
    world.pass_time(60)
    assert world.status.reason == "PendingTimeout"
    assert "3 Insufficient cpu" in world.status.message


def test_the_deadline_ends_everything() -> None:
    world = World({"deadline": "10s", "steps": [run_step("a"), run_step("b", dependsOn=["a"])]})
    world.settle()
    world.pass_time(10)
    assert world.children[world.child("a")].meta.is_deleting
    world.pass_time(31)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "DeadlineExceeded")
    assert world.states() == {"a": "Cancelled", "b": "Skipped"}


def test_fail_fast_cancels_running_siblings_and_starts_nothing_more() -> None:
    steps = [run_step("bad", retry={"maxAttempts": 1}), run_step("slow"), run_step("next", dependsOn=["bad"])]
    world = World({"steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    assert world.children[world.child("slow")].meta.is_deleting
    assert str(world.status.phase) == "Running"
    world.finish("slow", exit_code=143, phase="Failed")
    assert str(world.status.phase) == "Failed"
    assert world.states() == {"bad": "Failed", "slow": "Cancelled", "next": "Skipped"}


def test_without_fail_fast_the_rest_runs_on() -> None:
    steps = [run_step("bad", retry={"maxAttempts": 1}), run_step("slow"), run_step("after", dependsOn=["slow"])]
    world = World({"failFast": False, "steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    world.finish("slow")
    world.finish("after")
    assert (str(world.status.phase), world.states()["after"]) == ("Failed", "Succeeded")


def test_on_failure_continue_lets_soft_dependents_go_and_skips_hard_ones() -> None:
    steps = [
        run_step("bad", onFailure="continue", retry={"maxAttempts": 1}),
        run_step("soft", edges=[{"name": "bad", "type": "soft"}]),
        run_step("hard", dependsOn=["bad"]),
        run_step("beyond", dependsOn=["hard"]),
    ]
    world = World({"steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    world.finish("soft")
    assert str(world.status.phase) == "Succeeded"
    assert world.states() == {"bad": "Failed", "soft": "Succeeded", "hard": "Skipped", "beyond": "Skipped"}


def test_a_false_when_skips_the_step_with_its_operands_and_bare_dependents_go_on() -> None:
    steps = [
        run_step("a", outputs=["rows"]),
        run_step("b", dependsOn=["a"], when="steps.a.outputs.rows > 10"),
        run_step("c", dependsOn=["b"]),
    ]
    world = World({"steps": steps})
    world.settle()
    world.finish("a", message='{"rows": 3}')
    assert world.states()["b"] == "Skipped"
    assert world.step("b").operands == {"steps.a": {"state": "Succeeded", "attempt": 1, "outputs": {"rows": 3}}}
    assert world.states()["c"] == "Starting"


def test_an_optional_edge_to_a_step_that_is_not_there_does_not_count() -> None:
    world = World({"steps": [run_step("a", edges=[{"name": "ghost", "type": "optional"}])]})
    world.settle()
    assert world.states() == {"a": "Starting"}


def test_outputs_flow_into_later_steps_with_their_type() -> None:
    steps = [
        run_step("a", outputs=["count"]),
        {"name": "b", "run": {"image": "x", "args": ["n=${steps.a.outputs.count}", "${region}", "${count}"]}},
    ]
    world = World({"params": {"region": "eu"}, "steps": steps})
    world.settle()
    assert world.states() == {"a": "Starting"}, "the reference makes a hard edge"
    world.finish("a", message=json.dumps({"count": 7}))
    assert world.states()["b"] == "Starting"
    assert world.manifests[-1]["spec"]["containers"][0]["args"] == ["n=7", "eu", "7"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [("not json", "OutputInvalid"), ('{"other": 1}', "OutputInvalid"), ("", "OutputInvalid")],
)
def test_a_result_without_the_declared_output_is_a_failed_attempt(message: str, reason: str) -> None:
    world = World({"steps": [run_step("a", outputs=["count"], retry={"maxAttempts": 1})]})
    world.settle()
    world.finish("a", message=message)
    assert (str(world.status.phase), world.status.reason) == ("Failed", reason)


def test_an_unknown_reference_fails_the_step_at_once_with_its_name() -> None:
    world = World({"steps": [{"name": "a", "run": {"image": "x", "args": ["${nowhere}"]}}]})
    world.settle()
    assert (str(world.status.phase), world.status.reason) == ("Failed", "UnresolvedReference")
    assert "${nowhere}" in world.status.message
    assert world.created == []


def test_for_each_runs_every_item_within_its_own_limit() -> None:
    step = {"name": "f", "forEach": {"items": list(range(7)), "maxParallel": 2}, "run": {"image": "x"}}
    world = World({"steps": [step]})
    world.settle()
    assert len(world.created) == 2
    for item in range(7):
        world.finish("f", item)
    assert world.most_at_once == 2
    items = world.step("f").items
    assert items is not None
    assert (str(items.succeeded), str(world.status.phase)) == ("0-6", "Succeeded")


def test_items_that_fail_within_the_tolerance_do_not_fail_the_step() -> None:
    step = {"name": "f", "forEach": {"items": list("abcd"), "failureTolerance": 1}, "run": {"image": "x"}}
    world = World({"retry": {"maxAttempts": 1}, "steps": [step]})
    world.settle()
    world.finish("f", 1, exit_code=1)
    for item in (0, 2, 3):
        world.finish("f", item)
    items = world.step("f").items
    assert items is not None
    assert (str(items.succeeded), str(items.failed), str(world.status.phase)) == ("0,2-3", "1", "Succeeded")


def test_items_that_fail_beyond_the_tolerance_fail_the_step_and_cancel_the_others() -> None:
    step = {"name": "f", "forEach": {"items": list("abcd"), "maxParallel": 2}, "run": {"image": "x"}}
    world = World({"retry": {"maxAttempts": 1}, "steps": [step]})
    world.settle()
    world.finish("f", 0, exit_code=9)
    world.finish("f", 1, exit_code=143)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "ItemsFailed")
    assert len(world.created) == 2


def test_for_each_over_nothing_succeeds_at_once() -> None:
    world = World({"params": {"list": []}, "steps": [run_step("f", forEach={"itemsFrom": "${list}"})]})
    world.settle()
    assert str(world.status.phase) == "Succeeded"


def test_cancel_on_request_stops_what_runs_and_ends_cancelled() -> None:
    world = World({"steps": [run_step("a"), run_step("b", dependsOn=["a"])]})
    world.settle()
    world.request = "cancel 1"
    world.settle()
    assert world.children[world.child("a")].meta.is_deleting
    world.finish("a", exit_code=143)
    assert (str(world.status.phase), world.status.reason) == ("Cancelled", "CancelRequested")
    assert world.status.handled_request == "cancel 1"


def test_a_request_made_for_another_object_of_the_name_is_ignored() -> None:
    world = World({"steps": [run_step("a")]})
    world.request = "cancel 99999999-2222-3333-4444-555555555555 1"
    world.settle()
    assert str(world.status.phase) == "Running"


def test_a_task_is_published_only_after_its_assignment_is_written() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("developer"),))
    decided = world.plan(write=False)
    assert decided.plan.urgent
    assert decided.durable_first
    assert world.finalizers == ("vapora.dev/cleanup",)
    world.plan(write=False)
    assert world.published == []
    world.written = world.status
    world.plan()
    assert world.published == [f"{world.identity.uid}/t/0/1"]


def test_a_task_goes_to_the_least_loaded_matching_pool() -> None:
    pools = (pool("busy", in_flight=9), pool("idle"), pool("other", role="tester"))
    world = World({"steps": [agent_step("t")]}, pools=pools)
    world.settle()
    assert world.step("t").unit.pool == "idle"
    assert "least loaded" in world.step("t").unit.pool_reason


def test_an_answer_is_durable_before_a_dependent_starts() -> None:
    world = World({"steps": [agent_step("t", outputs=["n"]), run_step("b", dependsOn=["t"])]}, pools=(pool("p"),))
    world.settle()
    world.results[world.published[0]] = AgentResult("success", {"n": 1})
    world.plan(write=False)
    assert (world.states(), world.created) == ({"t": "Succeeded"}, [])
    world.settle()
    assert world.states()["b"] == "Starting"
    assert world.step("t").outputs == {"n": 1}


def test_a_definite_failure_of_a_task_is_tried_again_under_a_new_key() -> None:
    world = World({"steps": [agent_step("t", retry={"initialDelay": 0})]}, pools=(pool("p"),))
    world.settle()
    world.answer("t", outcome="failure", code="ValueError", message="bad input")
    assert [task.rsplit("/", 1)[1] for task in world.published] == ["1", "2"]


def test_a_task_that_timed_out_is_asked_for_again_under_the_same_key() -> None:
    world = World({"steps": [agent_step("t", timeout="10s", retry={"initialDelay": 0})]}, pools=(pool("p"),))
    world.settle()
    world.pass_time(10)
    assert [task.rsplit("/", 1)[1] for task in world.published] == ["1", "1"]
    assert len(world.cancelled) == 1


def test_a_task_that_was_taken_back_after_its_timeout_is_asked_for_under_a_new_key() -> None:
    world = World({"steps": [agent_step("t", timeout="10s", retry={"initialDelay": 5})]}, pools=(pool("p"),))
    world.settle()
    world.pass_time(10)
    world.answer("t", outcome="cancelled")
    world.pass_time(5)
    assert [task.rsplit("/", 1)[1] for task in world.published] == ["1", "2"]
    assert world.step("t").unit.attempt == 2


def test_without_a_matching_pool_the_step_says_so_and_goes_on_when_one_comes() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("other", role="tester"),))
    world.settle()
    assert (str(world.step("t").state), world.step("t").unit.reason) == ("Ready", "NoMatchingPool")
    world.pools = (pool("p"),)
    world.settle()
    assert len(world.published) == 1


def test_without_a_broker_nothing_is_published_until_it_is_back() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("p"),))
    world.surroundings = Surroundings(load_vocabulary(), broker_problem="no connection to the broker")
    decided = world.settle()
    assert (world.published, world.step("t").unit.reason) == ([], "BrokerUnavailable")
    assert decided.plan.requeue_after == 5
    world.surroundings = Surroundings(load_vocabulary())
    world.settle()
    assert len(world.published) == 1


def test_forty_tasks_in_one_step_are_all_given_out() -> None:
    step = agent_step("t", forEach={"items": list(range(40)), "maxParallel": 40})
    world = World({"maxParallel": 40, "steps": [step]}, pools=(pool("developer"),))
    world.settle()
    assert len(set(world.published)) == 40
    for item in range(40):
        world.answer("t", item, output={"ok": True})
    assert str(world.status.phase) == "Succeeded"
    assert len(world.executions) == 40


def test_training_becomes_a_gpu_job_with_its_evidence() -> None:
    step = run_step("train", description="Train a convolutional neural network on images")
    world = World({"steps": [step]})
    world.settle()
    assert world.child("train").kind == "Job"
    ml = world.step("train").ml
    assert ml is not None
    assert (ml["class"], bool(ml["evidence"])) == ("gpuRequired", True)


def test_after_a_restart_a_finished_child_counts_and_nothing_runs_twice() -> None:
    world = World({"steps": [run_step("a"), run_step("b", dependsOn=["a"])]})
    world.plan(write=False)
    world.restart()
    world.settle()
    assert len(world.created) == 1
    world.finish("a")
    world.restart()
    world.settle()
    world.finish("b")
    assert (str(world.status.phase), len(world.created)) == ("Succeeded", 2)


def test_after_a_restart_a_child_that_ended_meanwhile_is_looked_at_without_news_of_it() -> None:
    world = World({"steps": [run_step("a")]})
    world.plan(write=False)
    key = world.child("a")
    world.children[key] = finished(world.children[key], world.now)
    world.restart()
    world.plan()
    assert (str(world.status.phase), len(world.created)) == ("Succeeded", 1)


def test_after_a_restart_a_task_repeats_its_key() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("p"),))
    world.plan()
    world.restart()
    world.settle()
    world.restart()
    world.settle()
    assert set(world.published) == {f"{world.identity.uid}/t/0/1"}


def test_planning_again_gives_nothing_more_to_do() -> None:
    world = World({"steps": [run_step("a"), run_step("b"), agent_step("t")]}, pools=(pool("p"),))
    world.settle()
    again = world.plan()
    assert again.plan.actions == ()
    assert again.plan.events == ()


def test_a_thousand_items_cost_what_changed_not_what_is_there() -> None:
    step = {"name": "f", "forEach": {"items": list(range(1000)), "maxParallel": 1000}, "run": {"image": "x"}}
    world = World({"maxParallel": 1000, "steps": [step]})
    world.plan()
    assert len(world.created) == 1000
    key = world.child("f", 500)
    assert world.plan(changed=frozenset({key.name})).looked_at == 1


GPU = {"nvidia.com/gpu": 1}
REFUSED = {
    "a cycle is told with its path": (
        {"steps": [run_step("a", dependsOn=["c"]), run_step("b", dependsOn=["a"]), run_step("c", dependsOn=["b"])]},
        "InvalidSpec",
        "is a cycle",
    ),
    "an unknown step is told with the nearest name": (
        {"steps": [run_step("build"), run_step("test", dependsOn=["biuld"])]},
        "InvalidSpec",
        "spec.steps[test].dependsOn: there is no step 'biuld'; did you mean 'build'?",
    ),
    "a duplicate name is told": ({"steps": [run_step("a"), run_step("a")]}, "InvalidSpec", "'a' stands twice"),
    "a bad expression is told with its place": (
        {"steps": [run_step("a", when="1 +")]},
        "InvalidSpec",
        "spec.steps[a].when",
    ),
    "a subtraction of step names is explained": (
        {"steps": [run_step("a-b"), run_step("c", when="steps.a-b.state == 'Succeeded'")]},
        "InvalidSpec",
        'write steps["a-b"]',
    ),
    "a bad duration is told with what is allowed": (
        {"steps": [run_step("a", timeout="5 minutes")]},
        "InvalidSpec",
        "timeout",
    ),
    "ml never with a GPU contradicts itself": (
        {"steps": [{"name": "a", "run": {"image": "x", "ml": "never", "resources": {"limits": GPU}}}]},
        "InvalidSpec",
        "ml: never contradicts",
    ),
    "a body that is not built is refused by name": (
        {"steps": [{"name": "a", "http": {"url": "http://x"}}]},
        "NotSupported",
        "http",
    ),
    "a field that is not built is refused by name": (
        {"paused": True, "steps": [run_step("a")]},
        "NotSupported",
        "paused",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_specs_start_nothing(case: str) -> None:
    spec, reason, words = REFUSED[case]
    world = World(spec)
    world.settle()
    assert isinstance(world.definition, SpecProblem)
    assert (world.definition.reason, words in world.definition.message) == (reason, True), world.definition.message
    assert world.created == []
    assert [event.reason for event in world.events] == [reason]


def test_times_are_read_from_children_so_that_a_restart_changes_nothing() -> None:
    world = World({"steps": [run_step("a", retry={"initialDelay": "1m"})]})
    world.settle()
    world.finish("a", exit_code=1)
    due = world.step("a").unit.next_attempt_at
    world.restart()
    world.settle()
    assert world.step("a").unit.next_attempt_at == due
    assert due is not None
    assert (due - START).total_seconds() == 60
