"""The pools that agents belong to, as an operator before this one left them: ready, with a Deployment each."""

from tests.fakes.kube_objects import KubeObjects, key_of
from tests.simulation.kinds import Json
from tests.simulation.loop import SimulatedLoop

from vapora.core.plan import Key


class PoolWorld:
    """Keeps the Deployments of pools available."""

    def __init__(self, objects: KubeObjects, loop: SimulatedLoop, names: list[str], budget: Json | None = None) -> None:
        self._objects = objects
        self._loop = loop
        objects.subscribers.append(self._on_change)
        for name in names:
            spec = {"role": "developer", "replicas": 5, "maxConcurrent": 10, "template": {"image": "x"}}
            spec |= {"budget": budget} if budget else {}
            meta = {"name": name, "namespace": "default"}
            objects.create({"apiVersion": "vapora.dev/v1alpha1", "kind": "AgentPool", "metadata": meta, "spec": spec})

    def _on_change(self, change: str, obj: Json, former: Json | None) -> None:
        if obj["kind"] == "Deployment" and change != "DELETED":
            self._loop.call_later(0.02, self._roll_out, key_of(obj))

    def _roll_out(self, key: Key) -> None:
        obj = self._objects.read(key)
        replicas, generation = obj["spec"].get("replicas", 1), obj["metadata"]["generation"]
        status = {"observedGeneration": generation}
        status |= dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), replicas)
        if obj.get("status") != status:
            self._objects.change(key, {"status": status})
