"""A fleet that comes of definition files: imported and applied as a person does it, and looked at."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.definitions.copies import WORKSPACE, call_vapora
from tests.integration.objects import FINAL, Json, Objects

from vapora.cli.importing.differences import IMPORTER

SYSTEM, AGENTS = "vapora-system", "vapora-agents"
ACCESS = WORKSPACE / "access"
DEPLOYED_WITHIN = 180.0  # what the deployment promises


def import_files(*sources: Path, catalog: bool = True, values: Path | None = None) -> list[Json]:
    """The objects that `vapora import` prints."""
    options = [*(["--catalog"] if catalog else []), *(["--values", str(values)] if values else [])]
    done = call_vapora("import", *map(str, sources), *options, "-o", "json")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["items"])


def find(objects: Sequence[Json], kind: str, name: str) -> Json:
    """An object of an import."""
    return next(obj for obj in objects if obj["kind"] == kind and obj["metadata"]["name"] == name)


class Fleet(Objects):
    """What definition files make in their two namespaces, and the workflows that do it."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, SYSTEM)
        self.agents = Objects(cluster, AGENTS)

    def apply(self, *objects: Json) -> None:
        """Apply objects as the documentation says."""
        written = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.cluster.kubectl("apply", "--server-side", "--field-manager", IMPORTER, "-f", "-", input=written)

    def submit(self, objects: Sequence[Json], workflow: str) -> None:
        """Apply what was imported, and of its Workflows this one alone."""
        self.apply(*(obj for obj in objects if obj["kind"] != "Workflow"))
        self.apply(find(objects, "Workflow", workflow))

    def ended(self, workflow: str, phase: str, *, within: float = DEPLOYED_WITHIN) -> Json:
        """Wait until a Workflow has ended, in this phase, and return its status."""

        def probe() -> Json | None:
            status = self.status("Workflow", workflow)
            is_refused = status.get("phase") == "Pending" and self.said("Workflow", workflow).get("Stalled")
            return status if status.get("phase") in FINAL or is_refused else None

        try:
            status = wait_until(probe, f"{workflow} has ended", within=within, every=0.25)
        except TimeoutError as late:
            raise TimeoutError(f"{late}; {self.tell(workflow)}") from None
        assert status.get("phase") == phase, self.tell(workflow)
        return status

    def tell(self, workflow: str) -> str:
        """What the status says of every step, for a failure's message."""
        status = self.status("Workflow", workflow)
        rows = [
            f"{name}: {row.get('state')} {row.get('reason', '')} {row.get('message', '')} {row.get('waitingOn', '')}"
            for name, row in {**status.get("steps", {}), **status.get("rollback", {}).get("steps", {})}.items()
        ]
        return "\n".join([f"{workflow} is {status.get('phase')}: {status.get('conditions')}", *rows])

    def await_step(self, workflow: str, step: str, state: str, *, within: float = DEPLOYED_WITHIN) -> None:
        """Wait until a step is in a state."""
        try:
            wait_until(lambda: self.step(workflow, step).get("state") == state, f"{step} is {state}", within=within)
        except TimeoutError as late:
            raise TimeoutError(f"{late}; {self.tell(workflow)}") from None

    def approve(self, workflow: str, step: str) -> None:
        """Approve a step as the administrator."""
        command = ("workflow", "approve", workflow, step, "-n", self.namespace)
        done = call_vapora(*command, kubeconfig=self.cluster.kubeconfig)
        assert done.returncode == 0, done.stdout + done.stderr

    def phases(self) -> dict[str, str]:
        """How every service of both namespaces does."""
        rows = [*self.all("Taskserv"), *self.agents.all("Taskserv")]
        return {row["metadata"]["name"]: row.get("status", {}).get("phase", "") for row in rows}

    def pools(self) -> dict[str, bool]:
        """Whether every pool is Ready with all its agents."""
        return {
            row["metadata"]["name"]: is_ready(row) and row["status"]["readyReplicas"] == row["spec"]["replicas"]
            for row in self.agents.all("AgentPool")
        }

    def clear(self) -> None:
        """Delete what a test has left, volumes too."""
        kinds = "workflows,taskservs,agentpools,providers,jobs,persistentvolumeclaims,httproutes"
        for namespace in (SYSTEM, AGENTS):
            self.cluster.kubectl("delete", kinds, "--all", "-n", namespace, "--timeout=60s")
            wait_until(
                lambda n=namespace: not Objects(self.cluster, n).all("Pod"),  # type: ignore[misc]
                f"no pod is left in {namespace}",
            )
        self.cluster.kubectl("delete", "configmaps", "-l", "vapora.dev/catalog in (taskserv, agentpool)", "-n", SYSTEM)


def is_ready(obj: Json) -> bool:
    """Whether the condition Ready is true."""
    conditions = obj.get("status", {}).get("conditions", [])
    return any(row["type"] == "Ready" and row["status"] == "True" for row in conditions)


def assert_undone_in_reverse(status: Json, edges: Mapping[str, Sequence[str]]) -> None:
    """Check that of every edge the dependent was undone before what it depends on began to be."""
    undone = status["rollback"]["steps"]
    for step, needs in edges.items():
        for need in needs:
            if step in undone and need in undone:
                assert undone[step]["finishedAt"] <= undone[need]["startedAt"], (step, need, undone)


def list_undone(status: Json) -> list[str]:
    """The steps that were undone, in the order in which that began."""
    undone = status["rollback"]["steps"]
    return sorted(undone, key=lambda name: str(undone[name]["startedAt"]))


def list_edges(workflow: Json) -> dict[str, list[str]]:
    """What each step of a Workflow depends on."""
    return {step["name"]: step.get("dependsOn", []) for step in workflow["spec"]["steps"]}
