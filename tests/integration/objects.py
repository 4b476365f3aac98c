"""Our own objects on a real API server: applied, looked at, waited for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until

MERGE = {"Content-Type": "application/merge-patch+json"}
PLURALS = {"Workflow": "workflows", "AgentPool": "agentpools", "Taskserv": "taskservs"}
FINAL = {"Succeeded", "Failed", "Cancelled"}
Json = dict[str, Any]


class Objects:
    """The objects of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def path(self, kind: str, name: str = "") -> str:
        return f"/apis/vapora.dev/v1alpha1/namespaces/{self.namespace}/{PLURALS[kind]}/{name}".rstrip("/")

    def create(self, kind: str, name: str, spec: Mapping[str, object], **metadata: object) -> Json:
        """Create one of our objects."""
        body = {"apiVersion": "vapora.dev/v1alpha1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
        answer = self.cluster.api.post(self.path(kind), json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def get(self, kind: str, name: str) -> Json:
        return dict(self.cluster.api.get(self.path(kind, name)).raise_for_status().json())

    def patch(self, kind: str, name: str, body: Mapping[str, object]) -> Json:
        answer = self.cluster.api.patch(self.path(kind, name), json=body, headers=MERGE)
        return dict(answer.raise_for_status().json())

    def delete(self, kind: str, name: str) -> None:
        self.cluster.api.delete(self.path(kind, name)).raise_for_status()

    def exists(self, kind: str, name: str) -> bool:
        return self.cluster.api.get(self.path(kind, name)).status_code == 200

    def workflow(self, name: str, *steps: Mapping[str, object], **spec: object) -> Json:
        """Create a Workflow."""
        return self.create("Workflow", name, {"steps": list(steps), **spec})

    def finished(self, name: str, *, within: float = 60.0) -> Json:
        """Wait until a Workflow has ended, and return it."""

        def probe() -> Json | None:
            found = self.get("Workflow", name)
            return found if found.get("status", {}).get("phase") in FINAL else None

        found = wait_until(probe, f"workflow {name} has ended", within=within)
        assert found is not None
        return found

    def step(self, name: str, step: str) -> Json:
        """A step's row in a Workflow's status."""
        return dict(self.get("Workflow", name).get("status", {}).get("steps", {}).get(step, {}))

    def condition(self, kind: str, name: str, type_: str) -> Json:
        """A condition; empty where there is none of the type."""
        rows = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((dict(row) for row in rows if row["type"] == type_), {})

    def pods(self, selector: str = "vapora.dev/workflow") -> list[Json]:
        answer = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/pods", params={"labelSelector": selector})
        return list(answer.raise_for_status().json()["items"])

    def jobs(self) -> list[Json]:
        answer = self.cluster.api.get(f"/apis/batch/v1/namespaces/{self.namespace}/jobs")
        return list(answer.raise_for_status().json()["items"])

    def created(self, resource: str) -> list[str]:
        """The names of what was created in the namespace, from the audit log: nobody's own counters."""
        return [
            event["objectRef"]["name"]
            for event in self.cluster.audit_events()
            if event["verb"] == "create"
            and event["objectRef"].get("resource") == resource
            and "subresource" not in event["objectRef"]
            and event["objectRef"].get("namespace") == self.namespace
            and event["responseStatus"]["code"] == 201
            and event["objectRef"].get("name")
        ]


def run(name: str, *, ends: Mapping[str, str] | None = None, **fields: object) -> Json:
    """A run step; `ends` says how the simulated node ends its Pod: exit-code, duration, message, reason."""
    body: Json = {"image": "busybox"}
    if ends:
        annotations = {f"sim.vapora.dev/{key}": value for key, value in ends.items()}
        body["podTemplate"] = {"metadata": {"annotations": annotations}}
    body |= dict(fields.pop("run", {}))  # type: ignore[call-overload]
    return {"name": name, "run": body, **fields}
