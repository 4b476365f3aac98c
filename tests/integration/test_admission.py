"""What a real API server says to the definitions, and to specs that make no sense."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until

from vapora.api.kinds import API_VERSION, KINDS

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
CRDS = ROOT / "crds"
ADMISSION = ROOT / "kustomize" / "base" / "admission"
WORKFLOWS = "/apis/vapora.dev/v1alpha1/namespaces/{}/workflows"
MERGE = {"Content-Type": "application/merge-patch+json"}
RUN: Json = {"image": "tool:1"}


def build(kind: str, spec: Json, name: str = "sample") -> Json:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def build_workflow(*steps: Json, name: str = "sample", **spec: Any) -> Json:
    return build("Workflow", {"steps": list(steps), **spec}, name)


def step(name: str, **fields: Any) -> Json:
    return {"name": name, **(fields or {"run": RUN})}


def run(name: str, **fields: Any) -> Json:
    return {"name": name, "run": RUN, **fields}


SELF_DEPENDENT = build_workflow(run("a", dependsOn=["a"]))


def apply(cluster: Cluster, manifest: Json, *flags: str) -> tuple[int, str]:
    """Apply with kubectl; the exit code and the last lines of what it says."""
    done = cluster.kubectl("apply", "-n", "default", "-f", "-", *flags, input=json.dumps(manifest), check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def is_refused(cluster: Cluster, manifest: Json) -> bool:
    return apply(cluster, manifest, "--dry-run=server")[0] != 0


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Cluster:
    """The cluster with the definitions and the policy, both in force."""
    cluster.kubectl("apply", "-f", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    cluster.kubectl("apply", "-k", str(ADMISSION))
    wait_until(lambda: is_refused(cluster, SELF_DEPENDENT), "the policy is in force")
    return cluster


def test_applying_the_definitions_again_changes_nothing(installed: Cluster) -> None:
    said = installed.kubectl("apply", "-f", str(CRDS)).stdout.splitlines()
    assert len(said) == len(KINDS)
    assert [line for line in said if not line.endswith(" unchanged")] == []


def test_the_api_server_finds_the_definitions_structural_and_their_names_free(installed: Cluster) -> None:
    for crd in json.loads(installed.kubectl("get", "-f", str(CRDS), "-o", "json").stdout)["items"]:
        found = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
        assert found == {"NamesAccepted": "True", "Established": "True"}, crd["metadata"]["name"]


def test_the_expressions_of_the_policy_compile(installed: Cluster) -> None:
    policy = installed.kubectl("get", "validatingadmissionpolicy", "workflow-spec.vapora.dev", "-o", "json").stdout
    assert json.loads(policy).get("status", {}).get("typeChecking", {}).get("expressionWarnings", []) == []


DENIED = "ValidatingAdmissionPolicy 'workflow-spec.vapora.dev' with binding 'workflow-spec.vapora.dev' denied request: "
DURATION = r"([0-9]+|([0-9]+(\.[0-9]+)?d)?([0-9]+(\.[0-9]+)?h)?([0-9]+(\.[0-9]+)?m)?([0-9]+(\.[0-9]+)?s)?"
REFUSED = {
    "a step that is not there": (
        build_workflow(run("a"), run("b", dependsOn=["c"])),
        DENIED + 'spec.steps: step "b" names "c", which is not there; the steps are a, b',
    ),
    "a soft edge to a step that is not there": (
        build_workflow(run("a", edges=[{"name": "c", "type": "soft"}])),
        DENIED + 'spec.steps: step "a" names "c", which is not there; the steps are a',
    ),
    "independence of a step that is not there": (
        build_workflow(step("a", agent={"role": "reviewer", "independentOf": ["c"]})),
        DENIED + 'spec.steps: step "a" names "c", which is not there; the steps are a',
    ),
    "a step that waits for itself": (
        SELF_DEPENDENT,
        DENIED + 'spec.steps: step "a" waits for itself; allowed are other steps',
    ),
    "a name that stands twice": (
        build_workflow(run("a"), run("b"), run("a")),
        DENIED + 'spec.steps: the name "a" stands twice; names must be unique, also among onCompletion',
    ),
    "a completion step with the name of a step": (
        build_workflow(run("a"), onCompletion=[run("a")]),
        DENIED + 'spec.steps: the name "a" stands twice; names must be unique, also among onCompletion',
    ),
    "an order among completion steps": (
        build_workflow(run("a"), onCompletion=[run("b", dependsOn=["a"])]),
        DENIED + 'spec.onCompletion: step "b" takes no dependsOn or edges; its steps run in list order',
    ),
    "neither steps nor a template": (
        build("Workflow", {}),
        DENIED + "spec: exactly one of steps and templateRef is needed",
    ),
    "steps and a template": (
        build_workflow(run("a"), templateRef={"name": "t"}),
        DENIED + "spec: exactly one of steps and templateRef is needed",
    ),
    "an agent step that names nobody": (
        build_workflow(step("a", agent={"title": "x"})),
        DENIED + 'spec.steps: step "a": agent names nobody; one of role, pool, capabilities is needed',
    ),
    "a pool and a role": (
        build_workflow(step("a", agent={"pool": "p", "role": "r"})),
        DENIED + 'spec.steps: step "a": agent.pool stands alone; allowed is either pool, or role and capabilities',
    ),
    "items twice": (
        build_workflow(run("a", forEach={"items": [1], "itemsFrom": "${params.x}"})),
        DENIED + 'spec.steps: step "a": forEach needs exactly one of items and itemsFrom',
    ),
    "two waits for nothing": (
        build_workflow(step("a", wait={}), step("b", wait={})),
        DENIED + 'spec.steps: step "a": wait needs exactly one of for and until (and 1 more)',
    ),
    "a wait without an object": (
        build_workflow(step("a", wait={"until": "true"})),
        DENIED + 'spec.steps: step "a": wait.until needs an object to look at',
    ),
    "two things to scale": (
        build_workflow(step("a", scale={"pool": "p", "taskserv": "t", "replicas": 1})),
        DENIED + 'spec.steps: step "a": scale needs exactly one of pool and taskserv',
    ),
    "a timeout that approves for others": (
        build_workflow(step("a", approval={"approvers": {"users": ["u"]}, "onTimeout": "approve"})),
        DENIED + 'spec.steps: step "a": approval.onTimeout approve is allowed only without approvers',
    ),
    "a Secret among the manifests": (
        build_workflow(step("a", apply={"manifests": [{"apiVersion": "v1", "kind": "Secret"}]})),
        DENIED + 'spec.steps: step "a": apply takes no Secret; make it beforehand and refer to it',
    ),
    "a template of a template": (
        build("WorkflowTemplate", {"workflow": {"templateRef": {"name": "t"}}}),
        DENIED + "spec.workflow.templateRef: a template holds its own steps",
    ),
    "an unknown step in a template": (
        build("WorkflowTemplate", {"workflow": {"steps": [run("a", dependsOn=["c"])]}}),
        DENIED + 'spec.workflow.steps: step "a" names "c", which is not there; the steps are a',
    ),
    "two bodies": (
        build_workflow(run("a", http={"url": "http://example.com"})),
        '"spec.steps[0]" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ),
    "no body": (
        build_workflow({"name": "a"}),
        '"spec.steps[0]" must validate one and only one schema (oneOf). Found none valid',
    ),
    "a bad duration": (
        build_workflow(run("a", timeout="5 m")),
        f'spec.steps[0].timeout: Invalid value: "5 m": spec.steps[0].timeout in body should match \'^({DURATION}',
    ),
    "units in the wrong order": (
        build_workflow(run("a"), deadline="30m1h"),
        f'spec.deadline: Invalid value: "30m1h": spec.deadline in body should match \'^{DURATION}',
    ),
    "a negative duration": (
        build_workflow(run("a", timeout=-1)),
        "spec.steps[0].timeout: Invalid value: -1: spec.steps[0].timeout in body should be greater than or equal to 0",
    ),
    "true as a duration": (
        build_workflow(run("a", timeout=True)),
        "spec.steps[0].timeout in body must be of type integer,string",
    ),
    "no steps": (build_workflow(), "spec.steps in body should have at least 1 items"),
    "an upper-case step name": (
        build_workflow(run("Build")),
        'spec.steps[0].name: Invalid value: "Build": spec.steps[0].name in body should match',
    ),
    "a field that is not there": (
        build_workflow(run("a", dependOn=["b"])),
        'strict decoding error: unknown field "spec.steps[0].dependOn"',
    ),
    "too long a name": (
        build_workflow(run("a"), name="a" * 53),
        "metadata.name: Too long: may not be more than 52 bytes",
    ),
    "a pool's name with a dot": (
        build("AgentPool", {"role": "r", "template": RUN}, name="a.b"),
        "metadata.name: Invalid value: \"a.b\": metadata.name in body should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'",
    ),
    "too long a pool's name": (
        build("AgentPool", {"role": "r", "template": RUN}, name="a" * 41),
        "metadata.name: Too long: may not be more than 40 bytes",
    ),
    "a pool without an image": (
        build("AgentPool", {"role": "r", "template": {}}),
        "spec.template.image: Required value",
    ),
    "a service whose name begins with a digit": (
        build("Taskserv", RUN, name="1a"),
        "metadata.name: Invalid value: \"1a\": metadata.name in body should match '^[a-z]([-a-z0-9]*[a-z0-9])?$'",
    ),
    "two health checks": (
        build("Taskserv", {**RUN, "healthCheck": {"path": "/", "tcp": True}}),
        '"spec.healthCheck" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ),
}


@pytest.mark.parametrize(("manifest", "message"), REFUSED.values(), ids=REFUSED)
def test_a_spec_without_meaning_is_refused_at_apply_with_its_place(
    installed: Cluster, manifest: Json, message: str
) -> None:
    code, said = apply(installed, manifest, "--dry-run=server")
    assert code == 1
    assert message in said


ACCEPTED = {
    "an optional edge to a step that is not there": build_workflow(
        run("a", edges=[{"name": "c", "type": "optional"}]),
    ),
    "a workflow from a template": build("Workflow", {"templateRef": {"name": "t"}, "params": {"a": [1, None, {}]}}),
    "an expression as a duration of a step": build_workflow(run("a", timeout="${params.patience}")),
    "a template with a schedule": build(
        "WorkflowTemplate", {"workflow": {"steps": [run("a")]}, "schedule": {"cron": "* * * * *"}}
    ),
    "any field of a pod": build_workflow(
        step("a", run={**RUN, "podTemplate": {"spec": {"dnsPolicy": "None"}}, "tolerations": [{"operator": "Exists"}]})
    ),
    "a port by its name": build("Taskserv", {**RUN, "healthCheck": {"path": "/", "port": "web"}}),
    "a provider of a plug-in": build("Provider", {"type": "acme"}),
}


@pytest.mark.parametrize("manifest", ACCEPTED.values(), ids=ACCEPTED)
def test_a_spec_with_a_meaning_is_accepted(installed: Cluster, manifest: Json) -> None:
    assert apply(installed, manifest, "--dry-run=server")[0] == 0


def build_wide_workflow(edges: int) -> Json:
    steps = [run(f"step-{i}", dependsOn=[f"step-{j}" for j in range(max(0, i - edges), i)]) for i in range(1000)]
    return build_workflow(*steps)


@pytest.mark.parametrize("edges", [2, 64])
def test_a_thousand_steps_are_within_what_the_policy_may_cost(installed: Cluster, edges: int) -> None:
    answer = installed.api.post(WORKFLOWS.format("default"), params={"dryRun": "All"}, json=build_wide_workflow(edges))
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("wrong", [{"name": "step-0"}, {"dependsOn": ["nobody"]}, {"dependsOn": ["step-999"]}], ids=str)
def test_the_last_of_a_thousand_steps_is_looked_at_too(installed: Cluster, wrong: Json) -> None:
    manifest = build_wide_workflow(2)
    manifest["spec"]["steps"][-1].update(wrong)
    answer = installed.api.post(WORKFLOWS.format("default"), params={"dryRun": "All"}, json=manifest)
    assert answer.status_code in {403, 422}
    assert next(iter(wrong.values()))[0][:4] in answer.json()["message"]


@pytest.fixture
def stored_mistake(installed: Cluster, namespace: str) -> str:
    """The path of a Workflow that was stored before the policy was there."""
    binding = "validatingadmissionpolicybinding"
    installed.kubectl("delete", binding, "workflow-spec.vapora.dev")
    try:
        wait_until(lambda: not is_refused(installed, SELF_DEPENDENT), "the policy is gone")
        installed.api.post(WORKFLOWS.format(namespace), json=SELF_DEPENDENT).raise_for_status()
    finally:
        installed.kubectl("apply", "-k", str(ADMISSION))
        wait_until(lambda: is_refused(installed, SELF_DEPENDENT), "the policy is in force")
    return f"{WORKFLOWS.format(namespace)}/sample"


def test_the_policy_looks_at_changed_specs_only(installed: Cluster, stored_mistake: str) -> None:
    def patch(path: str, body: Json) -> int:
        return installed.api.patch(path, headers=MERGE, content=json.dumps(body)).status_code

    assert patch(f"{stored_mistake}/status", {"status": {"phase": "Failed"}}) == 200
    assert patch(stored_mistake, {"metadata": {"annotations": {"vapora.dev/request": "cancel 1"}}}) == 200
    assert patch(stored_mistake, {"spec": {"maxParallel": 5}}) == 422


def test_applying_a_workflow_again_changes_nothing(installed: Cluster, namespace: str) -> None:
    manifest = json.dumps(build_workflow(run("a", retry={"maxAttempts": 5}), run("b", dependsOn=["a"])))
    said = [installed.kubectl("apply", "-n", namespace, "-f", "-", input=manifest).stdout.split()[-1] for _ in range(2)]
    assert said == ["created", "unchanged"]


def test_defaults_are_filled_in_outside_of_lists_only(installed: Cluster) -> None:
    manifest = build_workflow(run("a", retry={"maxAttempts": 5}), retry={"maxAttempts": 4})
    answer = installed.api.post(WORKFLOWS.format("default"), params={"dryRun": "All"}, json=manifest)
    spec = answer.json()["spec"]
    assert spec["steps"] == manifest["spec"]["steps"]
    assert spec["retry"]["initialDelay"] == "5s"
    assert (spec["maxParallel"], spec["onFailure"], spec["serviceAccountName"]) == (10, "fail", "default")


@dataclass(frozen=True)
class Table:
    """What `kubectl get` shows of an object with this status."""

    manifest: Json
    status: Json
    header: str
    row: str
    flags: tuple[str, ...] = field(default=())


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
    "a workflow": Table(build_workflow(run("a")), RUNNING, WORKFLOW_HEADER, "sample Running 6/9 build developer <age>"),
    "a workflow in full": Table(
        build_workflow(run("a")),
        RUNNING,
        f"{WORKFLOW_HEADER} COST RETRIES ETA MESSAGE",
        "sample Running 6/9 build developer <age> 12 2 2030-01-02T03:04:05Z 6 of 9 steps ended",
        ("-o", "wide"),
    ),
    "a pool": Table(
        build("AgentPool", {"role": "developer", "template": RUN}),
        {"readyReplicas": 5, "desiredReplicas": 7, "busy": 4, "queued": 12, "lastDecision": {"trigger": "nats"}},
        "NAME ROLE READY DESIRED BUSY QUEUED TRIGGER PAUSED AGE",
        "sample developer 5 7 4 12 nats false <age>",
    ),
    "a service": Table(
        build("Taskserv", RUN),
        {"phase": "Waiting", "version": "0.1.0", "readyReplicas": 0, "waitingOn": "nats"},
        "NAME PHASE VERSION READY WAITING-ON AGE",
        "sample Waiting 0.1.0 0 nats <age>",
    ),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_kubectl_get_shows_how_things_stand(installed: Cluster, namespace: str, table: Table) -> None:
    resource = f"{table.manifest['kind'].lower()}s"
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/{resource}"
    installed.api.post(path, json=table.manifest).raise_for_status()
    status = json.dumps({"status": table.status})
    installed.api.patch(f"{path}/sample/status", headers=MERGE, content=status).raise_for_status()
    header, row = installed.kubectl("get", resource, "-n", namespace, *table.flags).stdout.splitlines()
    assert " ".join(header.split()) == table.header
    cells, wanted = row.split(), table.row.split()
    assert [cell if word != "<age>" else word for cell, word in zip(cells, wanted, strict=True)] == wanted


def test_workflows_are_found_by_phase_and_in_the_category(installed: Cluster, namespace: str) -> None:
    for name, phase in (("one", "Running"), ("two", "Failed")):
        installed.api.post(WORKFLOWS.format(namespace), json=build_workflow(run("a"), name=name)).raise_for_status()
        path = f"{WORKFLOWS.format(namespace)}/{name}/status"
        installed.api.patch(path, headers=MERGE, content=json.dumps({"status": {"phase": phase}})).raise_for_status()
    found = installed.kubectl("get", "vwf", "-n", namespace, "--field-selector", "status.phase=Failed", "-o", "name")
    assert found.stdout.split() == ["workflow.vapora.dev/two"]
    everything = installed.kubectl("get", "vapora", "-n", namespace, "-o", "name").stdout.split()
    assert everything == ["workflow.vapora.dev/one", "workflow.vapora.dev/two"]


def test_a_pool_is_scaled_by_kubectl_scale(installed: Cluster, namespace: str) -> None:
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/agentpools"
    installed.api.post(path, json=build("AgentPool", {"role": "r", "template": RUN})).raise_for_status()
    installed.kubectl("scale", "apool/sample", "-n", namespace, "--replicas=3")
    status = json.dumps({"status": {"replicas": 2, "selector": "a=b"}})
    installed.api.patch(f"{path}/sample/status", headers=MERGE, content=status).raise_for_status()
    scale = installed.api.get(f"{path}/sample/scale").json()
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


def test_a_status_write_of_a_thousand_steps_keeps_no_ownership_of_single_rows(
    installed: Cluster, namespace: str
) -> None:
    installed.api.post(WORKFLOWS.format(namespace), json=build_wide_workflow(2)).raise_for_status()
    rows = {f"step-{i}": {"state": "Succeeded", "tries": 1, "attempt": 1} for i in range(1000)}
    path = f"{WORKFLOWS.format(namespace)}/sample/status"
    answer = installed.api.patch(path, headers=MERGE, content=json.dumps({"status": {"steps": rows}}))
    assert len(answer.json()["status"]["steps"]) == 1000
    assert len(json.dumps(answer.json()["metadata"]["managedFields"])) < 2048
