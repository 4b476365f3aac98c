"""What the tests of the engine build."""

from tests.fakes.kube_api import FakeKubeApi
from tests.fakes.meter import FakeMeter
from tests.fakes.virtual_time import VirtualClock

from vapora.controller.events import EventRecorder
from vapora.controller.executor import Executor
from vapora.controller.pacer import Pacer
from vapora.controller.ports import JsonObject
from vapora.controller.reconcile import Kit
from vapora.controller.store import Store
from vapora.controller.workqueue import WorkQueue
from vapora.controller.writer import StatusWriter
from vapora.core.calls import Perform
from vapora.core.plan import Key


def build_workflow(name: str, **spec: object) -> JsonObject:
    return {
        "apiVersion": "vapora.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": "default"},
        "spec": dict(spec),
    }


def build_pod(name: str, *, owner: str, try_: int = 1, **meta: object) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"vapora.dev/workflow": owner, "vapora.dev/try": str(try_)},
            "ownerReferences": [
                {"apiVersion": "vapora.dev/v1alpha1", "kind": "Workflow", "name": "w", "uid": owner, "controller": True}
            ],
            **meta,
        },
        "spec": {"containers": [{"name": "main", "image": "busybox"}]},
    }


def workflow_key(name: str) -> Key:
    return Key("Workflow", "default", name)


def pod_key(name: str) -> Key:
    return Key("Pod", "default", name)


class Engine:
    """Is the engine's parts over an API server in memory, without its background tasks."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.meter = FakeMeter()
        self.api = FakeKubeApi(self.clock)
        self.store = Store()
        self.queue = WorkQueue(self.clock, jitter=lambda: 0.0)
        self.pacer = Pacer(self.clock, self.queue.add, per_second=10, spare=self.queue.spare)
        self.writer = StatusWriter(self.api, self.store, self.pacer, self.clock)
        self.events = EventRecorder(self.api, self.clock, self.meter, identity="test", spare=self.queue.spare)
        self.performed: list[Perform] = []
        self.executor = Executor(self.api, None, self.store, wake=self.queue.add, perform=self.performed.append)
        self.kit = Kit(self.store, self.executor, self.writer, self.events, self.clock)

    def add(self, obj: JsonObject) -> JsonObject:
        """Creates an object as a user would, and shows it to the store."""
        created = self.api.put(obj)
        self.store.put(created["kind"], self.api.find(created["kind"], created["metadata"]["name"]))
        return created

    def status(self, name: str, kind: str = "Workflow") -> JsonObject:
        return self.api.find(kind, name).get("status", {})
