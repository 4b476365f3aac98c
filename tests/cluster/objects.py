"""Making and reading objects in tests."""

from collections.abc import Mapping
from typing import Any

from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until

Object = dict[str, Any]


def build_pod(
    name: str,
    *,
    sim: Mapping[str, str] | None = None,
    image: str = "example/worker:1",
    command: tuple[str, ...] = (),
    labels: Mapping[str, str] | None = None,
    finalizers: tuple[str, ...] = (),
    **spec: object,
) -> Object:
    """Make a Pod that runs once; `sim` says how it ends, without the prefix of the annotations."""
    annotations = {f"sim.vapora.dev/{key}": value for key, value in (sim or {}).items()}
    container = {"name": "main", "image": image, **({"command": list(command)} if command else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "annotations": annotations,
            "labels": dict(labels or {}),
            "finalizers": list(finalizers),
        },
        "spec": {"restartPolicy": "Never", "containers": [container], **spec},
    }


def create_pod(cluster: Cluster, namespace: str, pod: Object) -> Object:
    """Create the Pod and return what the API server made of it."""
    answer = cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod)
    answer.raise_for_status()
    created: Object = answer.json()
    return created


def read_pod(cluster: Cluster, namespace: str, name: str) -> Object | None:
    """Return the Pod, or None where there is none."""
    answer = cluster.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    return answer.json() if answer.status_code == 200 else None


def await_phase(cluster: Cluster, namespace: str, name: str, phase: str) -> Object:
    """Wait until the Pod is in the phase, and return it."""

    def probe() -> Object | None:
        pod = read_pod(cluster, namespace, name)
        return pod if pod is not None and pod["status"]["phase"] == phase else None

    return wait_until(probe, f"pod {name} is {phase}")


def read_conditions(item: Object) -> dict[str, str]:
    """Return the status of each condition by its type."""
    return {condition["type"]: condition["status"] for condition in item["status"].get("conditions", [])}
