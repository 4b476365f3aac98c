"""The objects of a namespace on a real API server: written, created, looked at, waited for."""

from collections.abc import Mapping
from typing import Any

from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until

from vapora.api.kinds import API_VERSION, KINDS

Json = dict[str, Any]
MERGE = {"Content-Type": "application/merge-patch+json"}
FINAL = {"Succeeded", "Failed", "Cancelled", "RolledBack"}
RUN: Json = {"image": "busybox"}
_RESOURCES = {
    **{kind.name: (API_VERSION, kind.plural) for kind in KINDS},
    "ConfigMap": ("v1", "configmaps"),
    "ControllerRevision": ("apps/v1", "controllerrevisions"),
    "Deployment": ("apps/v1", "deployments"),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "httproutes"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers"),
    "Ingress": ("networking.k8s.io/v1", "ingresses"),
    "Job": ("batch/v1", "jobs"),
    "LocalQueue": ("kueue.x-k8s.io/v1beta1", "localqueues"),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims"),
    "Pod": ("v1", "pods"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "ResourceQuota": ("v1", "resourcequotas"),
    "Secret": ("v1", "secrets"),
    "Service": ("v1", "services"),
    "StatefulSet": ("apps/v1", "statefulsets"),
    "Workload": ("kueue.x-k8s.io/v1beta1", "workloads"),
}


def build(kind: str, spec: Mapping[str, object], name: str = "sample") -> Json:
    return {"apiVersion": _RESOURCES[kind][0], "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def build_workflow(*steps: Mapping[str, object], name: str = "sample", **spec: object) -> Json:
    return build("Workflow", {"steps": list(steps), **spec}, name)


def build_wide_workflow(edges: int) -> Json:
    """A workflow of a thousand steps, each of which waits for the `edges` before it."""
    steps = [run(f"step-{i}", dependsOn=[f"step-{j}" for j in range(max(0, i - edges), i)]) for i in range(1000)]
    return build_workflow(*steps)


def run(name: str, *, ends: Mapping[str, str] | None = None, **fields: object) -> Json:
    """A run step; `ends` says how the simulated node ends its Pod: exit-code, duration, message, reason."""
    body = dict(RUN)
    if ends:
        annotations = {f"sim.vapora.dev/{key}": value for key, value in ends.items()}
        body["podTemplate"] = {"metadata": {"annotations": annotations}}
    body |= dict(fields.pop("run", {}))  # type: ignore[call-overload]
    return {"name": name, "run": body, **fields}


class Objects:
    """The objects of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def path(self, kind: str, name: str = "", subresource: str = "") -> str:
        version, plural = _RESOURCES[kind]
        root = "apis" if "/" in version else "api"
        parts = ("", root, version, "namespaces", self.namespace, plural, name, subresource)
        return "/".join(parts).rstrip("/")

    def kubectl(self, *args: str) -> str:
        return self.cluster.kubectl("-n", self.namespace, *args).stdout

    def create(self, kind: str, name: str, spec: Mapping[str, object], **fields: object) -> Json:
        """Create an object; `fields` are further ones of its spec. A field that its kind does not have is refused."""
        body = build(kind, {**spec, **fields}, name)
        answer = self.cluster.api.post(self.path(kind), params={"fieldValidation": "Strict"}, json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def workflow(self, name: str, *steps: Mapping[str, object], **spec: object) -> Json:
        """Create a Workflow."""
        return self.create("Workflow", name, {"steps": list(steps), **spec})

    def find(self, kind: str, name: str) -> Json | None:
        """Return an object; None where there is none."""
        answer = self.cluster.api.get(self.path(kind, name))
        return None if answer.status_code == 404 else dict(answer.raise_for_status().json())

    def get(self, kind: str, name: str) -> Json:
        """Return an object that must be there."""
        return dict(self.cluster.api.get(self.path(kind, name)).raise_for_status().json())

    def all(self, kind: str, selector: str = "") -> list[Json]:
        answer = self.cluster.api.get(self.path(kind), params={"labelSelector": selector})
        return list(answer.raise_for_status().json()["items"])

    def pods(self, selector: str = "vapora.dev/workflow") -> list[Json]:
        """The Pods of workflows."""
        return self.all("Pod", selector)

    def patch(self, kind: str, name: str, body: Mapping[str, object], subresource: str = "") -> Json:
        path = self.path(kind, name, subresource)
        return dict(self.cluster.api.patch(path, json=body, headers=MERGE).raise_for_status().json())

    def delete(self, kind: str, name: str) -> None:
        self.cluster.api.delete(self.path(kind, name)).raise_for_status()

    def status(self, kind: str, name: str) -> Json:
        """The status; empty where there is none yet."""
        return dict(self.get(kind, name).get("status", {}))

    def step(self, name: str, step: str) -> Json:
        """A step's row in a Workflow's status."""
        return dict(self.status("Workflow", name).get("steps", {}).get(step, {}))

    def condition(self, kind: str, name: str, type_: str) -> Json:
        """A condition; empty where there is none of the type."""
        rows = self.status(kind, name).get("conditions", [])
        return next((dict(row) for row in rows if row["type"] == type_), {})

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

    def await_status(self, kind: str, name: str, *, within: float = 20, **fields: object) -> Json:
        """Wait until fields of the status are so, and return the status."""

        def probe() -> Json | None:
            status = self.status(kind, name)
            return status if all(status.get(field) == value for field, value in fields.items()) else None

        try:
            return wait_until(probe, f"{kind} {name} has {fields}", within=within)
        except TimeoutError as late:
            raise TimeoutError(f"{late}; its status is {self.status(kind, name)}") from None

    def finished(self, name: str, *, within: float = 60.0) -> Json:
        """Wait until a Workflow has ended, and return it."""

        def probe() -> Json | None:
            found = self.get("Workflow", name)
            return found if found.get("status", {}).get("phase") in FINAL else None

        return wait_until(probe, f"workflow {name} has ended", within=within)

    def events(self, name: str) -> list[tuple[str, str]]:
        """The reasons and messages of an object's events."""
        answer = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/events")
        rows = [row for row in answer.raise_for_status().json()["items"] if row["involvedObject"]["name"] == name]
        return [(row["reason"], row["message"]) for row in rows]

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
