"""What the scenarios of deployments do: fill the catalogue, run tasks, read who was made and who went, in order."""

from collections.abc import Mapping

from tests.integration.objects import Json, build
from tests.integration.workflow.stage import Stage

from vapora.core.catalog import build_entry

SERVICE: Json = {"image": "service:${version}", "version": "0.1.0", "replicas": 2, "ports": {"http": 8080}}
POOL: Json = {"role": "worker", "template": {"image": "team/agents:worker-0.1.0"}}
MISSING = "missing.example/frontend:${version}"  # the simulated nodes cannot pull it


def task(name: str, type_: str, params: Mapping[str, object], **fields: object) -> Json:
    """A step that runs a task of provisioning."""
    return {"name": name, "task": {"type": f"provisioning.{type_}", "params": dict(params)}, **fields}


def deploy(name: str, *services: str, **fields: object) -> Json:
    """A step that deploys services."""
    return task(name, "deploy-taskservs", {"taskservs": list(services)}, **fields)


class Fleet(Stage):
    """A namespace with a catalogue, where workflows deploy as the account `deployer`."""

    def define(self, kind: str, name: str, spec: Mapping[str, object], **fields: object) -> None:
        """Put an object into the catalogue."""
        entry = build_entry(build(kind, {**spec, **fields}, name), self.namespace)
        self.cluster.api.post(self.path("ConfigMap"), json=entry).raise_for_status()

    def launch(self, name: str, *steps: Mapping[str, object], **fields: object) -> Json:
        """Create a workflow that runs as the deployer."""
        return self.workflow(name, *steps, serviceAccountName="deployer", **fields)

    def made(self, resource: str) -> list[str]:
        """The names of what accounts of workflows made here, in order."""
        return self._list_writes(resource, "patch", 201)

    def deleted(self, resource: str) -> list[str]:
        """The names of what accounts of workflows deleted here, in order."""
        return self._list_writes(resource, "delete", 200)

    def _list_writes(self, resource: str, verb: str, code: int) -> list[str]:
        return [
            event["objectRef"]["name"]
            for event in self.cluster.audit_events()
            if event["verb"] == verb
            and event.get("objectRef", {}).get("resource") == resource
            and event["objectRef"].get("namespace") == self.namespace
            and "impersonatedUser" in event
            and event["responseStatus"]["code"] == code
        ]
