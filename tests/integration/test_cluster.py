"""The embedded cluster does what the other tests rely on."""

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from tests.cluster import EmbeddedCluster, wait_until
from tests.cluster.existing import ExistingCluster
from tests.cluster.objects import await_phase, build_pod, create_pod, read_conditions, read_pod


@dataclasses.dataclass(frozen=True)
class Ending:
    sim: Mapping[str, str]
    phase: str
    terminated: Mapping[str, object]
    restart_policy: str = "Never"


ENDINGS = {
    "a pod that says nothing succeeds": Ending({}, "Succeeded", {"exitCode": 0, "reason": "Completed"}),
    "an exit code fails it": Ending({"exit-code": "3"}, "Failed", {"exitCode": 3, "reason": "Error"}),
    "an error is exit code 1": Ending({"reason": "Error"}, "Failed", {"exitCode": 1, "reason": "Error"}),
    "out of memory is exit code 137": Ending(
        {"reason": "OOMKilled"}, "Failed", {"exitCode": 137, "reason": "OOMKilled"}
    ),
    "a termination message is kept as it is": Ending(
        {"message": '{"rows": "a\\"b"}\nand more'},
        "Succeeded",
        {"exitCode": 0, "reason": "Completed", "message": '{"rows": "a\\"b"}\nand more'},
    ),
    "a failure has its message too": Ending(
        {"exit-code": "2", "message": "no such table"}, "Failed", {"exitCode": 2, "message": "no such table"}
    ),
    "restartPolicy OnFailure ends with success": Ending({}, "Succeeded", {"exitCode": 0}, "OnFailure"),
}


@pytest.mark.parametrize("case", ENDINGS.values(), ids=ENDINGS)
def test_a_pod_ends_as_its_annotations_say(case: Ending, cluster: EmbeddedCluster, namespace: str) -> None:
    create_pod(cluster, namespace, build_pod("worker", sim=case.sim, restartPolicy=case.restart_policy))
    pod = await_phase(cluster, namespace, "worker", case.phase)
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert {key: terminated.get(key) for key in case.terminated} == case.terminated
    assert pod["status"]["startTime"] <= terminated["startedAt"] <= terminated["finishedAt"]
    assert read_conditions(pod)["Ready"] == "False"


def test_every_container_has_its_end(cluster: EmbeddedCluster, namespace: str) -> None:
    pod = build_pod("worker", sim={"exit-code": "4"})
    pod["spec"]["containers"].append({"name": "helper", "image": "example/helper:1"})
    create_pod(cluster, namespace, pod)
    statuses = await_phase(cluster, namespace, "worker", "Failed")["status"]["containerStatuses"]
    assert {s["name"]: s["state"]["terminated"]["exitCode"] for s in statuses} == {"main": 4, "helper": 4}


def test_an_evicted_pod_failed_without_a_container_state(cluster: EmbeddedCluster, namespace: str) -> None:
    create_pod(cluster, namespace, build_pod("worker", sim={"reason": "Evicted"}))
    pod = await_phase(cluster, namespace, "worker", "Failed")
    assert pod["status"]["reason"] == "Evicted"
    assert "low on resource" in pod["status"]["message"]
    assert not pod["status"].get("containerStatuses")
    assert read_conditions(pod)["DisruptionTarget"] == "True"


@pytest.mark.parametrize(
    ("sim", "image"),
    [
        pytest.param({"reason": "ImagePullBackOff"}, "example/worker:1", id="asked for by annotation"),
        pytest.param({}, "example/does-not-exist:1", id="an image that does not exist"),
        pytest.param({}, "missing.example/worker:1", id="a registry that does not exist"),
    ],
)
def test_an_image_that_cannot_be_pulled_keeps_the_pod_pending(
    sim: Mapping[str, str], image: str, cluster: EmbeddedCluster, namespace: str
) -> None:
    create_pod(cluster, namespace, build_pod("worker", sim=sim, image=image))

    def waiting() -> dict[str, str] | None:
        statuses = (read_pod(cluster, namespace, "worker") or {})["status"].get("containerStatuses")
        return statuses[0]["state"].get("waiting") if statuses else None

    found = wait_until(waiting, "the container waits")
    assert found["reason"] == "ImagePullBackOff"
    assert found["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: ')
    assert read_pod(cluster, namespace, "worker")["status"]["phase"] == "Pending"


def test_a_service_runs_until_it_is_deleted(cluster: EmbeddedCluster, namespace: str) -> None:
    create_pod(cluster, namespace, build_pod("service", restartPolicy="Always"))
    pod = await_phase(cluster, namespace, "service", "Running")
    assert read_conditions(pod)["Ready"] == "True"
    assert pod["status"]["podIP"]
    cluster.api.delete(f"/api/v1/namespaces/{namespace}/pods/service").raise_for_status()
    wait_until(lambda: read_pod(cluster, namespace, "service") is None, "the pod is gone", within=5)


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
def test_what_is_restarted_for_ever_backs_off(policy: str, cluster: EmbeddedCluster, namespace: str) -> None:
    pod = build_pod("service", sim={"exit-code": "7", "message": "no database"}, restartPolicy=policy)
    create_pod(cluster, namespace, pod)

    def crashed() -> dict[str, dict[str, dict[str, object]]] | None:
        statuses = (read_pod(cluster, namespace, "service") or {})["status"].get("containerStatuses")
        return statuses[0] if statuses and statuses[0]["restartCount"] else None

    status = wait_until(crashed, "the container has crashed")
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    last = status["lastState"]["terminated"]
    assert (last["exitCode"], last["message"]) == (7, "no database")
    assert read_conditions(read_pod(cluster, namespace, "service"))["Ready"] == "False"


def test_a_pod_runs_for_as_long_as_it_says(cluster: EmbeddedCluster, namespace: str) -> None:
    create_pod(cluster, namespace, build_pod("worker", sim={"duration": "1500ms"}))
    assert read_conditions(await_phase(cluster, namespace, "worker", "Running"))["Ready"] == "True"
    # Anything else that changes the pod meanwhile does not start its time anew.
    path = f"/api/v1/namespaces/{namespace}/pods/worker"
    merge = {"Content-Type": "application/merge-patch+json"}
    cluster.api.patch(path, json={"metadata": {"labels": {"seen": "yes"}}}, headers=merge).raise_for_status()
    pod = await_phase(cluster, namespace, "worker", "Succeeded")
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    ran = datetime.fromisoformat(terminated["finishedAt"]) - datetime.fromisoformat(terminated["startedAt"])
    assert 1 <= ran.total_seconds() <= 3


def test_a_pod_that_would_run_for_ever_fails_at_its_deadline(cluster: EmbeddedCluster, namespace: str) -> None:
    create_pod(cluster, namespace, build_pod("worker", sim={"duration": "forever"}, activeDeadlineSeconds=1))
    assert await_phase(cluster, namespace, "worker", "Failed")["status"]["reason"] == "DeadlineExceeded"


def test_readiness_comes_late_or_never(cluster: EmbeddedCluster, namespace: str) -> None:
    create_pod(cluster, namespace, build_pod("never", sim={"never-ready": "true"}, restartPolicy="Always"))
    create_pod(cluster, namespace, build_pod("late", sim={"ready-delay": "1s"}, restartPolicy="Always"))
    assert read_conditions(await_phase(cluster, namespace, "late", "Running"))["Ready"] == "False"

    def is_ready(name: str) -> bool:
        return read_conditions(read_pod(cluster, namespace, name) or {})["Ready"] == "True"

    wait_until(lambda: is_ready("late"), "the late pod is ready")
    assert not is_ready("never")


def test_a_gpu_pod_lands_on_a_gpu_node(cluster: EmbeddedCluster, namespace: str) -> None:
    pod = build_pod(
        "training", sim={"duration": "forever"}, tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}]
    )
    pod["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": 2}}
    create_pod(cluster, namespace, pod)
    name = await_phase(cluster, namespace, "training", "Running")["spec"]["nodeName"]
    node = cluster.api.get(f"/api/v1/nodes/{name}").json()
    assert node["metadata"]["labels"]["vapora.dev/node"] == "gpu"
    assert node["metadata"]["labels"]["nvidia.com/gpu.product"]


def test_a_pod_that_no_node_can_take_stays_pending_with_the_reason(cluster: EmbeddedCluster, namespace: str) -> None:
    pod = build_pod("training")
    pod["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": 2}}
    create_pod(cluster, namespace, pod)

    def reason() -> str | None:
        conditions = (read_pod(cluster, namespace, "training") or {})["status"].get("conditions", [])
        return next((c["message"] for c in conditions if c.get("reason") == "Unschedulable"), None)

    assert "untolerated taint" in wait_until(reason, "the scheduler says why")


def test_a_finished_pod_with_a_finalizer_keeps_its_end_when_it_is_deleted(
    cluster: EmbeddedCluster, namespace: str
) -> None:
    sim = {"exit-code": "9", "message": "half done"}
    create_pod(cluster, namespace, build_pod("worker", sim=sim, finalizers=("vapora.dev/attempt",)))
    await_phase(cluster, namespace, "worker", "Failed")
    path = f"/api/v1/namespaces/{namespace}/pods/worker"
    cluster.api.delete(path).raise_for_status()

    def let_go() -> bool:
        pod = read_pod(cluster, namespace, "worker") or {}
        return pod["metadata"].get("deletionGracePeriodSeconds") == 0

    wait_until(let_go, "the node has let go of the pod")
    status = read_pod(cluster, namespace, "worker")["status"]
    terminated = status["containerStatuses"][0]["state"]["terminated"]
    assert (status["phase"], terminated["exitCode"], terminated["message"]) == ("Failed", 9, "half done")
    merge = {"Content-Type": "application/merge-patch+json"}
    cluster.api.patch(path, json={"metadata": {"finalizers": None}}, headers=merge).raise_for_status()
    wait_until(lambda: read_pod(cluster, namespace, "worker") is None, "the pod is gone")


def test_a_running_pod_with_a_finalizer_ends_by_signal_when_it_is_deleted(
    cluster: EmbeddedCluster, namespace: str
) -> None:
    pod = build_pod("worker", sim={"duration": "forever"}, finalizers=("vapora.dev/attempt",))
    create_pod(cluster, namespace, pod)
    await_phase(cluster, namespace, "worker", "Running")
    path = f"/api/v1/namespaces/{namespace}/pods/worker"
    cluster.api.delete(path).raise_for_status()
    status = await_phase(cluster, namespace, "worker", "Failed")["status"]
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143
    merge = {"Content-Type": "application/merge-patch+json"}
    cluster.api.patch(path, json={"metadata": {"finalizers": None}}, headers=merge).raise_for_status()
    wait_until(lambda: read_pod(cluster, namespace, "worker") is None, "the pod is gone")


def test_the_controllers_make_workloads_available(cluster: EmbeddedCluster, namespace: str) -> None:
    template = {
        "metadata": {"labels": {"app": "store"}},
        "spec": {"containers": [{"name": "main", "image": "example/store:1"}]},
    }
    selector = {"matchLabels": {"app": "store"}}
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    meta = {"name": "store", "namespace": namespace}
    deployment = {"selector": selector, "replicas": 2, "template": template}
    job_pod = {"spec": {**template["spec"], "restartPolicy": "Never"}}
    workloads = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": meta,
            "spec": {**deployment, "serviceName": "store", "volumeClaimTemplates": [claim]},
        },
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": job_pod}},
    ]
    listing = {"apiVersion": "v1", "kind": "List", "items": workloads}
    cluster.kubectl("apply", "-f", "-", input=json.dumps(listing))
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/store", "statefulset/store", "--timeout=30s")
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Complete", "job/store", "--timeout=30s")
    claims = cluster.api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims").json()["items"]
    assert [item["status"]["phase"] for item in claims] == ["Bound", "Bound"]


def test_the_audit_log_records_who_wrote_with_what(cluster: EmbeddedCluster, namespace: str) -> None:
    since = cluster.audit_position()
    with cluster.client(user_agent="someone/1.0") as client:
        client.post(f"/api/v1/namespaces/{namespace}/pods", json=build_pod("worker")).raise_for_status()
        client.get(f"/api/v1/namespaces/{namespace}/pods").raise_for_status()
    mine = [event for event in cluster.audit_events(since) if event["userAgent"] == "someone/1.0"]
    assert [(e["verb"], e["objectRef"]["name"], e["user"]["username"], e["level"]) for e in mine] == [
        ("create", "worker", "admin", "Metadata")
    ]


def test_a_service_account_has_its_own_rights_and_name(cluster: EmbeddedCluster, namespace: str) -> None:
    kubeconfig = cluster.user_kubeconfig(namespace, "default")
    who = cluster.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", kubeconfig=kubeconfig)
    assert who.stdout == f"system:serviceaccount:{namespace}:default"
    refused = cluster.kubectl("get", "pods", kubeconfig=kubeconfig, check=False)
    assert refused.returncode != 0
    assert "forbidden" in refused.stderr.lower()


def test_the_users_kubeconfig_is_neither_read_nor_changed(
    cluster: EmbeddedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "config"
    theirs.write_text("not a kubeconfig: [")
    monkeypatch.setenv("KUBECONFIG", str(theirs))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "general-0" in cluster.kubectl("get", "nodes").stdout
    assert [path.name for path in tmp_path.iterdir()] == ["config"]
    assert theirs.read_text() == "not a kubeconfig: ["


def test_the_garbage_collector_knows_our_kinds_from_the_start(cluster: EmbeddedCluster, namespace: str) -> None:
    providers = f"/apis/vapora.dev/v1alpha1/namespaces/{namespace}/providers"
    provider = {"apiVersion": "vapora.dev/v1alpha1", "kind": "Provider", "metadata": {"name": "owner"}}
    answer = cluster.api.post(providers, json={**provider, "spec": {"type": "local"}})
    answer.raise_for_status()
    owner = {"apiVersion": "vapora.dev/v1alpha1", "kind": "Provider", "name": "owner"}
    metadata = {"name": "owned", "ownerReferences": [{**owner, "uid": answer.json()["metadata"]["uid"]}]}
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    cluster.api.post(maps, json={"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}).raise_for_status()
    cluster.api.delete(f"{providers}/owner").raise_for_status()
    wait_until(lambda: cluster.api.get(f"{maps}/owned").status_code == 404, "the owned object is gone", within=15)


def test_a_cluster_of_somebody_else_is_used_through_its_kubeconfig(cluster: EmbeddedCluster, namespace: str) -> None:
    before = cluster.kubeconfig.read_bytes()
    with ExistingCluster(str(cluster.kubeconfig), "vapora") as same:
        create_pod(same, namespace, build_pod("worker"))
        await_phase(same, namespace, "worker", "Succeeded")
        assert "worker" in same.kubectl("-n", namespace, "get", "pods").stdout
        assert same.kubeconfig != cluster.kubeconfig
    assert cluster.kubeconfig.read_bytes() == before
    assert cluster.api.get("/readyz").status_code == 200
