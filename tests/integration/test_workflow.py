"""Workflows on a real API server, with the operator as a process."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import wait_until
from tests.integration.engine import OperatorProcess, Operators, install_definitions, operators_of
from tests.integration.objects import Objects, run


@pytest.fixture(scope="module")
def started(
    cluster: Cluster, nats: NatsServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple]:
    install_definitions(cluster)
    graph = tmp_path_factory.mktemp("graph") / "graph.db"
    with operators_of(cluster, request) as fleet:
        flags = ("--nats-url", nats.url, "--graph-url", f"sqlite://{graph}")
        operator = fleet.start("operator", *flags)
        yield fleet, operator, graph, flags


@pytest.fixture
def objects(started: tuple, cluster: Cluster, namespace: str) -> Objects:
    return Objects(cluster, namespace)


@pytest.fixture
def graph(started: tuple) -> Path:
    return Path(started[2])


@pytest.fixture
def operator(started: tuple) -> OperatorProcess:
    return started[1]


def executions(graph: Path, workflow: str) -> list[tuple]:
    with sqlite3.connect(f"file:{graph}?mode=ro", uri=True) as connection:
        query = "SELECT step, item, try, outcome FROM executions WHERE workflow = ? ORDER BY step, item, try"
        return connection.execute(query, (workflow,)).fetchall()


def test_a_chain_succeeds_and_says_so_in_every_way(objects: Objects, graph: Path):
    objects.workflow("chain", run("a"), run("b", dependsOn=["a"]), run("c", dependsOn=["b"]))
    status = objects.finished("chain")["status"]
    assert (status["phase"], status["progress"], status["observedGeneration"]) == ("Succeeded", "3/3", 1)
    assert {row["type"]: row["status"] for row in status["conditions"]} == {
        "Ready": "True",
        "Recorded": "True",
        "Succeeded": "True",
    }
    assert [status["steps"][name]["tries"] for name in "abc"] == [1, 1, 1]
    assert len(objects.created("pods")) == 3
    assert executions(graph, "chain") == [(name, None, 1, "success") for name in "abc"]
    table = objects.kubectl("get", "workflow", "chain").splitlines()
    assert table[0].split() == ["NAME", "PHASE", "PROGRESS", "STEP", "WAITING-ON", "AGE"]


def test_finished_pods_are_let_go_and_marked_as_recorded(objects: Objects):
    objects.workflow("one", run("a"))
    objects.finished("one")

    def let_go() -> bool:
        (pod,) = objects.pods()
        return "finalizers" not in pod["metadata"] and pod["metadata"]["labels"].get("vapora.dev/recorded") == "true"

    wait_until(let_go, "the Pod is released")
    assert objects.pods()[0]["status"]["phase"] == "Succeeded", "its logs can still be read"


def test_a_failed_step_is_tried_again_and_then_fails_the_workflow(objects: Objects, graph: Path):
    ends = {"exit-code": "3", "message": "no such table"}
    objects.workflow("bad", run("a", ends=ends, retry={"maxAttempts": 2, "initialDelay": "100ms"}))
    found = objects.finished("bad")
    step = found["status"]["steps"]["a"]
    assert (step["state"], step["tries"], step["exitCode"], step["reason"]) == ("Failed", 2, 3, "ExitCode")
    assert objects.condition("Workflow", "bad", "Stalled")["status"] == "True"
    assert "no such table" in objects.condition("Workflow", "bad", "Succeeded")["message"]
    assert len(objects.created("pods")) == 2
    assert [row[3] for row in executions(graph, "bad")] == ["failure", "failure"]


ENDS = {
    "a container over its memory limit": ({"reason": "OOMKilled"}, "OOMKilled"),
    "a Pod that its node evicts": ({"reason": "Evicted"}, "Evicted"),
    "an image that cannot be pulled": ({"reason": "ImagePullBackOff"}, "ImagePullFailed"),
}


@pytest.mark.parametrize("case", ENDS)
def test_ends_are_told_by_their_reason(objects: Objects, case: str):
    ends, reason = ENDS[case]
    objects.workflow("end", run("a", ends=ends, retry={"maxAttempts": 1, "infrastructureAttempts": 1}))
    assert objects.finished("end")["status"]["steps"]["a"]["reason"] == reason


def test_a_timeout_stops_the_pod(objects: Objects):
    step = run("slow", ends={"duration": "forever"}, timeout="1s", retry={"maxAttempts": 1})
    objects.workflow("late", step)
    assert objects.finished("late")["status"]["steps"]["slow"]["reason"] == "TimedOut"
    wait_until(lambda: objects.pods() == [], "the Pod is gone")


def test_outputs_and_conditions_flow_between_steps(objects: Objects):
    objects.workflow(
        "flow",
        run("count", ends={"message": '{"rows": 3, "tables": ["a", "b"]}'}, outputs=["rows", "tables"]),
        run("each", forEach={"itemsFrom": "${steps.count.outputs.tables}"}),
        run("big", dependsOn=["count"], when="steps.count.outputs.rows > 10"),
        run("say", dependsOn=["big"], run={"args": ["rows=${rows}", "${region}"]}),
        params={"region": "eu"},
    )
    steps = objects.finished("flow")["status"]["steps"]
    assert steps["count"]["outputs"] == {"rows": 3, "tables": ["a", "b"]}
    assert steps["each"]["items"] == {"total": 2, "succeeded": "0-1"}
    assert (steps["big"]["state"], steps["big"]["reason"]) == ("Skipped", "WhenFalse")
    (pod,) = [pod for pod in objects.pods() if pod["metadata"]["labels"]["vapora.dev/step"] == "say"]
    assert pod["spec"]["containers"][0]["args"] == ["rows=3", "eu"]


def test_fifty_items_run_within_their_limit_and_stand_as_ranges(objects: Objects, graph: Path):
    objects.workflow("fan", run("f", forEach={"items": list(range(50)), "maxParallel": 8}), maxParallel=20)
    status = objects.finished("fan")["status"]
    assert status["steps"]["f"]["items"] == {"total": 50, "succeeded": "0-49"}
    assert len(objects.created("pods")) == 50
    wait_until(lambda: len(executions(graph, "fan")) == 50, "every item is recorded")


def test_cancel_stops_what_runs(objects: Objects):
    objects.workflow("stop", run("slow", ends={"duration": "forever"}), run("next", dependsOn=["slow"]))
    wait_until(lambda: objects.step("stop", "slow").get("state") == "Running", "the step runs")
    objects.patch("Workflow", "stop", {"metadata": {"annotations": {"vapora.dev/request": "cancel 1"}}})
    status = objects.finished("stop", within=45)["status"]
    assert (status["phase"], status["handledRequest"]) == ("Cancelled", "cancel 1")
    wait_until(lambda: objects.pods() == [], "the Pod is gone")


def test_a_deleted_workflow_takes_its_pods_with_it(objects: Objects):
    objects.workflow("gone", run("slow", ends={"duration": "forever"}))
    wait_until(lambda: len(objects.pods()) == 1, "its Pod is there")
    objects.delete("Workflow", "gone")
    wait_until(lambda: objects.pods() == [], "its Pod is gone", within=30)


def test_training_runs_as_a_job_on_a_gpu_node_with_its_evidence(objects: Objects):
    step = run("train", description="Train a convolutional neural network on X-ray images", run={"image": "trainer:1"})
    objects.workflow("learn", step)
    row = objects.finished("learn")["status"]["steps"]["train"]
    assert row["child"]["kind"] == "Job"
    assert row["ml"]["class"] == "gpuRequired"
    assert any("neural network" in found["term"] for found in row["ml"]["evidence"])
    (pod,) = objects.pods()
    assert pod["spec"]["nodeName"].startswith("gpu-")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_a_gpu_that_no_node_has_is_said_in_the_schedulers_words(objects: Objects):
    objects.workflow("vast", run("train", run={"resources": {"limits": {"nvidia.com/gpu": 512}}}))
    wait_until(lambda: "nvidia.com/gpu" in objects.step("vast", "train").get("message", ""), "the step says why")
    assert "train:" in objects.get("Workflow", "vast")["status"]["waitingOn"]


def test_a_step_that_has_started_keeps_its_spec_and_the_others_follow(objects: Objects):
    objects.workflow("pin", run("a", ends={"duration": "2s"}), run("b", dependsOn=["a"]))
    wait_until(lambda: objects.status("Workflow", "pin").get("revision"), "the run is pinned")
    objects.patch("Workflow", "pin", {"spec": {"steps": [run("a"), run("c", dependsOn=["a"])]}})
    objects.await_said("Workflow", "pin", "SpecOutdated", "True StepPinned")
    status = objects.finished("pin")["status"]
    assert set(status["steps"]) == {"a", "c"}
    (first,) = [pod for pod in objects.pods() if pod["metadata"]["labels"]["vapora.dev/step"] == "a"]
    assert first["metadata"]["annotations"]["sim.vapora.dev/duration"] == "2s"


def test_a_spec_that_is_put_right_runs(objects: Objects):
    steps = [run("a", dependsOn=["b"]), run("b", dependsOn=["a"])]
    objects.workflow("cycle", *steps)
    assert "a -> b -> a" in objects.await_said("Workflow", "cycle", "Stalled", "True InvalidSpec: ")
    assert objects.created("pods") == []
    objects.patch("Workflow", "cycle", {"spec": {"steps": [run("a"), run("b", dependsOn=["a"])]}})
    assert objects.finished("cycle")["status"]["phase"] == "Succeeded"


def test_a_field_that_is_not_built_is_refused_by_name(objects: Objects):
    objects.workflow("later", run("a"), logging={"level": "debug"})
    assert "spec.logging" in objects.await_said("Workflow", "later", "Stalled", "True NotSupported: ")


def test_what_admission_refuses_is_tried_again_until_it_is_allowed(objects: Objects):
    objects.create("ResourceQuota", "none", {"hard": {"pods": "0"}})
    wait_until(lambda: objects.status("ResourceQuota", "none"), "the quota counts")
    objects.workflow("quota", run("a", retry={"initialDelay": "1s", "infrastructureAttempts": 50, "maxDelay": "1s"}))
    wait_until(lambda: objects.step("quota", "a").get("reason") == "AdmissionRefused", "it says so")
    assert "exceeded quota" in objects.step("quota", "a")["message"]
    objects.delete("ResourceQuota", "none")
    found = objects.finished("quota")["status"]
    assert (found["phase"], found["steps"]["a"]["attempt"]) == ("Succeeded", 1)


def test_a_killed_operator_goes_on_where_it_was(objects: Objects, started: tuple, graph: Path):
    fleet, operator, _, flags = started
    assert isinstance(fleet, Operators)
    steps = [run(f"s{n}", ends={"duration": "300ms"}, **({"dependsOn": [f"s{n - 1}"]} if n else {})) for n in range(8)]
    objects.workflow("long", *steps)
    wait_until(lambda: objects.step("long", "s2"), "it is under way")
    operator.process.kill()
    operator.process.wait(10)
    objects.cluster.api.delete("/apis/coordination.k8s.io/v1/namespaces/lease-workflow/leases/vapora-operator")
    replaced = fleet.start("operator-again", *flags)
    started_again = objects.finished("long")
    assert started_again["status"]["phase"] == "Succeeded"
    assert len(objects.created("pods")) == 8
    assert len(executions(graph, "long")) == 8
    assert replaced.process.is_running
