"""The embedded cluster does what the other tests rely on."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from tests.cluster import EmbeddedCluster, wait_until

Pod = dict[str, Any]


def build_pod(
    name: str, *, annotations: Mapping[str, str] | None = None, image: str = "example/worker:1", **spec: object
) -> Pod:
    sim = {f"sim.vapora.dev/{key}": value for key, value in (annotations or {}).items()}
    container = {"name": "main", "image": image}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": sim},
        "spec": {"restartPolicy": "Never", "containers": [container], **spec},
    }


def create_pod(cluster: EmbeddedCluster, namespace: str, pod: Pod) -> None:
    answer = cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod)
    assert answer.status_code == 201, answer.text


def read_pod(cluster: EmbeddedCluster, namespace: str, name: str) -> Pod:
    return cluster.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}").json()


def await_phase(cluster: EmbeddedCluster, namespace: str, name: str, phase: str) -> Pod:
    def probe() -> Pod | None:
        pod = read_pod(cluster, namespace, name)
        return pod if pod["status"]["phase"] == phase else None

    return wait_until(probe, f"{name} is {phase}")


def conditions(pod: Pod) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in pod["status"].get("conditions", [])}


@dataclasses.dataclass(frozen=True)
class Ending:
    annotations: Mapping[str, str]
    phase: str
    terminated: Mapping[str, object]


ENDINGS = {
    "a pod that says nothing succeeds": Ending({}, "Succeeded", {"exitCode": 0, "reason": "Completed"}),
    "an exit code fails it": Ending({"exit-code": "3"}, "Failed", {"exitCode": 3, "reason": "Error"}),
    "out of memory is 137": Ending({"reason": "OOMKilled"}, "Failed", {"exitCode": 137, "reason": "OOMKilled"}),
    "a termination message is kept": Ending(
        {"message": '{"rows": 12}'}, "Succeeded", {"exitCode": 0, "reason": "Completed", "message": '{"rows": 12}'}
    ),
}


@pytest.mark.parametrize("case", ENDINGS.values(), ids=ENDINGS)
def test_a_pod_ends_as_its_annotations_say(case: Ending, cluster: EmbeddedCluster, namespace: str) -> None:
    create_pod(cluster, namespace, build_pod("worker", annotations=case.annotations))
    status = await_phase(cluster, namespace, "worker", case.phase)["status"]
    terminated = status["containerStatuses"][0]["state"]["terminated"]
    assert {key: terminated.get(key) for key in case.terminated} == case.terminated
    assert terminated["startedAt"] <= terminated["finishedAt"]
    assert status["startTime"]
