"""What a workflow does, told as stories over the pure planner."""

import json
from dataclasses import replace

import pytest
from tests.unit.workflow.world import START, World, agent_step, finished, pool, run_step

from vapora.core.supported import SpecProblem


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


def test_planning_again_gives_nothing_more_to_do() -> None:
    world = World({"steps": [run_step("a"), run_step("b"), agent_step("t")]}, pools=(pool("p"),))
    world.settle()
    again = world.plan()
    assert again.plan.actions == ()
    assert again.plan.events == ()


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
    "a part that is not built is refused by name": (
        {"steps": [run_step("a")], "logging": {"level": "debug"}},
        "NotSupported",
        "spec.logging",
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
