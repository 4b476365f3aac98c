"""What Providers have in a namespace: servers, services, clusters; and who plays the foreign controllers."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.cluster.waiting import wait_until
from tests.integration.objects import Json
from tests.integration.workflow.stage import Stage

MACHINES, CLUSTERS = "cluster.x-k8s.io/v1beta1/machinedeployments", "cluster.x-k8s.io/v1beta1/clusters"
CLAIMS = "platform.example.org/v1alpha1/servers"
READY: Json = {"conditions": [{"type": "Ready", "status": "True", "reason": "Available", "message": ""}]}
Play = Callable[[Json], Json | None]


def make(target: str, *items: str, action: str = "create", name: str = "make", **fields: object) -> Json:
    """A step that does something to each of some things, several at once."""
    task = {"type": f"provisioning.{target}", "params": {"action": action, "items": ["${item}"]}}
    return {"name": name, "task": task, "forEach": {"items": list(items)}, **fields}


class Things(Stage):
    """A namespace with Providers."""

    def provider(self, name: str = "default", type_: str = "local", **spec: object) -> None:
        """Create a Provider."""
        self.create("Provider", name, {"type": type_, **spec})

    def inventory(self, name: str = "default") -> dict[str, str]:
        """What a Provider says that it has: kind and name to state."""
        return {
            f"{row['kind']} {row['name']}": row["state"] for row in self.status("Provider", name).get("inventory", [])
        }

    def await_inventory(self, wanted: Mapping[str, str], name: str = "default") -> None:
        try:
            wait_until(lambda: self.inventory(name) == wanted, f"{name} has {wanted}", within=30)
        except TimeoutError as late:
            raise TimeoutError(
                f"{late}; it has {self.inventory(name)} and says {self.said('Provider', name)}"
            ) from None

    def foreign(self, plural: str) -> list[Json]:
        """Objects of a foreign kind, by group, version and plural as one path."""
        group_version, _, resource = plural.rpartition("/")
        path = f"/apis/{group_version}/namespaces/{self.namespace}/{resource}"
        return list(self.cluster.api.get(path).raise_for_status().json()["items"])

    @contextmanager
    def playing(self, plural: str, play: Play) -> Iterator[None]:
        """Be the controller of a foreign kind: `play` says what the status of an object is."""
        group_version, _, resource = plural.rpartition("/")
        path = f"/apis/{group_version}/namespaces/{self.namespace}/{resource}"
        done = threading.Event()

        def control() -> None:
            while not done.wait(0.1):
                for found in self.foreign(plural):
                    status = play(found)
                    if status is not None and found.get("status") != status:
                        url = f"{path}/{found['metadata']['name']}/status"
                        headers = {"Content-Type": "application/merge-patch+json"}
                        self.cluster.api.patch(url, json={"status": status}, headers=headers)

        thread = threading.Thread(target=control, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
