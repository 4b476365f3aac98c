"""Objects of our kinds on a real cluster: applied as a person would, and read back."""

import json
from typing import Any

from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until

from vapora.api.kinds import API_VERSION, KINDS

Json = dict[str, Any]
MERGE = {"Content-Type": "application/merge-patch+json"}
_PATHS = {
    **{kind.name: f"/apis/{API_VERSION}/namespaces/{{}}/{kind.plural}" for kind in KINDS},
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "Service": "/api/v1/namespaces/{}/services",
    "Pod": "/api/v1/namespaces/{}/pods",
}


class Resources:
    """Is one namespace of a cluster."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def path(self, kind: str, name: str = "", subresource: str = "") -> str:
        return "/".join(part for part in (_PATHS[kind].format(self.namespace), name, subresource) if part)

    def apply(self, kind: str, name: str, **spec: Any) -> None:
        """Apply an object with kubectl."""
        manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.apply_manifest(manifest)

    def apply_manifest(self, manifest: Json) -> None:
        self.cluster.kubectl("apply", "-n", self.namespace, "-f", "-", input=json.dumps(manifest))

    def kubectl(self, *args: str) -> str:
        return self.cluster.kubectl("-n", self.namespace, *args).stdout

    def find(self, kind: str, name: str) -> Json | None:
        """Return an object, or None."""
        answer = self.cluster.api.get(self.path(kind, name))
        return answer.json() if answer.status_code == 200 else None

    def all(self, kind: str, selector: str = "") -> list[Json]:
        return self.cluster.api.get(self.path(kind), params={"labelSelector": selector}).json()["items"]

    def patch(self, kind: str, name: str, body: Json) -> None:
        self.cluster.api.patch(self.path(kind, name), json=body, headers=MERGE).raise_for_status()

    def delete(self, kind: str, name: str) -> None:
        self.cluster.api.delete(self.path(kind, name)).raise_for_status()

    def status(self, kind: str, name: str) -> Json:
        return (self.find(kind, name) or {}).get("status", {})

    def said(self, kind: str, name: str) -> dict[str, str]:
        """Return what the conditions say: type to `<status> <reason>: <message>`."""
        rows = self.status(kind, name).get("conditions", [])
        return {row["type"]: f"{row['status']} {row['reason']}: {row['message']}" for row in rows}

    def await_said(self, kind: str, name: str, condition: str, start: str, *, within: float = 20) -> str:
        """Wait until a condition says something that starts so, and return all of it."""

        def probe() -> str:
            said = self.said(kind, name).get(condition, "")
            return said if said.startswith(start) else ""

        try:
            return wait_until(probe, f"{kind} {name}: {condition} is {start}", within=within)
        except TimeoutError as late:
            raise TimeoutError(f"{late}; it says {self.said(kind, name)}") from None

    def await_status(self, kind: str, name: str, *, within: float = 20, **fields: Any) -> Json:
        """Wait until fields of the status are so, and return the status."""

        def probe() -> Json | None:
            status = self.status(kind, name)
            return status if all(status.get(field) == value for field, value in fields.items()) else None

        try:
            found = wait_until(probe, f"{kind} {name} has {fields}", within=within)
        except TimeoutError as late:
            raise TimeoutError(f"{late}; its status is {self.status(kind, name)}") from None
        return found or {}
