"""An operator that is killed in the middle of something: the next one ends it as it would have ended."""

from datetime import UTC, datetime

import pytest
from tests.cluster.waiting import wait_until
from tests.integration.objects import run
from tests.integration.workflow.site import Site
from tests.integration.workflow.stage import FOREVER, ONCE, Stage, apply, call, config, deployment, undone_by


def test_a_call_that_was_under_way_is_repeated_with_its_key(here: Stage, site: Site) -> None:
    gate = site.holds("/slow")
    ask = call("ask", site.url("/slow"), outputsFrom=[{"name": "status", "from": "result.status"}])
    here.workflow("slow", ask, run("then", dependsOn=["ask"]))
    first = site.await_request("/slow")
    here.crash()
    second = site.await_request("/slow", 2)
    gate.set()
    step = here.ended("slow", "Succeeded")["steps"]["ask"]
    assert (first.key, step["tries"], step["outputs"]) == (second.key, 1, {"status": 200})
    assert here.tries("slow") == {"then": 1}


def test_a_call_that_may_be_made_once_at_most_is_not_repeated(here: Stage, site: Site) -> None:
    gate = site.holds("/once")
    here.workflow("once", call("ask", site.url("/once"), atMostOnce=True))
    site.await_request("/once")
    here.crash()
    step = here.ended("once", "Failed")["steps"]["ask"]
    gate.set()
    assert (step["reason"], step["tries"]) == ("OutcomeUnknown", 1)
    assert len(site.received("/once")) == 1


def test_a_retry_of_a_call_whose_outcome_is_unknown_repeats_its_key(here: Stage, site: Site) -> None:
    gate = site.holds("/twice")
    here.workflow("twice", call("ask", site.url("/twice"), atMostOnce=True))
    first = site.await_request("/twice")
    here.crash()
    here.ended("twice", "Failed")
    gate.set()
    assert here.again("twice", "retry")["phase"] == "Succeeded"
    assert [request.key for request in site.received("/twice")] == [first.key] * 2


def test_an_apply_goes_on_waiting_and_is_undone_as_it_was_written_down(here: Stage) -> None:
    here.kubectl("create", "configmap", "old", "--from-literal=level=info")
    slow = deployment("slow")
    slow["spec"]["template"]["metadata"]["annotations"] = {"sim.vapora.dev/never-ready": "yes"}
    one = apply("one", config("old", more="1"), config("new", a="1"), slow)
    fails = run("fails", ends={"exit-code": "1"}, retry=ONCE, dependsOn=["one"])
    here.workflow("apply", one, fails, onFailure="rollback", serviceAccountName="builder")
    wait_until(lambda: "looks" in here.step("apply", "one").get("memory", {}), "it waits for the Deployment")
    here.crash()
    [pod] = here.pods("app=slow")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    notes = {"sim.vapora.dev/never-ready": None, "sim.vapora.dev/ready-at": now}
    here.patch("Pod", pod["metadata"]["name"], {"metadata": {"annotations": notes}})
    status = here.ended("apply", "RolledBack", within=40)
    assert (status["steps"]["one"]["state"], status["steps"]["one"]["tries"]) == ("Compensated", 1)
    assert here.get("ConfigMap", "old")["data"] == {"level": "info"}
    assert here.find("ConfigMap", "new") is None
    assert here.find("Deployment", "slow") is None


def test_a_rollback_goes_on(here: Stage) -> None:
    slow = run("b", compensate={"run": run("x", ends=FOREVER)["run"]}, dependsOn=["a"])
    fails = run("fails", ends={"exit-code": "1"}, retry=ONCE, dependsOn=["b"])
    here.workflow("undo", undone_by("a", "undo-a"), slow, fails, onFailure="rollback")
    here.pod("b_undo")
    here.await_status("Workflow", "undo", phase="RollingBack")
    here.crash()
    here.end_pod("b_undo")
    here.ended("undo", "RolledBack")
    assert here.tries("undo") == {"a": 1, "a_undo": 1, "b": 1, "b_undo": 1, "fails": 1}


def test_a_completion_step_goes_on_and_the_outcome_stays(here: Stage) -> None:
    last = run("last", ends=FOREVER, runOn="failure")
    here.workflow("end", run("a", ends={"exit-code": "3"}, retry=ONCE), onCompletion=[last, run("bye")])
    here.pod("last")
    here.await_status("Workflow", "end", outcome="Failed")
    here.crash()
    here.end_pod("last")
    status = here.ended("end", "Failed")
    assert here.condition("Workflow", "end", "Succeeded")["reason"] == "ExitCode"
    assert [status["steps"][name]["state"] for name in ("last", "bye")] == ["Succeeded"] * 2
    assert here.tries("end") == {"a": 1, "bye": 1, "last": 1}


def test_a_paused_run_stays_paused(here: Stage) -> None:
    here.workflow("rest", run("a", ends=FOREVER), run("b", dependsOn=["a"]))
    here.await_step("rest", "a", state="Running")
    here.ask("rest", "pause")
    here.await_status("Workflow", "rest", phase="Paused")
    here.crash()
    here.end_pod("a")
    here.await_step("rest", "a", state="Succeeded")
    assert here.status("Workflow", "rest")["phase"] == "Paused"
    here.ask("rest", "resume")
    here.ended("rest", "Succeeded")
    assert here.tries("rest") == {"a": 1, "b": 1}


@pytest.mark.parametrize("verb", ["cancel", "terminate"])
def test_what_was_asked_while_nobody_looked_is_done(here: Stage, verb: str) -> None:
    here.workflow("ask", run("a", ends=FOREVER), onCompletion=[run("bye")])
    here.await_step("ask", "a", state="Running")
    here.operator.process.kill()
    here.operator.process.wait(10)
    here.ask("ask", verb)
    here.crash()
    status = here.ended("ask", "Cancelled")
    assert ("bye" in status["steps"]) == (verb == "cancel")
