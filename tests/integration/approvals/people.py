"""People of all kinds, who make workflows and approve their steps on a real API server."""

import httpx
from tests.cluster.access import Cluster
from tests.integration.engine import ROOT
from tests.integration.objects import MERGE, Json, Objects, build_workflow, run

BASE = ROOT / "kustomize" / "base"
AUTHOR_POLICY = ROOT / "kustomize" / "components" / "author" / "workflow-author.yaml"
AUTHOR, PREFIX = "vapora.dev/author", "approval.vapora.dev/"
OPERATOR = "system:serviceaccount:vapora-system:vapora-operator"
GATE = {"name": "gate", "approval": {"approvers": {"users": ["bob"], "groups": ["sre"], "minimum": 2}}}
# alice and dave write workflows, the others approve; mallory may change workflows by a role of the cluster's own.
ROLES = {
    "vapora-edit": ["alice", "dave"],
    "vapora-approver": ["bob", "x bob", "bob x", "erin"],
    "patcher": ["mallory"],
    "status-writer": ["erin"],
}


class People:
    """Sends requests as users of all kinds, whom an administrator impersonates."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.objects = Objects(cluster, namespace)
        self._count = 0

    def send(
        self, method: str, path: str, user: str, body: Json, *, groups: str = "", **more: object
    ) -> httpx.Response:
        headers = {"Impersonate-User": user, **({"Impersonate-Group": groups} if groups else {}), **MERGE}
        headers |= more.pop("headers", {})  # type: ignore[arg-type]
        return self.cluster.api.request(method, path, headers=headers, json=body, params=more)  # type: ignore[arg-type]

    def create(self, user: str, manifest: Json, **more: object) -> httpx.Response:
        path = self.objects.path(manifest["kind"])
        return self.send("POST", path, user, manifest, headers={"Content-Type": "application/json"}, **more)

    def patch(self, user: str, name: str, body: Json, subresource: str = "", **more: object) -> httpx.Response:
        return self.send("PATCH", self.objects.path("Workflow", name, subresource), user, body, **more)

    def annotate(self, user: str, name: str, notes: Json, **more: object) -> httpx.Response:
        return self.patch(user, name, {"metadata": {"annotations": notes}}, **more)

    def annotations(self, name: str) -> dict[str, str]:
        return dict(self.objects.get("Workflow", name)["metadata"].get("annotations", {}))

    def make(self, user: str = "alice", **spec: object) -> str:
        """Create a workflow with a step to approve, and return its name."""
        self._count += 1
        made = self.create(user, build_workflow(GATE, run("work"), name=f"w{self._count}", **spec))
        assert made.status_code == 201, made.text
        return str(made.json()["metadata"]["name"])


def named(value: str, key: str = "k") -> Json:
    return {PREFIX + key: value}


def message(answer: httpx.Response) -> str:
    """What the API server says to a request that it refuses."""
    return str(answer.json().get("message", ""))


def with_annotations(manifest: Json, **annotations: str) -> Json:
    notes = {name.replace("__", "/").replace("_", "."): value for name, value in annotations.items()}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": notes}}
