"""Runs that start again on the same object, and runs whose spec is edited, with the operator as a process."""

from tests.integration.objects import run
from tests.integration.workflow.site import Site
from tests.integration.workflow.stage import FOREVER, ONCE, Stage, call


def test_a_retry_goes_on_from_what_failed(here: Stage) -> None:
    chain = [run("a"), run("b", ends=FOREVER, retry=ONCE, dependsOn=["a"]), run("c", dependsOn=["b"])]
    here.workflow("mend", *chain)
    here.await_step("mend", "b", state="Running")
    here.end_pod("b", 1)
    assert here.ended("mend", "Failed")["steps"]["b"]["reason"] == "ExitCode"
    asked = here.ask("mend", "retry")
    here.await_step("mend", "b", state="Running", tries=2)
    here.end_pod("b")
    status = here.ended("mend", "Succeeded")
    assert status["handledRequest"] == asked
    assert here.tries("mend") == {"a": 1, "b": 2, "c": 1}
    assert here.said("Workflow", "mend").keys() == {"Ready", "Succeeded"}


def test_a_retry_from_a_step_runs_it_and_all_that_follows(here: Stage) -> None:
    here.workflow("from", run("a"), run("b", dependsOn=["a"]), run("c", dependsOn=["b"]), run("d", dependsOn=["a"]))
    here.ended("from", "Succeeded")
    assert here.again("from", "retry/b")["phase"] == "Succeeded"
    assert here.tries("from") == {"a": 1, "b": 2, "c": 2, "d": 1}


def test_a_retry_after_a_rollback_does_what_was_undone_again(here: Stage, site: Site) -> None:
    url = site.answers("/gate", (400, "closed"))
    a = run("a", compensate={"run": {"image": "busybox"}})
    here.workflow("redo", a, call("gate", url, dependsOn=["a"], retry=ONCE), onFailure="rollback")
    here.ended("redo", "RolledBack")
    site.answers("/gate", (200, {}))
    assert here.again("redo", "retry")["phase"] == "Succeeded"
    assert here.step("redo", "a")["state"] == "Succeeded"
    assert len(here.created("pods")) == 3


def test_a_retry_of_a_call_repeats_no_key(here: Stage, site: Site) -> None:
    url = site.answers("/mood", (400, "no"))
    here.workflow("mood", call("ask", url, retry=ONCE))
    here.ended("mood", "Failed")
    site.answers("/mood", (200, {}))
    assert here.again("mood", "retry")["phase"] == "Succeeded"
    assert len({request.key for request in site.received("/mood")}) == 2


def test_a_retry_of_a_success_is_refused_and_said(here: Stage) -> None:
    here.workflow("fine", run("a"))
    here.ended("fine", "Succeeded")
    assert here.again("fine", "retry")["phase"] == "Succeeded"
    assert here.tries("fine") == {"a": 1}
    assert any(reason == "RequestRefused" for reason, _ in here.events("fine"))


def test_a_failed_for_each_runs_only_its_failed_items_again(here: Stage, site: Site) -> None:
    site.answers("/items/2", (400, "no"))
    each = call("each", site.url("/items/${item}"), forEach={"items": [0, 1, 2, 3], "maxParallel": 1}, retry=ONCE)
    here.workflow("items", each)
    assert here.ended("items", "Failed")["steps"]["each"]["items"]["failedIndices"] == "2"
    site.answers("/items/2", (200, {}))
    asked = here.again("items", "retry")["steps"]["each"]["items"]
    assert asked == {"total": 4, "succeeded": "0-3", "formerTries": 1}
    assert [len(site.received(f"/items/{item}")) for item in range(4)] == [1, 1, 2, 1]


def test_a_changed_spec_runs_again_but_for_what_is_unchanged(here: Stage) -> None:
    steps = [run("a"), run("b", dependsOn=["a"]), run("c", dependsOn=["b"])]
    here.workflow("change", *steps, rerunOnChange="Always")
    here.ended("change", "Succeeded")
    steps[1]["run"]["args"] = ["anew"]
    here.patch("Workflow", "change", {"spec": {"steps": steps}})
    here.await_status("Workflow", "change", observedGeneration=2, phase="Succeeded")
    tried = here.tries("change")
    assert (tried["a"], tried["b"]) == (1, 2)


def test_a_changed_spec_is_ignored_and_said_otherwise(here: Stage) -> None:
    here.workflow("keep", run("a"))
    here.ended("keep", "Succeeded")
    here.patch("Workflow", "keep", {"spec": {"steps": [run("z")]}})
    here.await_status("Workflow", "keep", observedGeneration=2)
    assert here.said("Workflow", "keep")["SpecOutdated"].startswith("True SpecChanged")
    assert here.tries("keep") == {"a": 1}


def test_steps_that_have_not_started_may_be_edited_added_and_taken_away(here: Stage) -> None:
    a = run("a", ends=FOREVER)
    here.workflow("edit", a, run("b", dependsOn=["a"]), run("gone", dependsOn=["a"]))
    here.await_step("edit", "a", state="Running")
    b = run("b", dependsOn=["a"], run={"args": ["edited"]})
    here.patch("Workflow", "edit", {"spec": {"steps": [a, b, run("new", dependsOn=["b"])]}})
    here.await_status("Workflow", "edit", observedGeneration=2, progress="0/3")
    here.end_pod("a")
    status = here.ended("edit", "Succeeded")
    assert set(status["steps"]) == {"a", "b", "new"}
    assert here.pod("b")["spec"]["containers"][0]["args"] == ["edited"]
    assert "SpecOutdated" not in here.said("Workflow", "edit")


def test_a_step_that_has_started_keeps_what_it_began_with_and_this_is_said(here: Stage) -> None:
    here.workflow("pin", run("a", ends=FOREVER), run("b", dependsOn=["a"]))
    here.await_step("pin", "a", state="Running")
    here.patch("Workflow", "pin", {"spec": {"steps": [run("a", run={"args": ["late"]}), run("c", dependsOn=["a"])]}})
    said = here.await_said("Workflow", "pin", "SpecOutdated", "True StepPinned")
    assert said.endswith("started keep what they began with: a")
    here.end_pod("a")
    assert set(here.ended("pin", "Succeeded")["steps"]) == {"a", "c"}
    assert here.tries("pin") == {"a": 1, "c": 1}


def test_an_edit_that_makes_no_sense_is_not_followed_and_this_is_said(here: Stage) -> None:
    here.workflow("odd", run("a", ends=FOREVER), run("b", dependsOn=["a"]))
    here.await_step("odd", "a", state="Running")
    circle = [run("b", dependsOn=["c"]), run("c", dependsOn=["b"])]  # which no admission policy can see
    here.patch("Workflow", "odd", {"spec": {"steps": [run("a", ends=FOREVER), *circle]}})
    here.await_said("Workflow", "odd", "SpecOutdated", "True InvalidSpec: the edited spec is not followed")
    here.end_pod("a")
    assert here.tries("odd").keys() <= {"a", "b"}
    assert set(here.ended("odd", "Succeeded")["steps"]) == {"a", "b"}
