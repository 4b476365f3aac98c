"""What a real API server says to specs that make no sense, and that it says nothing to the others."""

import json

import httpx
import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import ROOT, install_definitions
from tests.integration.objects import MERGE, RUN, Json, Objects, build, build_wide_workflow, build_workflow, run

ADMISSION = ROOT / "kustomize" / "base" / "admission"
SELF_DEPENDENT = build_workflow(run("a", dependsOn=["a"]))


def step(name: str, **fields: object) -> Json:
    return {"name": name, **fields}


def apply(cluster: Cluster, manifest: Json, *flags: str) -> tuple[int, str]:
    """Apply with kubectl; the exit code and the last lines of what it says."""
    done = cluster.kubectl("apply", "-n", "default", "-f", "-", *flags, input=json.dumps(manifest), check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def is_refused(cluster: Cluster, manifest: Json) -> bool:
    return apply(cluster, manifest, "--dry-run=server")[0] != 0


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Cluster:
    """The cluster with the definitions and the policy, both in force."""
    install_definitions(cluster)
    cluster.kubectl("apply", "-k", str(ADMISSION))
    wait_until(lambda: is_refused(cluster, SELF_DEPENDENT), "the policy is in force")
    return cluster


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
    "approvers that are computed": (
        build_workflow(step("a", approval={"approvers": {"groups": ["${params.x}"]}})),
        DENIED + 'spec.steps: step "a": approval.approvers takes names, not ${...}: who may approve is not computed',
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


def try_out(cluster: Cluster, workflow: Json) -> httpx.Response:
    """Return what the API server would answer to a new Workflow."""
    return cluster.api.post(Objects(cluster, "default").path("Workflow"), params={"dryRun": "All"}, json=workflow)


@pytest.mark.parametrize("edges", [2, 64])
def test_a_thousand_steps_are_within_what_the_policy_may_cost(installed: Cluster, edges: int) -> None:
    answer = try_out(installed, build_wide_workflow(edges))
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("wrong", [{"name": "step-0"}, {"dependsOn": ["nobody"]}, {"dependsOn": ["step-999"]}], ids=str)
def test_the_last_of_a_thousand_steps_is_looked_at_too(installed: Cluster, wrong: Json) -> None:
    manifest = build_wide_workflow(2)
    manifest["spec"]["steps"][-1].update(wrong)
    answer = try_out(installed, manifest)
    assert answer.status_code in {403, 422}
    assert next(iter(wrong.values()))[0][:4] in answer.json()["message"]


@pytest.fixture
def stored_mistake(installed: Cluster, namespace: str) -> Objects:
    """The namespace of a Workflow that was stored before the policy was there."""
    objects = Objects(installed, namespace)
    installed.kubectl("delete", "validatingadmissionpolicybinding", "workflow-spec.vapora.dev")
    try:
        wait_until(lambda: not is_refused(installed, SELF_DEPENDENT), "the policy is gone")
        objects.create("Workflow", "sample", SELF_DEPENDENT["spec"])
    finally:
        installed.kubectl("apply", "-k", str(ADMISSION))
        wait_until(lambda: is_refused(installed, SELF_DEPENDENT), "the policy is in force")
    return objects


def test_the_policy_looks_at_changed_specs_only(stored_mistake: Objects) -> None:
    def patch(body: Json, subresource: str = "") -> int:
        path = stored_mistake.path("Workflow", "sample", subresource)
        return stored_mistake.cluster.api.patch(path, headers=MERGE, json=body).status_code

    assert patch({"status": {"phase": "Failed"}}, "status") == 200
    assert patch({"metadata": {"annotations": {"vapora.dev/request": "cancel 1"}}}) == 200
    assert patch({"spec": {"maxParallel": 5}}) == 422
