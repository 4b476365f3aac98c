"""Workflows from templates, as runs, as children of others and by schedule, with the operator as a process."""

from tests.cluster.waiting import wait_until
from tests.integration.objects import Json, run
from tests.integration.workflow.stage import FOREVER, ONCE, Stage

GREETING = "{% for name in params.names %}{{ loop.index }}. {{ name }}{{ '; ' if not loop.last else '' }}{% endfor %}"
NAMES: Json = {"name": "names", "type": "array", "default": ["Ada"]}


def template(here: Stage, name: str, *steps: Json, parameters: tuple[Json, ...] = (), **spec: object) -> None:
    here.create("WorkflowTemplate", name, {"parameters": list(parameters), "workflow": {"steps": list(steps), **spec}})


def start(here: Stage, name: str, of: str, **spec: object) -> None:
    here.create("Workflow", name, {"templateRef": {"name": of}, **spec})


def child(name: str, of: str, params: Json | None = None, **fields: object) -> Json:
    return {"name": name, "workflow": {"templateRef": {"name": of}, "params": params or {}}, **fields}


def args(here: Stage, step: str) -> list[str]:
    return list(here.pod(step)["spec"]["containers"][0]["args"])


def test_a_run_is_its_template_with_its_own_parameters(here: Stage) -> None:
    template(here, "greeting", run("say", run={"args": [GREETING, "${workflow.name}"]}), parameters=(NAMES,))
    start(here, "both", "greeting", params={"names": ["Ada", "Grace"]})
    here.ended("both", "Succeeded")
    assert args(here, "say") == ["1. Ada; 2. Grace", "both"]


def test_a_run_of_a_template_that_is_not_there_waits_for_it(here: Stage) -> None:
    start(here, "early", "later")
    here.await_said("Workflow", "early", "Stalled", "True TemplateNotFound")
    template(here, "later", run("a"))
    here.ended("early", "Succeeded")


def test_params_that_do_not_fit_stall_the_run_and_say_where(here: Stage) -> None:
    template(here, "greeting", run("say", run={"args": [GREETING]}), parameters=(NAMES,))
    start(here, "odd", "greeting", params={"naems": []})
    assert "naems" in here.await_said("Workflow", "odd", "Stalled", "True InvalidSpec")


def test_a_template_that_is_edited_or_deleted_changes_no_run(here: Stage) -> None:
    template(here, "t", run("a", ends=FOREVER), run("b", dependsOn=["a"], run={"args": ["old"]}))
    start(here, "kept", "t")
    here.await_step("kept", "a", state="Running")
    steps = [run("a"), run("b", dependsOn=["a"], run={"args": ["new"]})]
    here.patch("WorkflowTemplate", "t", {"spec": {"workflow": {"steps": steps}}})
    here.await_status("WorkflowTemplate", "t", observedGeneration=2)
    here.delete("WorkflowTemplate", "t")
    here.end_pod("a")
    here.ended("kept", "Succeeded")
    assert args(here, "b") == ["old"]


def test_an_edited_template_changes_no_run_after_a_crash_either(here: Stage) -> None:
    template(here, "t", run("a", ends=FOREVER), run("b", dependsOn=["a"], run={"args": ["old"]}))
    start(here, "kept", "t")
    here.await_step("kept", "a", state="Running")
    here.patch("WorkflowTemplate", "t", {"spec": {"workflow": {"steps": [run("z")]}}})
    here.crash()
    here.end_pod("a")
    assert set(here.ended("kept", "Succeeded")["steps"]) == {"a", "b"}
    assert args(here, "b") == ["old"]


def test_a_child_runs_a_template_and_gives_its_outputs(here: Stage) -> None:
    count = run("count", ends={"message": '{"rows": 3}'}, outputs=["rows"], run={"args": ["{{ params.what }}"]})
    template(here, "counting", count, parameters=({"name": "what"},))
    rows = [{"name": "rows", "from": "result.steps.count.rows"}]
    inner = child("inner", "counting", {"what": "${kind}"}, outputsFrom=rows)
    say = run("say", run={"args": ["${steps.inner.outputs.rows}"]})
    here.workflow("outer", inner, say, params={"kind": "tables"}, serviceAccountName="builder")
    status = here.ended("outer", "Succeeded")
    assert (args(here, "count"), args(here, "say")) == (["tables"], ["3"])
    made = here.get("Workflow", status["steps"]["inner"]["child"]["name"])
    assert made["spec"]["serviceAccountName"] == "builder"
    assert made["metadata"]["ownerReferences"][0]["name"] == "outer"
    here.delete("Workflow", "outer")
    wait_until(lambda: here.all("Workflow") == [], "the child goes with it", within=30)


def test_a_child_that_fails_fails_its_step_and_another_try_is_another_child(here: Stage) -> None:
    template(here, "bad", run("b", ends={"exit-code": "2"}, retry=ONCE))
    here.workflow("outer", child("inner", "bad", retry={"maxAttempts": 2, "initialDelay": "100ms"}))
    step = here.ended("outer", "Failed")["steps"]["inner"]
    assert (step["reason"], step["tries"]) == ("ChildFailed", 2)
    assert "step b failed: exit code 2" in step["message"]
    assert len(here.all("Workflow")) == 3


def test_a_child_without_its_template_says_so_through_its_parent(here: Stage) -> None:
    here.workflow("outer", child("inner", "missing"))
    waits = wait_until(lambda: here.status("Workflow", "outer").get("waitingOn"), "it says what it waits for")
    assert "missing" in waits
    template(here, "missing", run("a"))
    here.ended("outer", "Succeeded")


def test_a_cancelled_parent_cancels_its_child(here: Stage) -> None:
    template(here, "long", run("b", ends=FOREVER))
    here.workflow("outer", child("inner", "long"))
    here.await_step("outer", "inner", state="Running")
    here.pod("b")
    here.ask("outer", "cancel")
    status = here.ended("outer", "Cancelled")
    here.await_status("Workflow", status["steps"]["inner"]["child"]["name"], phase="Cancelled")


def test_a_rolled_back_parent_rolls_its_child_back(here: Stage) -> None:
    template(here, "undoable", run("b", compensate={"run": {"image": "busybox", "args": ["undo-b"]}}))
    fails = run("fails", ends={"exit-code": "1"}, retry=ONCE, dependsOn=["inner"])
    here.workflow("outer", child("inner", "undoable"), fails, onFailure="rollback")
    status = here.ended("outer", "RolledBack")
    assert here.status("Workflow", status["steps"]["inner"]["child"]["name"])["phase"] == "RolledBack"
    assert args(here, "b_undo") == ["undo-b"]


def test_a_scheduled_run_ends_and_is_told_of_by_its_template(here: Stage) -> None:
    spec = {"workflow": {"steps": [run("a")]}, "schedule": {"cron": "0 0 1 1 *"}}
    here.create("WorkflowTemplate", "yearly", spec)
    wait_until(lambda: "nextScheduledAt" in here.status("WorkflowTemplate", "yearly"), "it is looked at")
    overdue = {"status": {"nextScheduledAt": "2026-01-01T00:00:00Z"}}
    here.patch("WorkflowTemplate", "yearly", overdue, "status")
    [recent] = wait_until(lambda: here.status("WorkflowTemplate", "yearly").get("recent"), "its run has ended")
    assert recent["outcome"] == "Succeeded"
    assert here.get("Workflow", recent["name"])["status"]["phase"] == "Succeeded"
