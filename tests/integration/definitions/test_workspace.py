"""The example of a workspace: deployed, upgraded in vain and with success, and recovered, by its own workflows."""

from pathlib import Path

import pytest
from tests.integration.definitions.copies import WORKSPACE, copy_changed
from tests.integration.definitions.fleet import Fleet, find, import_files
from tests.integration.objects import Json
from tests.integration.workflow.site import Site

from vapora.core.agentpool.presets import load_presets

UPGRADED = ("vapora-backend", "vapora-llm-router", "vapora-mcp-gateway", "vapora-frontend")
CLAIM: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
IMPATIENT = '[health_check]\npath = "/health"'
NO_SUCH = "0.3.0-does-not-exist"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, with a backend that goes back when a version has not started after five seconds."""
    impatient = {IMPATIENT: f'[upgrade]\nprogress_deadline = "5s"\n\n{IMPATIENT}'}
    folder = tmp_path_factory.mktemp("workspace")
    return copy_changed(WORKSPACE, folder, {"taskservs/vapora-backend.toml": impatient})


@pytest.fixture(scope="module")
def deployed(fleet: Fleet, workspace: Path) -> Fleet:
    """The fleet, as the example's deployment makes it."""
    parts = [workspace / name for name in ("kcl", "taskservs", "workflows/deploy.yaml")]
    fleet.submit(import_files(*parts, values=workspace / "env" / "prod.yaml"), "deploy-fleet")
    fleet.ended("deploy-fleet", "Succeeded")
    fleet.create("PersistentVolumeClaim", "vapora-backup", CLAIM)
    return fleet


def run(fleet: Fleet, workspace: Path, name: str, phase: str, **params: str) -> Json:
    """Run a workflow of the example, with these params, to its end in a phase."""
    workflow = import_workflow(workspace, name)
    workflow["spec"]["params"] |= params
    workflow["metadata"] = {"name": f"{name}-{phase.lower()}", "namespace": fleet.namespace}
    fleet.apply(workflow)
    return fleet.ended(workflow["metadata"]["name"], phase)


def import_workflow(workspace: Path, name: str) -> Json:
    return find(import_files(workspace / "workflows" / f"{name}.yaml"), "Workflow", name)


def versions(fleet: Fleet) -> set[str]:
    """The versions that run of what an upgrade is about."""
    return {fleet.status("Taskserv", name)["version"] for name in UPGRADED}


def test_the_deployment_makes_eight_services_and_twelve_pools_and_tells(deployed: Fleet, site: Site) -> None:
    phases = deployed.phases()
    assert (len(phases), set(phases.values())) == (8, {"Healthy"})
    assert deployed.pools() == dict.fromkeys(load_presets(), True)
    assert site.await_request("/slack").body == {"text": "The fleet is deployed."}


def test_an_upgrade_brings_every_layer_to_its_version(deployed: Fleet, workspace: Path) -> None:
    run(deployed, workspace, "upgrade-vapora", "Succeeded")
    assert versions(deployed) == {"0.2.0"}
    pools = {row["metadata"]["name"]: row["spec"]["template"]["image"] for row in deployed.agents.all("AgentPool")}
    assert (pools["reviewer"], pools["developer"]) == ("vapora/agents:reviewer-0.2.0", "vapora/agents:developer-0.2.0")
    assert set(deployed.pools().values()) == {True}


def test_an_upgrade_to_what_never_starts_brings_every_layer_back(deployed: Fleet, workspace: Path) -> None:
    before = versions(deployed)
    status = run(deployed, workspace, "upgrade-vapora", "RolledBack", VERSION=NO_SUCH)
    row = status["steps"]["core"]
    assert f'Back-off pulling image "vapora/backend:{NO_SUCH}"' in row["message"], row
    for name in UPGRADED:
        deployed.await_status("Taskserv", name, phase="Healthy")
    assert versions(deployed) == before


def test_a_recovery_asks_first_then_restores_verifies_and_checks(deployed: Fleet, workspace: Path, site: Site) -> None:
    workflow = import_workflow(workspace, "disaster-recovery")
    workflow["spec"]["params"] |= {"VERIFY_URL": site.url("/health")}
    deployed.apply(workflow)
    deployed.await_status("Workflow", "disaster-recovery", phase="WaitingApproval")
    assert deployed.step("disaster-recovery", "restore").get("state", "Pending") != "Succeeded"
    deployed.approve("disaster-recovery", "confirm")
    deployed.ended("disaster-recovery", "Succeeded")
    assert site.await_request("/health")
