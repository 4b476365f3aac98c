"""Runs that are undone, with the operator as a process: what is given back, in which order, what is said."""

from tests.cluster.waiting import wait_until
from tests.integration.objects import Json, run
from tests.integration.workflow.site import Site
from tests.integration.workflow.stage import AT_ONCE, FOREVER, ONCE, Stage, apply, call, config, undone_by

APPROVE = "approval.vapora.dev/a"


def fails(*after: str, **fields: object) -> Json:
    return run("fails", ends={"exit-code": "1"}, retry=ONCE, dependsOn=list(after), **fields)


def undone(here: Stage) -> list[str]:
    """What the Pods of undoings said that they undo, in the order in which they were made."""
    by_name = {pod["metadata"]["name"]: pod for pod in here.pods()}
    made = [by_name[name] for name in here.created("pods")]
    return [pod["spec"]["containers"][0]["args"][0] for pod in made if pod["spec"]["containers"][0].get("args")]


def test_what_was_added_to_an_object_is_dropped_and_what_is_new_goes(here: Stage) -> None:
    here.kubectl("create", "configmap", "old", "--from-literal=level=info")
    one = apply("one", config("old", more="1"), config("new", a="1"))
    here.workflow("back", one, fails("one"), onFailure="rollback", serviceAccountName="builder")
    here.ended("back", "RolledBack")
    assert here.get("ConfigMap", "old")["data"] == {"level": "info"}
    assert here.find("ConfigMap", "new") is None


def test_the_fields_of_an_applied_object_go_back(here: Stage) -> None:
    one = apply("one", config("settings", level="info", old="1"))
    here.workflow("before", one, serviceAccountName="builder")
    here.ended("before", "Succeeded")
    two = apply("two", config("settings", level="debug", new="1"), config("other", a="1"))
    here.workflow("after", two, fails("two"), onFailure="rollback", serviceAccountName="builder")
    status = here.ended("after", "RolledBack")
    assert here.get("ConfigMap", "settings")["data"] == {"level": "info", "old": "1"}
    assert here.find("ConfigMap", "other") is None
    assert (status["steps"]["two"]["state"], status["steps"]["fails"]["state"]) == ("Compensated", "Failed")
    assert status["rollback"]["reason"] == "ExitCode"
    said = here.said("Workflow", "after")
    assert said["Succeeded"].startswith("False ExitCode: rolled back: step fails failed")
    assert "Reconciling" not in said


def test_steps_are_undone_in_reverse_order(here: Stage) -> None:
    steps = [
        undone_by("a", "undo-a"),
        undone_by("b", "undo-b", dependsOn=["a"]),
        undone_by("c", "undo-c", dependsOn=["b"]),
    ]
    here.workflow("chain", *steps, fails("c"), onFailure="rollback")
    status = here.ended("chain", "RolledBack")
    assert undone(here) == ["undo-c", "undo-b", "undo-a"]
    assert {name: row["state"] for name, row in status["rollback"]["steps"].items()} == dict.fromkeys(
        "abc", "Succeeded"
    )
    assert [status["steps"][name]["state"] for name in "abc"] == ["Compensated"] * 3


def test_what_nothing_undoes_is_named(here: Stage) -> None:
    here.workflow("bare", undone_by("a", "undo-a"), run("b", dependsOn=["a"]), fails("b"), onFailure="rollback")
    status = here.ended("bare", "RolledBack")
    assert status["rollback"]["notUndone"] == ["b"]
    assert "nothing undoes b" in here.condition("Workflow", "bare", "Succeeded")["message"]


def test_a_failure_with_nothing_to_undo_fails(here: Stage) -> None:
    here.workflow("none", run("a"), fails("a"), onFailure="rollback")
    status = here.ended("none", "Failed")
    assert "rollback" not in status


def test_an_undoing_that_fails_leaves_the_rollback_incomplete_and_the_others_done(here: Stage) -> None:
    broken = run("broken", ends={"exit-code": "4"})["run"]
    stuck = run("b", compensate={"run": broken}, dependsOn=["a"], retry=ONCE)
    here.workflow("half", undone_by("a", "undo-a"), stuck, fails("b"), onFailure="rollback")
    status = here.ended("half", "Failed")
    assert (status["steps"]["a"]["state"], status["steps"]["b"]["state"]) == ("Compensated", "CompensationFailed")
    said = here.said("Workflow", "half")["Stalled"]
    assert said.startswith("True RollbackIncomplete: step fails failed: exit code 1")
    assert "not undone: b; ExitCode: exit code 4" in said


def test_an_object_that_somebody_else_came_to_use_stays_and_is_named(here: Stage) -> None:
    hold = run("hold", ends=FOREVER, retry=ONCE, dependsOn=["one"])
    here.workflow(
        "shared", apply("one", config("shared", a="1")), hold, onFailure="rollback", serviceAccountName="builder"
    )
    here.await_step("shared", "hold", state="Running")
    here.patch("ConfigMap", "shared", {"data": {"theirs": "1"}})
    here.end_pod("hold", 1)
    here.ended("shared", "Failed")
    assert here.condition("Workflow", "shared", "Succeeded")["reason"] == "RollbackIncomplete"
    assert "ConfigMap shared is used by field manager" in here.condition("Workflow", "shared", "Succeeded")["message"]
    assert here.find("ConfigMap", "shared") is not None


def test_an_irreversible_step_has_the_rollback_ask_first(here: Stage) -> None:
    final = run("final", irreversible=True, dependsOn=["a"])
    here.workflow("ask", undone_by("a", "undo-a"), final, fails("final"), onFailure="rollback")
    here.await_status("Workflow", "ask", phase="WaitingApproval")
    assert "the rollback cannot undo final; approve to undo the rest" in here.status("Workflow", "ask")["waitingOn"]
    assert undone(here) == []
    here.patch("Workflow", "ask", {"metadata": {"annotations": {APPROVE: "approve approve_rollback admin"}}})
    status = here.ended("ask", "RolledBack")
    assert undone(here) == ["undo-a"]
    assert status["rollback"]["notUndone"] == ["final"]


def test_a_rollback_that_is_refused_undoes_nothing(here: Stage) -> None:
    final = run("final", irreversible=True, dependsOn=["a"])
    here.workflow("no", undone_by("a", "undo-a"), final, fails("final"), onFailure="rollback")
    here.await_status("Workflow", "no", phase="WaitingApproval")
    here.patch("Workflow", "no", {"metadata": {"annotations": {APPROVE: "reject approve_rollback admin"}}})
    here.ended("no", "Failed")
    assert undone(here) == []
    assert here.condition("Workflow", "no", "Succeeded")["reason"] == "RollbackIncomplete"


def test_preserve_successful_keeps_what_succeeded(here: Stage) -> None:
    spec = {"onFailure": "rollback", "rollback": {"preserveSuccessful": True}, "serviceAccountName": "builder"}
    one, two = apply("one", config("one", a="1")), apply("two", config("two", a="1"), {**config("three"), "dada": {}})
    here.workflow("keep", one, {**two, "dependsOn": ["one"], "retry": ONCE}, **spec)
    status = here.ended("keep", "RolledBack")
    assert status["steps"]["one"]["state"] == "Succeeded"
    assert here.find("ConfigMap", "one") is not None
    assert here.find("ConfigMap", "two") is None, "what the failed step left half done is undone"


def test_without_on_partial_failure_results_are_kept(here: Stage) -> None:
    spec = {"onFailure": "rollback", "rollback": {"onPartialFailure": False}}
    here.workflow("keep", undone_by("a", "undo-a"), fails("a"), **spec)
    status = here.ended("keep", "Failed")
    assert (status["steps"]["a"]["state"], undone(here)) == ("Succeeded", [])


def test_an_ended_run_is_undone_on_request(here: Stage) -> None:
    here.workflow("undo", undone_by("a", "undo-a"), apply("b", config("b", a="1")), serviceAccountName="builder")
    here.ended("undo", "Succeeded")
    status = here.again("undo", "rollback")
    assert (status["phase"], undone(here)) == ("RolledBack", ["undo-a"])
    assert here.find("ConfigMap", "b") is None


def test_a_call_is_undone_by_another_call_with_a_key_of_its_own(here: Stage, site: Site) -> None:
    undo = {"http": {"method": "DELETE", "url": site.url("/things/${workflow.name}")}}
    make = call("make", site.url("/things"), compensate=undo)
    here.workflow("thing", make, fails("make"), onFailure="rollback")
    here.ended("thing", "RolledBack")
    [made], [gone] = site.received("/things"), site.received("/things/thing")
    assert gone.method == "DELETE"
    assert made.key != gone.key


def test_the_items_that_succeeded_are_undone(here: Stage) -> None:
    each = undone_by("each", "undo-${item}", forEach={"items": ["x", "y"]})
    here.workflow("fan", each, fails("each"), onFailure="rollback")
    here.ended("fan", "RolledBack")
    assert sorted(undone(here)) == ["undo-x", "undo-y"]


def test_an_undoing_is_tried_again(here: Stage, site: Site) -> None:
    url = site.answers("/undo", (503, "later"), (500, "later"), (200, {}))
    make = run("make", compensate={"http": {"method": "POST", "url": url}}, retry=AT_ONCE)
    here.workflow("again", make, fails("make"), onFailure="rollback")
    here.ended("again", "RolledBack")
    assert len({request.key for request in site.received("/undo")}) == 1
    wait_until(lambda: len(site.received("/undo")) == 3, "it was asked three times")
