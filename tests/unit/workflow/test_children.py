"""Children that are refused, that somebody else made, or that end in another way than they should."""

from dataclasses import replace
from datetime import timedelta

from tests.unit.workflow.world import World, deleting, finished, run_step

from vapora.core.plan import Action, Create, Problem
from vapora.core.views import ChildView, Meta, project
from vapora.core.workflow.status import WorkflowStatus


def refuse_to_create(action: Action) -> Problem | None:
    return Problem(action, "Forbidden", "exceeded quota", is_permanent=True) if isinstance(action, Create) else None


def test_a_child_that_is_refused_for_good_uses_up_the_infrastructure_budget_under_a_new_name_each() -> None:
    world = World({"steps": [run_step("a", retry={"infrastructureAttempts": 2, "initialDelay": 5})]})
    asked = list[str]()

    def refuse(action: Action) -> Problem | None:
        if isinstance(action, Create):
            asked.append(action.manifest["metadata"]["name"])
        return refuse_to_create(action)

    world.refuse = refuse
    decided = world.plan()
    unit = world.step("a").unit
    assert (str(unit.state), unit.reason, unit.message) == ("Retrying", "AdmissionRefused", "exceeded quota")
    assert decided.plan.requeue_after == 5
    world.pass_time(5)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "AdmissionRefused")
    assert len(asked) == len(set(asked)) == 2


def test_a_step_goes_on_when_its_children_are_refused_no_more() -> None:
    world = World({"steps": [run_step("a")]})
    world.refuse = refuse_to_create
    world.plan()
    world.refuse = None
    world.pass_time(5)
    world.finish("a")
    assert (str(world.status.phase), len(world.created)) == ("Succeeded", 1)


def test_a_namesake_that_somebody_else_made_is_not_taken_for_our_child() -> None:
    world = World({"steps": [run_step("a")]})
    world.plan()
    [(key, view)] = world.children.items()
    world.children[key] = replace(view, meta=replace(view.meta, controller_uid="somebody-else"))
    world.status = world.written = WorkflowStatus()
    world.restart()
    asked = list[Action]()

    def refuse(action: Action) -> Problem:
        asked.append(action)
        return Problem(action, "NameTaken", f"Pod {key.name} exists and is not ours", is_permanent=True)

    world.refuse = refuse
    world.plan()
    assert [type(action) for action in asked] == [Create]
    assert world.step("a").unit.reason == "AdmissionRefused"


def test_a_child_whose_creation_had_no_answer_is_asked_for_again_under_the_same_name() -> None:
    world = World({"steps": [run_step("a")]})
    world.plan()
    [name] = world.created
    world.children.clear()
    world.plan()
    assert world.created == [name, name]


def test_a_job_that_is_gone_after_it_ran_is_lost() -> None:
    step = {"name": "a", "run": {"image": "x", "executor": "Job"}, "retry": {"infrastructureAttempts": 1}}
    world = World({"steps": [step]})
    world.settle()
    [key] = world.children
    assert key.kind == "Job"
    world.status = replace(
        world.status,
        steps={
            "a": replace(world.step("a"), unit=replace(world.step("a").unit, state=type(world.step("a").state).RUNNING))
        },
    )
    del world.children[key]
    world.settle()
    assert (world.status.reason, "Job" in world.status.message) == ("ChildLost", True)


def test_a_child_that_was_deleted_at_its_timeout_has_timed_out_also_where_a_restart_forgot_why() -> None:
    world = World({"steps": [run_step("a", timeout="30s", retry={"maxAttempts": 1, "infrastructureAttempts": 2})]})
    world.settle()
    world.now += timedelta(seconds=30.5)
    world.plan(write=False)
    assert world.children[world.child("a")].meta.is_deleting
    world.restart()
    world.finish("a", exit_code=143)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "TimedOut")


def test_a_child_that_somebody_deleted_before_its_timeout_was_disrupted() -> None:
    world = World({"steps": [run_step("a", timeout="30s", retry={"infrastructureAttempts": 1})]})
    world.settle()
    world.children[world.child("a")] = deleting(world.children[world.child("a")])
    world.finish("a", exit_code=143)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "Disrupted")


def test_a_job_that_somebody_deleted_before_it_had_a_pod_is_lost() -> None:
    step = {"name": "a", "run": {"image": "x", "executor": "Job"}, "retry": {"infrastructureAttempts": 1}}
    world = World({"steps": [step]})
    world.settle()
    world.children[world.child("a")] = deleting(world.children[world.child("a")])
    world.settle()
    assert (str(world.status.phase), world.status.reason) == ("Failed", "ChildLost")


def test_room_that_a_refused_child_leaves_is_given_to_the_next_step_at_once() -> None:
    world = World({"maxParallel": 1, "steps": [run_step("a"), run_step("b")]})

    def refuse(action: Action) -> Problem | None:
        is_first = isinstance(action, Create) and action.manifest["metadata"]["labels"]["vapora.dev/step"] == "a"
        return refuse_to_create(action) if is_first else None

    world.refuse = refuse
    world.plan()
    assert world.states() == {"a": "Retrying", "b": "Starting"}


def test_a_job_that_is_complete_waits_for_its_pods_words_where_they_are_outputs() -> None:
    step = {"name": "a", "run": {"image": "x", "executor": "Job"}, "outputs": ["n"]}
    world = World({"steps": [step]})
    world.settle()
    world.finish("a")
    assert world.step("a").unit.message == "the Job has ended; its Pod's words are awaited"
    job = world.children[world.child("a")]
    pod = finished(make_pod(job.meta, owner=job.meta.uid), world.now, message='{"n": 7}')
    world.children[pod.meta.key] = pod
    world.plan(changed=frozenset({pod.meta.key.name}))
    assert (str(world.status.phase), world.step("a").outputs) == ("Succeeded", {"n": 7})


def make_pod(meta: Meta, owner: str) -> ChildView:
    """The Pod that a Job's controller made."""
    view = project({"metadata": {"name": f"{meta.key.name}-x", "namespace": "default"}}, "Pod")
    return replace(view, meta=replace(view.meta, labels=meta.labels, controller_uid=owner))
