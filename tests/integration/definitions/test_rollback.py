"""The published deployment where something of it fails: all of it is undone, and what was there before stays."""

from pathlib import Path

import pytest
from tests.cluster.waiting import wait_until
from tests.integration.definitions.copies import DEPLOYMENT, copy_changed, needs_inputs
from tests.integration.definitions.fleet import (
    Fleet,
    assert_undone_in_reverse,
    find,
    import_files,
    list_edges,
    list_undone,
)
from tests.integration.objects import Json
from tests.integration.taskserv.services import CRASHING

pytestmark = needs_inputs
NAME = "deploy-vapora-full-stack"
SHORT = {f"timeout: {time}\n": "timeout: 20s\n" for time in ("1h", "30m", "10m")}
# The two steps that are to fail do so once.
SHORT |= {f"timeout: {time}\n": "timeout: 20s\n      retry: {max_attempts: 1}\n" for time in ("15m", "5m")}
MADE = ["deploy-agents", "deploy-core", "deploy-data"]


@pytest.fixture
def before(fleet: Fleet, published: Path) -> Json:
    """A store that somebody runs already, smaller than the files define it."""
    store = dict(find(import_files(published, catalog=False), "Taskserv", "nats"))
    store["spec"] = {**store["spec"], "replicas": 1}
    fleet.apply(store)
    fleet.await_status("Taskserv", "nats", phase="Healthy")
    return fleet.get("Taskserv", "nats")


def assert_all_undone(fleet: Fleet, before: Json, status: Json, workflow: Json) -> None:
    """Check that nothing is left but what was there before, and that as it was."""
    assert_undone_in_reverse(status, list_edges(workflow))
    assert [step for step in list_undone(status) if step in MADE][-2:] == ["deploy-core", "deploy-data"]
    assert set(MADE) <= set(list_undone(status))
    fleet.await_status("Taskserv", "nats", phase="Healthy")
    assert (fleet.phases(), fleet.pools()) == ({"nats": "Healthy"}, {})
    wait_until(lambda: not fleet.all("Deployment"), "no service and no add-on is left")
    after = fleet.get("Taskserv", "nats")
    for field in ("uid", "generation"):
        assert after["metadata"][field] == before["metadata"][field]
    assert after["spec"] == before["spec"]


def test_an_image_that_never_starts_is_told_in_the_kubelets_words_and_all_is_undone(
    fleet: Fleet, published: Path, before: Json, tmp_path: Path
) -> None:
    broken = {"vapora/frontend:0.1.0": "missing.example/frontend:0.1.0"}
    changes = {DEPLOYMENT: SHORT, "vapora-wrksp/kcl/services.k": broken}
    objects = import_files(copy_changed(published, tmp_path, changes))
    fleet.submit(objects, NAME)
    status = fleet.ended(NAME, "RolledBack")
    row = status["steps"]["deploy-frontend"]
    assert 'ImagePullBackOff: Back-off pulling image "missing.example/frontend:0.1.0"' in row["message"]
    assert "vapora-frontend" in row["message"]
    assert_all_undone(fleet, before, status, find(objects, "Workflow", NAME))
    fleet.clear()


def test_a_service_that_degrades_after_its_deployment_fails_the_health_check_and_all_is_undone(
    fleet: Fleet, published: Path, before: Json, tmp_path: Path
) -> None:
    objects = import_files(copy_changed(published, tmp_path, {DEPLOYMENT: SHORT}))
    fleet.submit(objects, NAME)
    fleet.await_step(NAME, "deploy-data", "Succeeded")
    fleet.patch("Pod", "redis-0", CRASHING)
    status = fleet.ended(NAME, "RolledBack")
    row = status["steps"]["health-check"]
    assert "redis" in row["message"]
    assert "exit code 3: no such table: users" in row["message"]
    assert_all_undone(fleet, before, status, find(objects, "Workflow", NAME))
    fleet.clear()
