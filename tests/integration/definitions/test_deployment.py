"""The published definition files, deployed by the published workflow, scaled by the other one, and upgraded."""

import sys
import time
from pathlib import Path

import pytest
from tests.cluster.waiting import wait_until
from tests.integration.definitions.copies import needs_inputs
from tests.integration.definitions.fleet import Fleet, find, import_files
from tests.integration.objects import Json
from tests.integration.taskserv.services import CRASHING
from tests.integration.workflow.site import Site

from vapora.core.agentpool.presets import load_presets

pytestmark = needs_inputs
DEPLOYMENT = "deploy-vapora-full-stack"
SERVICES = {
    "nats",
    "redis",
    "surrealdb",
    "vapora-backend",
    "vapora-frontend",
    "vapora-llm-router",
    "vapora-mcp-gateway",
}
WAITING = 11  # tasks


@pytest.fixture(scope="module")
def imported(published: Path) -> list[Json]:
    return import_files(published)


@pytest.fixture(scope="module")
def deployed(fleet: Fleet, imported: list[Json]) -> float:
    """The published deployment, run to its end; the seconds it took."""
    began = time.monotonic()
    fleet.submit(imported, DEPLOYMENT)
    fleet.ended(DEPLOYMENT, "Succeeded")
    return time.monotonic() - began


def test_the_published_deployment_makes_seven_services_and_twelve_pools_and_tells(
    fleet: Fleet, deployed: float, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fleet.phases() == dict.fromkeys(SERVICES, "Healthy")
    assert fleet.pools() == dict.fromkeys(load_presets(), True)
    steps = fleet.status("Workflow", DEPLOYMENT)["steps"]
    assert (len(steps), {row["state"] for row in steps.values()}) == (10, {"Succeeded"})
    assert fleet.get("HTTPRoute", "vapora-frontend")["spec"]["hostnames"] == ["vapora.example.com"]
    told = site.await_request("/slack")
    assert told.body == {"text": "VAPORA deployment completed successfully!"}
    with capsys.disabled():
        sys.stdout.write(f"\nthe published deployment took {deployed:.0f} s\n")


def queue_tasks(fleet: Fleet, pool: str) -> None:
    """Give a pool eleven tasks, which nobody takes, and wait until they are counted."""
    step = {"name": "tasks", "agent": {"pool": pool, "taskType": "coding", "title": "task ${item}"}}
    step["forEach"] = {"items": list(range(WAITING))}
    fleet.agents.workflow(f"load-{pool}", step, maxParallel=WAITING)
    fleet.agents.await_status("AgentPool", pool, queued=WAITING)


def scale(fleet: Fleet, published: Path, folder: Path, role: str, phase: str) -> Json:
    """Run the published scaling for a role, as it stands."""
    values = folder / "values.yaml"
    values.write_text(f"AGENT_ROLE: {role}\n")
    objects = import_files(published / "vapora-wrksp" / "workflows" / "scale-agents.yaml", values=values)
    if fleet.find("Workflow", "scale-agents"):
        fleet.delete("Workflow", "scale-agents")
    wait_until(lambda: fleet.find("Workflow", "scale-agents") is None, "the former scaling is gone")
    fleet.apply(find(objects, "Workflow", "scale-agents"))
    return fleet.ended("scale-agents", phase)


def test_a_pool_of_a_fixed_size_grows_by_two_when_eleven_tasks_wait(
    fleet: Fleet, published: Path, tmp_path: Path, deployed: float
) -> None:
    queue_tasks(fleet, "tester")
    status = scale(fleet, published, tmp_path, "tester", "Succeeded")
    assert status["steps"]["decide-scaling"]["outputs"] == {"action": "scale_up", "scale_to": 3}
    assert fleet.agents.get("AgentPool", "tester")["spec"]["replicas"] == 3


def test_a_pool_that_follows_its_queue_keeps_the_size_that_the_operator_gives_it(
    fleet: Fleet, published: Path, tmp_path: Path, deployed: float
) -> None:
    queue_tasks(fleet, "developer")
    status = scale(fleet, published, tmp_path, "developer", "Failed")
    row = status["steps"]["execute-scaling"]
    assert (row["state"], row["reason"]) == ("Failed", "ReplicasOwned"), row


def test_a_version_that_breaks_the_service_goes_back_by_itself(fleet: Fleet, deployed: float) -> None:
    all_at_once = {"upgrade": {"strategy": "recreate"}}
    fleet.patch("Taskserv", "vapora-backend", {"spec": {"version": "0.2.0", "podTemplate": CRASHING, **all_at_once}})
    said = fleet.await_said("Taskserv", "vapora-backend", "RolledBack", "True ContainerCrashing: ", within=60)
    assert "exit code 3: no such table: users" in said
    fleet.await_status("Taskserv", "vapora-backend", phase="Healthy", version="0.1.0", within=60)
