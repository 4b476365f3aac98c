"""What a service is made of and how it does, on a real API server, with pods that are simulated."""

import pytest
from tests.cluster.waiting import wait_until
from tests.integration.engine import Operators
from tests.integration.objects import Json
from tests.integration.taskserv.services import CRASHING, MISSING, SERVING, Services


def test_a_service_comes_up_with_its_deployment_and_its_service(here: Services) -> None:
    here.create("Taskserv", "backend", SERVING, healthCheck={"path": "/health"})
    here.ready("backend")
    status = here.await_status("Taskserv", "backend", phase="Healthy")
    assert (status["version"], status["readyReplicas"]) == ("0.1.0", 2)
    assert here.said("Taskserv", "backend") == {"Ready": "True AllHealthy: 2 of 2 replicas are available"}
    service = here.get("Service", "backend")
    pods = here.all("Pod")
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"service:0.1.0"}
    selected = here.all("Pod", ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items()))
    assert len(selected) == len(pods) == 2
    columns = here.kubectl("get", "taskserv", "backend", "--no-headers").split()
    assert columns[:4] == ["backend", "Healthy", "0.1.0", "2"]


def test_a_service_waits_for_what_it_needs_and_starts_at_once_when_that_is_healthy(here: Services) -> None:
    here.create("Taskserv", "backend", SERVING, dependencies=[{"name": "nats"}, {"name": "redis", "required": False}])
    status = here.await_status("Taskserv", "backend", phase="Waiting")
    assert status["waitingOn"] == "nats"
    assert here.find("Deployment", "backend") is None
    here.create("Taskserv", "nats", SERVING)
    here.ready("nats", "backend")


def test_a_service_that_loses_what_it_needs_is_degraded_and_stays(here: Services) -> None:
    here.create("Taskserv", "nats", SERVING)
    here.create("Taskserv", "backend", SERVING, dependencies=[{"name": "nats"}])
    here.ready("nats", "backend")
    here.delete("Taskserv", "nats")
    here.await_said("Taskserv", "backend", "Degraded", "True DependencyUnhealthy: needs nats (not there)")
    assert here.get("Deployment", "backend")["status"]["availableReplicas"] == 2
    here.create("Taskserv", "nats", SERVING)
    here.ready("backend")


def test_a_circle_is_refused_with_its_path(here: Services) -> None:
    here.create("Taskserv", "a", SERVING, dependencies=[{"name": "b"}])
    here.create("Taskserv", "b", SERVING, dependencies=[{"name": "a"}])
    here.await_said("Taskserv", "b", "Stalled", "True DependencyCycle: needs itself: b -> a -> b")
    here.patch("Taskserv", "b", {"spec": {"dependencies": []}})
    here.ready("b", "a")


def test_an_image_that_cannot_be_pulled_is_said_in_the_kubelets_words_until_it_can(here: Services) -> None:
    here.create("Taskserv", "backend", {**SERVING, "image": MISSING})
    said = here.await_said("Taskserv", "backend", "Ready", "False ImageFailing: 0 of 2 replicas are available; ")
    assert f'ImagePullBackOff: Back-off pulling image "{MISSING}"' in said
    assert here.status("Taskserv", "backend")["phase"] == "Degraded"
    here.patch("Taskserv", "backend", {"spec": {"image": "service:0.1.0"}})
    here.ready("backend")


def test_a_container_that_ends_again_and_again_is_said_with_its_last_words(here: Services) -> None:
    here.create("Taskserv", "backend", SERVING, podTemplate=CRASHING)
    said = here.await_said("Taskserv", "backend", "Degraded", "True ContainerCrashing: ")
    assert said.endswith("(exit code 3: no such table: users)")


def test_a_pod_that_no_node_takes_is_said_in_the_schedulers_words(here: Services) -> None:
    nowhere = {"spec": {"nodeSelector": {"room": "none"}}}
    here.create("Taskserv", "backend", SERVING, podTemplate=nowhere, upgrade={"progressDeadline": "2s"})
    said = here.await_said("Taskserv", "backend", "Degraded", "True Unschedulable: ")
    assert "didn't match Pod's node affinity/selector" in said


def test_a_quota_is_said_in_the_words_of_the_api_server(here: Services) -> None:
    here.create("ResourceQuota", "q", {"hard": {"pods": "1"}})
    here.kubectl("wait", "--for=jsonpath={.status.hard.pods}=1", "--timeout=10s", "resourcequota/q")
    here.create("Taskserv", "backend", SERVING)
    said = here.await_said("Taskserv", "backend", "Degraded", "True QuotaExceeded: ")
    assert "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1" in said


def test_a_new_version_rolls_out_while_the_service_stays_ready(here: Services) -> None:
    here.create("Taskserv", "backend", SERVING)
    here.ready("backend")
    here.patch("Taskserv", "backend", {"spec": {"version": "0.2.0"}})
    here.await_status("Taskserv", "backend", version="0.2.0", lastGoodVersion="0.2.0", phase="Healthy")
    wait_until(
        lambda: {pod["spec"]["containers"][0]["image"] for pod in here.all("Pod")} == {"service:0.2.0"},
        "only the new version runs",
    )


def test_another_way_of_upgrading_is_taken_over_in_full(here: Services) -> None:
    here.create("Taskserv", "backend", SERVING)
    here.ready("backend")
    here.patch("Taskserv", "backend", {"spec": {"upgrade": {"strategy": "recreate"}}})
    wait_until(lambda: here.get("Deployment", "backend")["spec"]["strategy"] == {"type": "Recreate"}, "it recreates")
    here.patch("Taskserv", "backend", {"spec": {"upgrade": {"strategy": "rolling"}}})
    wait_until(
        lambda: here.get("Deployment", "backend")["spec"]["strategy"]["type"] == "RollingUpdate", "it rolls again"
    )
    here.ready("backend")


def test_a_service_of_that_name_that_is_not_ours_is_left_alone_and_named(here: Services) -> None:
    here.create("Service", "backend", {"selector": {"app": "other"}, "ports": [{"name": "http", "port": 8080}]})
    before = here.get("Service", "backend")
    here.create("Taskserv", "backend", SERVING)
    said = here.await_said("Taskserv", "backend", "Stalled", "True NameConflict: Service: ")
    assert ".spec.selector" in said
    assert here.get("Service", "backend") == before


def test_replicas_that_someone_else_has_set_are_left_and_named(here: Services) -> None:
    here.create("Taskserv", "backend", SERVING)
    here.ready("backend")
    here.kubectl("scale", "deployment/backend", "--replicas=1")
    said = here.await_said("Taskserv", "backend", "FieldConflict", "True FieldConflict: Deployment: ")
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in said
    assert here.get("Deployment", "backend")["spec"]["replicas"] == 1


REFUSED = {
    "an analysis of what nobody measures": (
        {"upgrade": {"strategy": "canary", "canary": {"analysis": "metrics.errorRate < 0.01"}}},
        "InvalidSpec: spec.upgrade.canary.analysis: metrics.errorRate cannot be measured; there are ",
    ),
    "a version that is not there": ({"version": None}, "InvalidSpec: spec.image: ${version} needs spec.version"),
}


@pytest.mark.parametrize(("fields", "want"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_its_place(fields: Json, want: str, here: Services) -> None:
    here.create("Taskserv", "backend", {**SERVING, **fields})
    here.await_said("Taskserv", "backend", "Stalled", f"True {want}")
    assert here.find("Deployment", "backend") is None


def test_nothing_is_written_while_nothing_changes(here: Services, operator: Operators) -> None:
    here.create("Taskserv", "backend", SERVING, healthCheck={"tcp": True})
    here.ready("backend")
    before = here.get("Taskserv", "backend")
    deployment = here.get("Deployment", "backend")
    here.patch("Taskserv", "backend", {"metadata": {"annotations": {"note": "wakes the operator"}}})
    here.create("Taskserv", "marker", SERVING)
    here.ready("marker")
    assert here.get("Taskserv", "backend")["status"] == before["status"]
    assert here.get("Deployment", "backend")["metadata"]["generation"] == deployment["metadata"]["generation"]


def build_volume(name: str, storage_class: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "hostPath": {"path": "/nowhere"},
        },
    }


def test_a_stateful_service_has_stable_names_and_keeps_its_volumes(here: Services) -> None:
    for number in range(2):
        volume = build_volume(f"{here.namespace}-{number}", here.namespace)
        here.cluster.api.post("/api/v1/persistentvolumes", json=volume).raise_for_status()
    storage = {"size": "1Gi", "storageClass": here.namespace}
    here.create("Taskserv", "nats", SERVING, type="stateful", storage=storage)
    here.ready("nats")
    assert {pod["metadata"]["name"] for pod in here.all("Pod")} == {"nats-0", "nats-1"}
    assert here.get("Service", "nats")["spec"]["clusterIP"] == "None"
    here.patch("Taskserv", "nats", {"spec": {"version": "0.2.0"}})
    here.await_status("Taskserv", "nats", version="0.2.0", phase="Healthy")
    assert {pod["spec"]["containers"][0]["image"] for pod in here.all("Pod")} == {"service:0.2.0"}
    here.delete("Taskserv", "nats")
    wait_until(lambda: not here.all("StatefulSet"), "the StatefulSet is gone")
    claims = here.kubectl("get", "pvc", "-o", "name").split()
    assert claims == ["persistentvolumeclaim/data-nats-0", "persistentvolumeclaim/data-nats-1"]


def test_a_volume_that_nobody_provides_is_said_in_the_schedulers_words(here: Services) -> None:
    storage = {"size": "1Gi", "storageClass": f"{here.namespace}-none"}
    upgrade = {"progressDeadline": "2s"}
    here.create("Taskserv", "nats", SERVING, type="stateful", storage=storage, upgrade=upgrade)
    said = here.await_said("Taskserv", "nats", "Degraded", "True Unschedulable: ")
    assert "unbound immediate PersistentVolumeClaims" in said


def test_what_was_made_goes_with_the_service(here: Services) -> None:
    here.create("Taskserv", "backend", SERVING)
    here.ready("backend")
    here.delete("Taskserv", "backend")
    wait_until(
        lambda: not (here.all("Deployment") or here.all("Service") or here.all("Pod")), "nothing is left", within=30
    )
