"""What the scenarios do with workflows: ask something of them, end their Pods, read what was really done."""

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import ROOT, OperatorProcess, Operators
from tests.integration.objects import Json, Objects, run

TENANT = ROOT / "kustomize" / "components" / "tenant" / "role-binding.yaml"
ACCOUNTS = Path(__file__).with_name("accounts.yaml")
FOREVER = {"duration": "forever"}
ONCE: Json = {"maxAttempts": 1}
AT_ONCE: Json = {"initialDelay": "100ms", "maxDelay": "100ms"}
TRUSTED = ("--outbound-allowed", "127.0.0.1")


def config(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, image: str = "nginx:1", replicas: int = 1) -> Json:
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def apply(name: str, *manifests: Mapping[str, object], **fields: object) -> Json:
    """An apply step."""
    return {"name": name, "apply": {"manifests": list(manifests)}, **fields}


def call(name: str, url: str, method: str = "POST", **fields: object) -> Json:
    """An http step; `http` adds to its body."""
    body: Json = {"method": method, "url": url}
    body |= dict(fields.pop("http", {}))  # type: ignore[call-overload]
    return {"name": name, "http": body, **fields}


def undone_by(name: str, undo: str, **fields: object) -> Json:
    """A run step that a rollback undoes by another one, whose Pod says which."""
    return run(name, compensate={"run": {"image": "busybox", "args": [undo]}}, **fields)


class Stage(Objects):
    """A namespace where the operator may act as the accounts, of which `builder` has rights and `default` has none."""

    def __init__(self, cluster: Cluster, namespace: str, fleet: Operators, operator: OperatorProcess) -> None:
        super().__init__(cluster, namespace)
        self.fleet = fleet
        self.operator = operator

    def prepare(self) -> None:
        """Let the operator act as the accounts, and make them."""
        for manifest in (ACCOUNTS, TENANT):
            self.kubectl("apply", "-f", str(manifest))

    def ask(self, name: str, verb: str) -> str:
        """Ask something of a workflow by its annotation, and return what was written."""
        asked = f"{verb} {uuid4().hex[:8]}"
        self.patch("Workflow", name, {"metadata": {"annotations": {"vapora.dev/request": asked}}})
        return asked

    def again(self, name: str, verb: str) -> Json:
        """Ask something of an ended workflow, and return the status with which it has ended again."""
        asked = self.ask(name, verb)
        wait_until(lambda: self.status("Workflow", name).get("handledRequest") == asked, f"{asked!r} is heeded")
        return self.ended(name)

    def ended(self, name: str, phase: str | None = None, *, within: float = 20) -> Json:
        """Wait until a workflow has ended, in this phase, and return its status."""
        try:
            status = dict(self.finished(name, within=within)["status"])
        except TimeoutError as late:
            raise TimeoutError(f"{late}; the status is {self.status('Workflow', name)}") from None
        assert phase in {None, status["phase"]}, status
        return status

    def await_step(self, name: str, step: str, **fields: object) -> Json:
        """Wait until fields of a step's row are so, and return the row."""

        def probe() -> Json | None:
            row = self.step(name, step)
            return row if row and all(row.get(field) == value for field, value in fields.items()) else None

        try:
            return wait_until(probe, f"{name}: step {step} has {fields}")
        except TimeoutError as late:
            raise TimeoutError(f"{late}; the status is {self.status('Workflow', name)}") from None

    def tries(self, name: str) -> dict[str, int]:
        """How often each step was tried, by the Pods that were made for them: those in the audit log."""
        uid, made = self.get("Workflow", name)["metadata"]["uid"], set(self.created("pods"))
        labels = [pod["metadata"]["labels"] for pod in self.pods() if pod["metadata"]["name"] in made]
        steps = [row["vapora.dev/step"] for row in labels if row["vapora.dev/workflow"] == uid]
        return {step: steps.count(step) for step in dict.fromkeys(sorted(steps))}

    def pod(self, step: str) -> Json:
        """The latest Pod of a step."""

        def probe() -> Json | None:
            pods = self.pods(f"vapora.dev/step={step}")
            return max(pods, key=lambda pod: int(pod["metadata"]["labels"]["vapora.dev/try"]), default=None)

        return wait_until(probe, f"step {step} has a Pod")

    def end_pod(self, step: str, exit_code: int = 0) -> None:
        """End the latest Pod of a step, one that runs for ever."""
        pod = self.pod(step)
        notes = {"sim.vapora.dev/duration": None, "sim.vapora.dev/exit-code": str(exit_code)}
        self.patch("Pod", pod["metadata"]["name"], {"metadata": {"annotations": notes}})

    def account(self, name: str) -> str:
        """The user that a service account of the namespace is."""
        return f"system:serviceaccount:{self.namespace}:{name}"

    def writers(self, resource: str) -> list[tuple[str, str]]:
        """Who wrote a kind of object here for a workflow, and to which subresource, as the audit log has it."""
        return [
            (event["impersonatedUser"]["username"], event["objectRef"].get("subresource", ""))
            for event in self.cluster.audit_events()
            if event.get("objectRef", {}).get("resource") == resource
            and event["objectRef"].get("namespace") == self.namespace
            and "impersonatedUser" in event
            and event["verb"] != "get"
            and event["responseStatus"]["code"] < 300
        ]

    def crash(self) -> None:
        """Kill the operator and start another one, which need not wait for the Lease of the killed one."""
        self.operator.process.kill()
        self.operator.process.wait(10)
        self.fleet.release_lease()
        self.operator = self.fleet.start(f"operator-{uuid4().hex[:6]}", *TRUSTED)
