"""What GitOps tools see of us on a real API server: nothing to do again, and no spec that the operator wrote into."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import wait_until
from tests.integration.engine import ROOT, install_definitions, operators_of
from tests.integration.objects import FINAL, MERGE, Json
from tests.integration.workflow.stage import TRUSTED, Stage
from tests.unit.gitops import argocd, flux, kstatus

SAMPLES = ROOT / "manifests" / "samples"
ARGO_CD = "system:serviceaccount:argocd:argocd-server"
OURS = "workflows,workflowtemplates,agentpools,taskservs,providers"
WAYS = {"client-side": (), "server-side": ("--server-side", "--field-manager=argocd-controller")}
# Who sets the size of these is somebody else: Git leaves it out.
SIZED = """
apiVersion: vapora.dev/v1alpha1
kind: AgentPool
metadata: {name: sized}
spec: {role: idle, template: {image: "nobody:1"}}
---
apiVersion: vapora.dev/v1alpha1
kind: AgentPool
metadata: {name: followed}
spec: {role: idle, template: {image: "nobody:1"}, scaling: {min: 1, max: 4}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: theirs}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: agentpool-followed}
  maxReplicas: 3
"""


@pytest.fixture(scope="module")
def operator(cluster: Cluster, nats: NatsServer, request: pytest.FixtureRequest) -> Iterator[tuple]:
    install_definitions(cluster)
    with operators_of(cluster, request) as fleet:
        yield fleet, fleet.start("operator", *TRUSTED, "--nats-url", nats.url)


@pytest.fixture
def here(cluster: Cluster, namespace: str, operator: tuple) -> Iterator[Stage]:
    here = Stage(cluster, namespace, *operator)
    here.prepare()
    yield here
    here.kubectl("delete", "agentpools", "--all", "--timeout=30s")


def write_repository(folder: Path) -> Path:
    """What stands in Git: the samples of every kind, and pools that others size."""
    names = ("hello", "template", "taskserv", "provider", "agent-task", "retry")
    for name in names:
        (folder / f"{name}.yaml").write_text((SAMPLES / f"{name}.yaml").read_text())
    (folder / "sized.yaml").write_text(SIZED)
    return folder


def list_ours(here: Stage) -> dict[str, Json]:
    found = json.loads(here.kubectl("get", OURS, "-o", "json", "--show-managed-fields"))["items"]
    return {f"{obj['kind']}/{obj['metadata']['name']}": obj for obj in found}


def is_settled(obj: Json) -> bool:
    status = obj.get("status", {})
    if obj["kind"] == "Workflow":
        return (
            status.get("phase") in FINAL or obj["metadata"]["name"] == "agent-task"
        )  # whose agents have no image here
    return any(row["type"] == "Ready" and row["status"] == "True" for row in status.get("conditions", []))


def find_written(obj: Json) -> set[str]:
    """The fields beside the status that somebody else than the one who applied it has written."""
    return {
        f"{entry['manager']}: {field}"
        for entry in obj["metadata"]["managedFields"]
        if entry.get("subresource") is None
        and entry["manager"] not in {"argocd-controller", "kubectl-client-side-apply"}
        for group, fields in entry["fieldsV1"].items()
        for field in ([group] if group != "f:metadata" else fields)
    }


def read_versions(objs: dict[str, Json]) -> dict[str, tuple[int, Json]]:
    return {name: (obj["metadata"]["generation"], obj["spec"]) for name, obj in objs.items()}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_applied_stays_as_it_is_and_applying_it_again_changes_nothing(
    here: Stage, tmp_path: Path, way: str
) -> None:
    repository, flags = str(write_repository(tmp_path)), WAYS[way]
    here.kubectl("apply", *flags, "-f", repository)
    applied = read_versions(list_ours(here))
    here.kubectl("scale", "agentpool/sized", "--replicas=2")
    wait_until(lambda: all(map(is_settled, list_ours(here).values())), "all of them are at rest", within=60)
    here.await_said("AgentPool", "followed", "ScalingActive", "False ForeignAutoscaler", within=30)
    settled = list_ours(here)
    assert set().union(*map(find_written, settled.values())) <= {"vapora: f:finalizers", "kubectl: f:spec"}
    assert applied == {**read_versions(settled), "AgentPool/sized": applied["AgentPool/sized"]}

    difference = here.cluster.kubectl("-n", here.namespace, "diff", *flags, "-f", repository, check=False)
    assert (difference.returncode, difference.stdout) == (0, "")
    here.kubectl("apply", *flags, "-f", repository)
    again = list_ours(here)
    assert read_versions(again) == read_versions(settled)
    assert again["AgentPool/sized"]["spec"]["replicas"] == 2

    for name, obj in again.items():
        if name != "Workflow/agent-task":
            want = ("Degraded", "Failed") if name == "Workflow/figures" else ("Healthy", "Current")
            assert (argocd.assess(obj)["status"], kstatus.compute(obj)) == want, name
            assert flux.evaluate(obj) == want[1], name


@pytest.fixture
def guarded(here: Stage) -> Iterator[Stage]:
    """With the policies that prove who approves, and the rights of Argo CD's server."""
    rights = ROOT / "kustomize" / "components" / "argocd" / "rights.yaml"
    here.cluster.kubectl("apply", "-k", str(ROOT / "kustomize" / "base" / "admission"))
    here.cluster.kubectl("apply", "-f", str(rights))
    yield here
    here.cluster.kubectl("delete", "-f", str(rights))


def act(here: Stage, kind: str, name: str, action: str) -> None:
    """Does what Argo CD's server does when somebody takes an action, with its rights."""
    obj = here.get(kind, name)
    assert argocd.discover(obj)[action], f"{action} is offered: {obj.get('status')}"
    headers = {**MERGE, "Impersonate-User": ARGO_CD}
    answer = here.cluster.api.patch(here.path(kind, name), headers=headers, json=argocd.act(obj, action))
    assert answer.status_code == 200, answer.text


def assess(here: Stage, name: str) -> str:
    return str(argocd.assess(here.get("Workflow", name))["status"])


def test_argo_cds_actions_do_what_they_say_within_its_rights(guarded: Stage, tmp_path: Path) -> None:
    here, repository = guarded, tmp_path / "release.yaml"
    repository.write_text((SAMPLES / "approval.yaml").read_text())
    name = next(yaml.safe_load_all(repository.read_text()))["metadata"]["name"]
    here.kubectl("apply", "-f", str(repository))
    here.await_status("Workflow", name, phase="WaitingApproval")
    assert assess(here, name) == "Suspended"
    act(here, "Workflow", name, "pause")
    wait_until(lambda: "pausedAt" in here.status("Workflow", name), "it is paused")
    act(here, "Workflow", name, "resume")
    wait_until(lambda: "pausedAt" not in here.status("Workflow", name), "it goes on")
    act(here, "Workflow", name, "approve")
    assert here.ended(name, "Succeeded")["steps"]["gate"]["outputs"] == {"approvedBy": [ARGO_CD]}
    assert assess(here, name) == "Healthy"
    difference = here.cluster.kubectl("-n", here.namespace, "diff", "-f", str(repository), check=False)
    assert (difference.returncode, difference.stdout) == (0, ""), "the application is still Synced"

    here.workflow("long", {"name": "wait", "wait": {"for": "1h"}})
    here.await_status("Workflow", "long", phase="Running")
    act(here, "Workflow", "long", "cancel")
    here.ended("long", "Cancelled")
    assert assess(here, "long") == "Suspended"
    act(here, "Workflow", "long", "retry")
    here.await_status("Workflow", "long", phase="Running")


def test_the_scripts_reach_argo_cds_own_configuration(tmp_path: Path, cluster: Cluster) -> None:
    """As somebody includes the component where Argo CD is installed."""
    (tmp_path / "argocd.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata: {url: https://argo}\n"
    )
    (tmp_path / "flux.yaml").write_text(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: fleet}\nspec: {wait: true}\n"
    )
    components = ROOT / "kustomize" / "components"
    folder = tmp_path / "components"
    for name in ("argocd", "flux"):
        (folder / name).mkdir(parents=True)
        for file in (components / name).iterdir():
            (folder / name / file.name).write_text(file.read_text())
    text = {"resources": ["argocd.yaml", "flux.yaml"], "components": ["components/argocd", "components/flux"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(text))
    built = list(yaml.safe_load_all(cluster.kubectl("kustomize", str(tmp_path)).stdout))
    config = next(obj for obj in built if obj["kind"] == "ConfigMap")
    assert config["data"] == {"url": "https://argo", **argocd.load_customizations()}
    checked = next(obj for obj in built if obj["kind"] == "Kustomization")
    assert checked["spec"] == {"wait": True, "healthCheckExprs": flux.load_checks()}
