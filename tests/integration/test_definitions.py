"""What a real API server and kubectl make of the definitions: what is filled in, shown, found, scaled and explained."""

import json
from dataclasses import dataclass, field

import pytest
from tests.cluster.access import Cluster
from tests.integration.engine import CRDS, install_definitions
from tests.integration.objects import RUN, Json, Objects, build_wide_workflow, build_workflow, run

from vapora.api.kinds import KINDS


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Cluster:
    """The cluster with the definitions in force."""
    install_definitions(cluster)
    return cluster


@pytest.fixture
def objects(installed: Cluster, namespace: str) -> Objects:
    return Objects(installed, namespace)


def test_applying_the_definitions_again_changes_nothing(installed: Cluster) -> None:
    said = installed.kubectl("apply", "-f", str(CRDS)).stdout.splitlines()
    assert len(said) == len(KINDS)
    assert [line for line in said if not line.endswith(" unchanged")] == []


def test_the_api_server_finds_the_definitions_structural_and_their_names_free(installed: Cluster) -> None:
    for crd in json.loads(installed.kubectl("get", "-f", str(CRDS), "-o", "json").stdout)["items"]:
        found = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
        assert found == {"NamesAccepted": "True", "Established": "True"}, crd["metadata"]["name"]


def test_applying_a_workflow_again_changes_nothing(installed: Cluster, namespace: str) -> None:
    manifest = json.dumps(build_workflow(run("a", retry={"maxAttempts": 5}), run("b", dependsOn=["a"])))
    said = [installed.kubectl("apply", "-n", namespace, "-f", "-", input=manifest).stdout.split()[-1] for _ in range(2)]
    assert said == ["created", "unchanged"]


def test_defaults_are_filled_in_outside_of_lists_only(objects: Objects) -> None:
    step = run("a", retry={"maxAttempts": 5})
    spec = objects.workflow("sample", step, retry={"maxAttempts": 4})["spec"]
    assert spec["steps"] == [step]
    assert spec["retry"]["initialDelay"] == "5s"
    assert (spec["maxParallel"], spec["onFailure"], spec["serviceAccountName"]) == (10, "fail", "default")


@dataclass(frozen=True)
class Table:
    """What `kubectl get` shows of an object with this status."""

    kind: str
    spec: Json
    status: Json
    header: str
    row: str
    flags: tuple[str, ...] = field(default=())


STEPS: Json = {"steps": [run("a")]}
CONDITION = {"type": "Succeeded", "status": "Unknown", "reason": "Progressing", "message": "6 of 9 steps ended"}
RUNNING = {
    "phase": "Running",
    "progress": "6/9",
    "currentStep": "build",
    "waitingOn": "developer",
    "costCents": 12,
    "retries": 2,
    "estimatedFinish": "2030-01-02T03:04:05Z",
    "conditions": [CONDITION],
}
WORKFLOW_HEADER = "NAME PHASE PROGRESS STEP WAITING-ON AGE"
TABLES = {
    "a workflow": Table("Workflow", STEPS, RUNNING, WORKFLOW_HEADER, "sample Running 6/9 build developer <age>"),
    "a workflow in full": Table(
        "Workflow",
        STEPS,
        RUNNING,
        f"{WORKFLOW_HEADER} COST RETRIES ETA MESSAGE",
        "sample Running 6/9 build developer <age> 12 2 2030-01-02T03:04:05Z 6 of 9 steps ended",
        ("-o", "wide"),
    ),
    "a pool": Table(
        "AgentPool",
        {"role": "developer", "template": RUN},
        {"readyReplicas": 5, "desiredReplicas": 7, "busy": 4, "queued": 12, "lastDecision": {"trigger": "nats"}},
        "NAME ROLE READY DESIRED BUSY QUEUED TRIGGER PAUSED AGE",
        "sample developer 5 7 4 12 nats false <age>",
    ),
    "a service": Table(
        "Taskserv",
        RUN,
        {"phase": "Waiting", "version": "0.1.0", "readyReplicas": 0, "waitingOn": "nats"},
        "NAME PHASE VERSION READY WAITING-ON AGE",
        "sample Waiting 0.1.0 0 nats <age>",
    ),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_kubectl_get_shows_how_things_stand(objects: Objects, table: Table) -> None:
    objects.create(table.kind, "sample", table.spec)
    objects.patch(table.kind, "sample", {"status": table.status}, "status")
    header, row = objects.kubectl("get", f"{table.kind.lower()}s", *table.flags).splitlines()
    assert " ".join(header.split()) == table.header
    cells, wanted = row.split(), table.row.split()
    assert [cell if word != "<age>" else word for cell, word in zip(cells, wanted, strict=True)] == wanted


def test_workflows_are_found_by_phase_and_in_the_category(objects: Objects) -> None:
    for name, phase in (("one", "Running"), ("two", "Failed")):
        objects.workflow(name, run("a"))
        objects.patch("Workflow", name, {"status": {"phase": phase}}, "status")
    found = objects.kubectl("get", "vwf", "--field-selector", "status.phase=Failed", "-o", "name")
    assert found.split() == ["workflow.vapora.dev/two"]
    everything = objects.kubectl("get", "vapora", "-o", "name").split()
    assert everything == ["workflow.vapora.dev/one", "workflow.vapora.dev/two"]


def test_a_pool_is_scaled_by_kubectl_scale(objects: Objects) -> None:
    objects.create("AgentPool", "sample", {"role": "r", "template": RUN})
    objects.kubectl("scale", "apool/sample", "--replicas=3")
    objects.patch("AgentPool", "sample", {"status": {"replicas": 2, "selector": "a=b"}}, "status")
    scale = objects.cluster.api.get(objects.path("AgentPool", "sample", "scale")).json()
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})


EXPLAINED = {
    "workflow.spec.steps.run.env": "`secret:<name>:<key>` takes the value from a Secret",
    "workflow.status.steps": "Every step that is not simply waiting, by name.",
    "agentpool.spec.scaling": "How the size follows the queue",
    "taskserv.spec.upgrade.canary": "How a canary grows.",
    "provider.spec.limits": "What its interface bears.",
    "workflowtemplate.spec.schedule.cron": "Five fields, as in cron.",
}


@pytest.mark.parametrize(("field_path", "text"), EXPLAINED.items(), ids=EXPLAINED)
def test_kubectl_explain_tells_what_a_field_is(installed: Cluster, field_path: str, text: str) -> None:
    assert text in " ".join(installed.kubectl("explain", field_path).stdout.split())


def test_a_status_write_of_a_thousand_steps_keeps_no_ownership_of_single_rows(objects: Objects) -> None:
    objects.create("Workflow", "sample", build_wide_workflow(2)["spec"])
    rows = {f"step-{i}": {"state": "Succeeded", "tries": 1, "attempt": 1} for i in range(1000)}
    written = objects.patch("Workflow", "sample", {"status": {"steps": rows}}, "status")
    assert len(written["status"]["steps"]) == 1000
    assert len(json.dumps(written["metadata"]["managedFields"])) < 2048
