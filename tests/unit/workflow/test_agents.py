"""Tasks that are given to agents: what is durable before what, and what keeps them from being given out."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.unit.workflow.world import DETECTOR, World, agent_step, pool, run_step

from vapora.core.plan import Patch, Problem, Publish
from vapora.core.workflow.observed import Surroundings
from vapora.core.workflow.planner import plan_workflow
from vapora.core.workflow.results import AgentResult


def test_the_answers_to_all_items_are_durable_before_a_dependent_starts() -> None:
    steps = [agent_step("t", forEach={"items": [1, 2]}), run_step("b", dependsOn=["t"])]
    world = World({"steps": steps}, pools=(pool("p"),))
    world.settle()
    for task in world.published:
        world.results[task] = AgentResult("success")
    world.plan(write=False)
    assert (world.states(), world.created) == ({"t": "Succeeded"}, [])
    world.settle()
    assert world.states()["b"] == "Starting"


def test_no_task_is_given_out_before_the_workflow_carries_our_finalizer() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("p"),))
    world.plan()
    world.finalizers = ()
    decided = plan_workflow(world.observe(), world.now)
    assert [type(action) for action in decided.plan.actions] == [Patch]
    assert decided.durable_first


def test_a_finalizer_that_is_refused_is_said_and_tried_again() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("p"),))
    world.plan()
    world.finalizers = ()
    claim = plan_workflow(world.observe(), world.now).plan.actions[0]
    world.problems = {str(world.observe().workflow): Problem(claim, "Forbidden", "may not patch", is_permanent=True)}
    decided = plan_workflow(world.observe(), world.now)
    assert not decided.durable_first
    assert decided.plan.requeue_after == 5
    unit = decided.status.step("t").unit
    assert (str(unit.state), unit.reason, unit.message) == ("Starting", "AdmissionRefused", "may not patch")


def test_a_task_that_the_broker_refuses_for_good_fails_its_step() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("p"),))
    world.plan()
    task = f"{world.identity.uid}/t/0/1"
    refused = Problem(Publish(world.observe().workflow, task, {}), "TaskTooLarge", "2 MiB", is_permanent=True)
    world.problems = {task: refused}
    world.plan()
    assert (str(world.status.phase), world.status.reason, world.published) == ("Failed", "TaskRefused", [])


def test_a_task_carries_the_schema_that_its_output_must_meet() -> None:
    schema = {"type": "object", "required": ["approved"]}
    step = {"name": "t", "agent": {"role": "developer", "outputSchema": schema}}
    world = World({"steps": [step]}, pools=(pool("p"),))
    world.plan()
    actions = plan_workflow(world.observe(), world.now).plan.actions
    assert [action.envelope["outputSchema"] for action in actions if isinstance(action, Publish)] == [schema]


def test_the_tasks_of_a_run_carry_one_trace_and_each_a_span_of_its_own() -> None:
    world = World({"steps": [agent_step("a"), agent_step("b")]}, pools=(pool("p"),))
    world.plan()
    actions = plan_workflow(world.observe(), world.now).plan.actions
    parents = [str(action.envelope["traceparent"]) for action in actions if isinstance(action, Publish)]
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", parent) for parent in parents)
    assert len({parent.split("-")[1] for parent in parents}) == 1
    assert len({parent.split("-")[2] for parent in parents}) == 2


def test_a_task_that_loses_what_it_refers_to_before_it_is_given_out_fails_its_step() -> None:
    step = {"name": "t", "agent": {"role": "developer", "title": "in ${env.REGION}"}}
    world = World({"steps": [step]}, pools=(pool("p"),))
    world.surroundings = Surroundings(DETECTOR, environment={"REGION": "eu"})
    world.plan()
    world.surroundings = Surroundings(DETECTOR)
    world.settle()
    assert (str(world.status.phase), world.status.reason, world.published) == ("Failed", "UnresolvedReference", [])


def test_an_item_that_is_tried_again_says_when_it_waits_for_a_pool_and_not_after() -> None:
    step = agent_step("t", forEach={"items": [1]}, retry={"initialDelay": 0})
    world = World({"steps": [step]}, pools=(pool("p"),))
    world.settle()
    world.pools = (replace(pool("p"), is_ready=False),)
    world.answer("t", outcome="failure", message="no")
    assert (world.step("t").unit.reason, world.step("t").unit.message) == ("NoMatchingPool", "pool p is not ready")
    world.pools = (pool("p"),)
    world.settle()
    assert (world.step("t").unit.reason, world.step("t").unit.message) == ("", "")
    assert len(world.published) == 2


def test_a_late_answer_to_a_task_that_timed_out_still_counts() -> None:
    step = agent_step("t", timeout="10s", retry={"initialDelay": 60})
    world = World({"steps": [step]}, pools=(pool("p"),))
    world.settle()
    world.pass_time(10)
    assert world.states() == {"t": "Retrying"}
    world.answer("t")
    assert str(world.status.phase) == "Succeeded"
    assert [(row.id.rsplit("/", 1)[1], row.outcome) for row in world.executions] == [("1", "failure"), ("1", "success")]


def test_a_cancelled_task_ends_when_its_agent_answers_or_the_grace_is_over() -> None:
    for answers in (True, False):
        world = World({"steps": [agent_step("t")]}, pools=(pool("p"),))
        world.settle()
        world.request = "cancel 1"
        world.settle()
        assert (world.states(), len(world.cancelled)) == ({"t": "Running"}, 1)
        if answers:
            world.answer("t", outcome="cancelled")
        else:
            world.pass_time(30)
        assert str(world.status.phase) == "Cancelled"
        assert world.step("t").unit.reason == ("Cancelled" if answers else "CancelUnconfirmed")


def test_deleting_a_workflow_calls_its_tasks_back_and_lets_it_go() -> None:
    world = World({"steps": [agent_step("t", forEach={"items": [1, 2]})]}, pools=(pool("p"),))
    world.settle()
    world.deleted_at = world.now
    world.plan()
    assert (sorted(world.cancelled), world.finalizers) == (sorted(world.published), ())


def test_a_deleted_workflow_waits_for_the_broker_to_call_its_tasks_back_but_not_for_ever() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("p"),))
    world.settle()
    world.deleted_at = world.now
    world.surroundings = Surroundings(DETECTOR, broker_problem="no connection")
    assert world.plan().plan.requeue_after == 5
    assert world.finalizers == ("vapora.dev/cleanup",)
    world.now += timedelta(minutes=10)
    world.plan()
    assert world.finalizers == ()


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
    assert "least loaded" in world.step("t").unit.choice.reason


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


def test_an_agent_whose_clock_is_ahead_does_not_put_the_next_try_off() -> None:
    world = World({"steps": [agent_step("t", retry={"initialDelay": "5s"})]}, pools=(pool("p"),))
    world.settle()
    world.answer("t", outcome="failure", finished_at=datetime.max.replace(tzinfo=UTC))
    unit = world.step("t").unit
    assert (unit.finished_at, unit.next_attempt_at) == (world.now, world.now + timedelta(seconds=5))


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
    world.surroundings = Surroundings(DETECTOR, broker_problem="no connection to the broker")
    decided = world.settle()
    assert (world.published, world.step("t").unit.reason) == ([], "BrokerUnavailable")
    assert decided.plan.requeue_after == 5
    world.surroundings = Surroundings(DETECTOR)
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


def test_after_a_restart_a_task_repeats_its_key() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("p"),))
    world.plan()
    world.restart()
    world.settle()
    world.restart()
    world.settle()
    assert set(world.published) == {f"{world.identity.uid}/t/0/1"}
