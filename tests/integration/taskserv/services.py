"""The services of a namespace on a real API server, with nodes that are simulated."""

import json
from collections.abc import Callable

from tests.cluster.waiting import wait_until
from tests.integration.objects import Json, Objects

SERVING: Json = {"image": "service:${version}", "version": "0.1.0", "replicas": 2, "ports": {"http": 8080}}
MISSING = "missing.example/backend:0.1.0"  # the simulated nodes cannot pull it


def simulate(**annotations: str) -> Json:
    """Say how the simulated nodes treat the pods."""
    named = {f"sim.vapora.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {"metadata": {"annotations": named}}


CRASHING = simulate(reason="CrashLoopBackOff", exit_code="3", message="no such table: users")


class Services(Objects):
    """The objects of one namespace, seen by those who care for services."""

    def service(self, name: str = "backend", **fields: object) -> None:
        """Create a service of two replicas that serves."""
        self.create("Taskserv", name, {**SERVING, **fields})

    def ready(self, *names: str) -> None:
        """Wait as the documentation says."""
        self.kubectl("wait", "--for=condition=Ready", "--timeout=30s", *(f"taskserv/{name}" for name in names))

    def change(self, name: str = "backend", **fields: object) -> None:
        """Change fields of a spec."""
        self.patch("Taskserv", name, {"spec": fields})

    def ask(self, request: str, name: str = "backend") -> None:
        """Ask by the request annotation."""
        self.patch("Taskserv", name, {"metadata": {"annotations": {"vapora.dev/request": request}}})

    def healthy(self, name: str = "backend", **fields: object) -> Json:
        """Wait until a service is healthy, with these fields of its status."""
        return self.await_status("Taskserv", name, phase="Healthy", **fields)

    def images(self) -> list[str]:
        """The images of the pods that are not about to go."""
        pods = [pod for pod in self.all("Pod") if "deletionTimestamp" not in pod["metadata"]]
        return sorted(pod["spec"]["containers"][0]["image"] for pod in pods)

    def await_images(self, *images: str) -> None:
        """Wait until exactly these images run."""
        wait_until(lambda: self.images() == sorted(images), f"{images} run", within=30)

    def outcomes(self, name: str = "backend") -> dict[str, str]:
        """What became of each revision."""
        rows = self.status("Taskserv", name).get("revisions", [])
        return {row["revision"]: row.get("outcome", "") for row in rows}

    def served(self, name: str = "backend") -> set[str]:
        """The images of the pods that a Service leads to."""
        selector = self.get("Service", name)["spec"]["selector"]
        pods = self.all("Pod", ",".join(f"{key}={value}" for key, value in selector.items()))
        return {pod["spec"]["containers"][0]["image"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}

    def mark(self) -> str:
        """Where the history of the Deployments stands now."""
        return str(
            self.cluster.api.get(self.path("Deployment")).raise_for_status().json()["metadata"]["resourceVersion"]
        )

    def sizes(self, mark: str) -> list[int]:
        """The sizes that Deployments were given since, without repetitions."""
        params = {"watch": "true", "resourceVersion": mark, "timeoutSeconds": "1"}
        with self.cluster.api.stream("GET", self.path("Deployment"), params=params) as events:
            sizes = [json.loads(line)["object"]["spec"]["replicas"] for line in events.iter_lines()]
        return [size for at, size in enumerate(sizes) if at == 0 or sizes[at - 1] != size]

    def await_so(self, probe: Callable[[], object], what: str, *, within: float = 30) -> None:
        """Wait until something is so."""
        wait_until(probe, what, within=within)
