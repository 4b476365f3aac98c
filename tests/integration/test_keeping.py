"""What runs keep and share on a real API server: large outputs, a workspace, places, and how long they stay."""

from collections.abc import Iterator

import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import OperatorProcess, Operators, install_definitions, operators_of
from tests.integration.objects import Json, Objects, run

WORDS = '{"words": "' + "x" * 3000 + '"}'
BIG = [{"name": "big", "from": "[result.words, result.words]"}]
FOREVER = {"duration": "forever"}


@pytest.fixture(scope="module")
def fleet(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Operators]:
    install_definitions(cluster)
    with operators_of(cluster, request) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def started(fleet: Operators) -> list[OperatorProcess]:
    """The operator that works; a test that ends it puts another there."""
    return [fleet.start("first")]


@pytest.fixture
def objects(started: list[OperatorProcess], cluster: Cluster, namespace: str) -> Objects:
    return Objects(cluster, namespace)


def restart(fleet: Operators, started: list[OperatorProcess]) -> None:
    started[0].process.kill()
    started[0] = fleet.start(f"after-{started[0].process.name}")


def request(objects: Objects, name: str, verb: str) -> None:
    objects.patch("Workflow", name, {"metadata": {"annotations": {"vapora.dev/request": f"{verb} 1"}}})


def await_pod(objects: Objects, step: str) -> Json:
    selector = f"vapora.dev/step={step}"
    return wait_until(lambda: (objects.pods(selector) or [None])[0], f"step {step} has a Pod")


def test_a_large_output_stands_apart_and_outlives_the_operator(
    objects: Objects, fleet: Operators, started: list[OperatorProcess]
):
    slow = run("hold", ends={"duration": "3s"}, dependsOn=["give"])
    last = run("take", dependsOn=["hold"], when="size(steps.give.outputs.big) == 2", run={"args": ["${big}"]})
    objects.workflow("large", run("give", ends={"message": WORDS}, outputsFrom=BIG), slow, last)
    wait_until(lambda: objects.step("large", "give").get("outputRef"), "its output stands apart")
    restart(fleet, started)
    status = objects.finished("large")["status"]
    assert (status["phase"], status["steps"]["take"]["state"]) == ("Succeeded", "Succeeded")
    keepsake = objects.get("ConfigMap", status["steps"]["give"]["outputRef"])
    assert (keepsake["immutable"], "outputs" in status["steps"]["give"]) == (True, False)
    [pod] = objects.pods("vapora.dev/step=take")
    assert pod["spec"]["containers"][0]["args"][0].count("x") == 6000
    objects.delete("Workflow", "large")
    wait_until(lambda: objects.find("ConfigMap", keepsake["metadata"]["name"]) is None, "it goes with its run")


def test_run_steps_share_a_workspace(objects: Objects):
    steps = [run("a"), run("b", dependsOn=["a"], run={"executor": "Job"})]
    objects.workflow("shared", *steps, workspace={"size": "1Gi", "storageClass": "simulated"})
    assert objects.finished("shared")["status"]["phase"] == "Succeeded"
    [claim] = objects.all("PersistentVolumeClaim", "vapora.dev/workflow")
    assert (claim["spec"]["accessModes"], claim["spec"]["storageClassName"]) == (["ReadWriteOnce"], "simulated")
    for step in ("a", "b"):
        spec = await_pod(objects, step)["spec"]
        claims = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in spec["volumes"]]
        assert claim["metadata"]["name"] in claims
        assert "/workspace" in [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]


def test_a_workspace_that_is_refused_fails_the_step_with_the_servers_words(objects: Objects):
    objects.create("ResourceQuota", "none", {"hard": {"persistentvolumeclaims": "0"}})
    wait_until(lambda: objects.status("ResourceQuota", "none").get("hard"), "the quota counts", within=60)
    step = run("a", retry={"maxAttempts": 1, "infrastructureAttempts": 1})
    objects.workflow("poor", step, workspace={"size": "1Gi"})
    row = objects.finished("poor")["status"]["steps"]["a"]
    assert (row["reason"], "exceeded quota" in row["message"]) == ("AdmissionRefused", True)
    assert objects.pods() == []


def test_one_of_a_key_runs_and_the_next_follows_it(objects: Objects, fleet: Operators, started: list[OperatorProcess]):
    objects.workflow("older", run("one", ends=FOREVER), concurrency={"key": "deploy"})
    await_pod(objects, "one")
    objects.workflow("newer", run("two"), concurrency={"key": "deploy"})
    waits = objects.await_said("Workflow", "newer", "Succeeded", "Unknown ConcurrencyLimit")
    assert "waits for older" in waits
    assert "waits for older" in objects.kubectl("get", "workflow", "newer")
    restart(fleet, started)
    request(objects, "older", "cancel")
    assert objects.finished("newer")["status"]["phase"] == "Succeeded"
    ended = objects.status("Workflow", "older")["finishedAt"]
    assert objects.status("Workflow", "newer")["startedAt"] >= ended


def test_a_newer_one_takes_the_place_of_the_older_where_it_says_so(objects: Objects):
    objects.workflow("older", run("one", ends=FOREVER), concurrency={"key": "deploy"})
    await_pod(objects, "one")
    wait_until(lambda: objects.step("older", "one").get("state") == "Running", "the older one runs")
    objects.workflow("newer", run("two"), concurrency={"key": "deploy", "onBusy": "cancelOlder"})
    assert objects.finished("newer")["status"]["phase"] == "Succeeded"
    assert objects.said("Workflow", "older")["Succeeded"].startswith("False Superseded: it makes room for")


def test_an_expired_run_that_was_applied_stays_without_what_it_made(objects: Objects):
    objects.workflow("kept", run("give", ends={"message": WORDS}, outputsFrom=BIG), run("b"), ttlAfterFinished="2s")
    before = objects.finished("kept")["status"]
    wait_until(lambda: objects.status("Workflow", "kept").get("shrunkAt"), "it has shrunk")
    for kind in ("Pod", "ConfigMap", "ControllerRevision"):
        assert objects.all(kind, "vapora.dev/workflow") == []
    after = objects.status("Workflow", "kept")
    for field in ("phase", "progress", "startedAt", "finishedAt"):
        assert after[field] == before[field]
    assert set(after["steps"]["give"]) == {"state", "tries", "attempt", "startedAt", "finishedAt"}


def test_an_expired_run_that_was_submitted_goes(objects: Objects):
    body = {
        "apiVersion": "vapora.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "once", "labels": {"vapora.dev/created-by": "cli"}},
        "spec": {"steps": [run("a")], "ttlAfterFinished": "1s"},
    }
    objects.cluster.api.post(objects.path("Workflow"), json=body).raise_for_status()
    wait_until(lambda: objects.find("Workflow", "once") is None, "it is gone", within=30)
    wait_until(lambda: objects.pods() == [], "its Pod went with it", within=30)


def test_a_spec_above_700_kibibytes_is_refused_by_name(objects: Objects):
    steps = [run(f"s{number}", run={"args": ["x" * 8000]}) for number in range(95)]
    objects.workflow("heavy", *steps)
    said = objects.await_said("Workflow", "heavy", "Stalled", "True SpecTooLarge")
    assert "allowed are 716800" in said
