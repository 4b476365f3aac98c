"""Workflows whose containers are real."""

import json
import shlex

import pytest
from tests.cluster.waiting import wait_until
from tests.e2e.world import OPERATOR, SYSTEM, World, shell
from tests.integration.objects import Json
from tests.integration.readme import read_quick_start


def test_the_quick_start_goes_as_the_readme_says(here: World) -> None:
    _, *commands = read_quick_start()
    said = {}
    for line in commands:
        program, *words = shlex.split(line)
        said[line] = here.vapora(*words) if program == "vapora" else here.kubectl(*words)
    assert "Succeeded" in said["kubectl get workflow hello"]
    assert here.log("hello", "hello") == ["Hello, world!"]
    assert here.step("agent-task", "ask")["outputs"] == {"words": ["one", "two", "three"]}


def test_outputs_logs_and_exit_codes_are_those_of_the_containers(here: World) -> None:
    here.workflow(
        "chain",
        shell("count", "echo counting; echo '{\"lines\": 41}' > /dev/termination-log", outputs=["lines"]),
        shell(
            "report",
            'echo "found $((LINES + 1))"; exit 3',
            env={"LINES": "${steps.count.outputs.lines}"},
            retry={"maxAttempts": 2, "initialDelay": "100ms"},
        ),
    )
    status = here.finished("chain", within=120)["status"]
    assert status["steps"]["count"]["outputs"] == {"lines": 41}
    report = status["steps"]["report"]
    assert (report["state"], report["reason"], report["exitCode"], report["tries"]) == ("Failed", "ExitCode", 3, 2)
    assert here.log("chain", "count") == ["counting"]
    assert here.log("chain", "report") == ["found 42", "try 2 found 42"]


ENDS: dict[str, tuple[str, Json, str]] = {
    "a container over its memory limit": (
        "exec tail /dev/zero",
        {"resources": {"requests": {"memory": "16Mi"}, "limits": {"memory": "32Mi"}}},
        "OOMKilled",
    ),
    "an image that no registry has": ("true", {"image": "missing.example/nothing:1"}, "ImagePullFailed"),
    "a try that lasts too long": ("sleep 300", {"timeout": "3s"}, "TimedOut"),
    "a pod that takes more of the disk than it may": (
        "dd if=/dev/zero of=/tmp/filled bs=1M count=64; sleep 300",
        {"resources": {"requests": {"ephemeral-storage": "8Mi"}, "limits": {"ephemeral-storage": "16Mi"}}},
        "Evicted",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_an_end_is_told_by_its_reason(here: World, case: str) -> None:
    script, fields, reason = ENDS[case]
    here.workflow("end", shell("a", script, retry={"maxAttempts": 1, "infrastructureAttempts": 1}, **fields))
    step = here.finished("end", within=240)["status"]["steps"]["a"]
    assert (step["state"], step["reason"]) == ("Failed", reason), step


def test_a_gate_opens_when_somebody_approves(here: World) -> None:
    here.vapora("workflow", "run", "manifests/samples/approval.yaml")
    wait_until(lambda: here.step("release", "gate").get("state") == "WaitingApproval", "it asks", within=90)
    here.vapora("workflow", "approve", "release")
    status = here.succeeded("release")
    approver = status["steps"]["gate"]["outputs"]["approvedBy"]
    assert here.log("release", "deploy") == [f"deploying, as {json.dumps(approver)} said"]


def test_what_was_applied_is_taken_back(here: World) -> None:
    account = f"--serviceaccount={here.namespace}:default"
    here.kubectl("create", "rolebinding", "publisher", "--clusterrole=edit", account)
    operator = f"--serviceaccount={SYSTEM}:vapora-operator"
    here.kubectl("create", "rolebinding", "vapora-tenant", "--clusterrole=vapora-tenant", operator)
    serving = {"containers": [{"name": "shop", "image": OPERATOR, "command": ["python", "-m", "http.server"]}]}
    labels = {"matchLabels": {"app": "shop"}}
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": serving}
    shop = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {"replicas": 1, "selector": labels, "template": template},
    }
    here.workflow(
        "rollout",
        {"name": "shop", "apply": {"manifests": [shop]}},
        shell("check", "exit 1", dependsOn=["shop"], retry={"maxAttempts": 1}),
        onFailure="rollback",
    )
    assert here.finished("rollout", within=180)["status"]["phase"] == "RolledBack"
    wait_until(lambda: here.find("Deployment", "shop") is None, "the Deployment is gone")


def test_a_workflow_goes_on_under_an_operator_that_replaces_the_former(here: World) -> None:
    here.workflow("long", shell("first", "sleep 15; echo first"), shell("second", "echo second", dependsOn=["first"]))
    wait_until(lambda: here.step("long", "first").get("state") == "Running", "the first step runs", within=90)
    here.cluster.kubectl("rollout", "restart", "-n", SYSTEM, "deployment/vapora-operator")
    here.cluster.kubectl("rollout", "status", "-n", SYSTEM, "deployment/vapora-operator", "--timeout=180s")
    status = here.succeeded("long", within=180)
    assert {name: row["tries"] for name, row in status["steps"].items()} == {"first": 1, "second": 1}
    assert here.log("long", "first") == ["first"]


def test_a_step_that_fills_its_node_is_evicted(here: World) -> None:
    """Only a node of our own may be filled: one of 2 GiB, which is short of disk below a tenth of them."""
    if not hasattr(here.cluster, "node"):
        pytest.skip("the node of an existing cluster is not filled")
    fill = shell("fill", "dd if=/dev/zero of=/room/filled bs=1M count=1900; sleep 300")
    fill["run"] |= {"volumes": [{"name": "room", "emptyDir": {}}]}
    fill["run"] |= {"volumeMounts": [{"name": "room", "mountPath": "/room"}]}
    here.workflow("full", {**fill, "retry": {"maxAttempts": 1, "infrastructureAttempts": 1}})
    step = here.finished("full", within=240)["status"]["steps"]["fill"]
    assert (step["state"], step["reason"]) == ("Failed", "Evicted"), step
