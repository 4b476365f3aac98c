"""Services in the engine: what is seen of others, and who is told when one turns."""

from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import Engine
from tests.unit.taskserv.services import build_spec

from vapora.controller.bystanders import Bystanders
from vapora.controller.dependents import Dependents
from vapora.controller.ports import JsonObject
from vapora.controller.taskserv import TaskservObserver, TaskservReconciler
from vapora.core.plan import Key


def key(name: str, namespace: str = "default") -> Key:
    return Key("Taskserv", namespace, name)


class World(Engine):
    """Is the engine with the reconciler of services; `woken` is who was told of a turn."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[str] = []
        dependents = Dependents()
        self.bystanders = Bystanders(self.api, self.clock, lambda woken: self.woken.append(woken.name))
        self.observer = TaskservObserver(self.store, dependents, self.bystanders)
        self.reconciler = TaskservReconciler(
            self.observer, dependents, self.kit, lambda woken: self.woken.append(woken.name)
        )

    def add_service(self, name: str, *needed: str, **fields: object) -> None:
        self.add(self.build(name, *needed, **fields))

    def build(self, name: str, *needed: str, **fields: object) -> JsonObject:
        dependencies = [{"name": other} for other in needed]
        return {
            "apiVersion": "vapora.dev/v1alpha1",
            "kind": "Taskserv",
            "metadata": {"name": name, "namespace": "default"},
            "spec": build_spec(dependencies=dependencies, **fields),
        }

    def change(self, name: str, *needed: str) -> None:
        spec = self.build(name, *needed)["spec"]
        self.store.put("Taskserv", self.api.change(key(name), {"spec": spec}))

    async def look(self, name: str) -> str:
        await self.reconciler.reconcile(key(name))
        obj = self.api.find("Taskserv", name)
        return obj["status"]["phase"] if obj else ""

    def bring_up(self, name: str) -> None:
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), 3)
        body = {"spec": {"replicas": 3}, "status": {**counts, "observedGeneration": 9}}
        obj = self.api.change(Key("Deployment", "default", name), body)
        self.store.put_child("Deployment", obj)


@in_virtual_time
async def test_a_service_starts_as_soon_as_the_one_it_waits_for_is_healthy() -> None:
    world = World()
    world.add_service("backend", "nats")
    assert await world.look("backend") == "Waiting"
    world.add_service("nats")
    assert await world.look("nats") == "Deploying"
    assert world.woken == ["backend"]
    assert await world.look("backend") == "Waiting"
    assert world.api.find("Deployment", "backend") is None
    world.bring_up("nats")
    assert await world.look("nats") == "Healthy"
    assert world.woken == ["backend", "backend"]
    assert await world.look("backend") == "Deploying"
    assert world.api.find("Deployment", "backend") is not None


@in_virtual_time
async def test_nobody_is_woken_while_nothing_turns() -> None:
    world = World()
    world.add_service("nats")
    world.add_service("backend", "nats")
    await world.look("backend")
    await world.look("nats")
    world.woken.clear()
    await world.look("nats")
    assert world.woken == []


@in_virtual_time
async def test_a_service_that_goes_wakes_those_that_need_it() -> None:
    world = World()
    world.add_service("nats")
    world.add_service("backend", "nats")
    await world.look("nats")
    world.bring_up("nats")
    await world.look("nats")
    await world.look("backend")
    world.bring_up("backend")
    assert await world.look("backend") == "Healthy"
    world.woken.clear()
    uid = world.store.get(key("nats"))["metadata"]["uid"]
    world.api.remove(key("nats"))
    world.store.remove(key("nats"), uid)
    await world.look("nats")
    assert world.woken == ["backend"]
    assert await world.look("backend") == "Degraded"


@in_virtual_time
async def test_a_circle_is_refused_by_all_its_members_and_by_nobody_else() -> None:
    world = World()
    world.add_service("a", "b")
    world.add_service("b", "c")
    world.add_service("c", "a")
    world.add_service("outside", "a")
    assert [await world.look(name) for name in ("a", "b", "c", "outside")] == ["Failed", "Failed", "Failed", "Waiting"]
    message = world.status("b", "Taskserv")["message"]
    assert message == "needs itself: b -> c -> a -> b"


@in_virtual_time
async def test_a_circle_that_is_opened_starts() -> None:
    world = World()
    world.add_service("a", "b")
    world.add_service("b", "a")
    assert [await world.look("a"), await world.look("b")] == ["Failed", "Failed"]
    world.change("b")
    assert await world.look("b") == "Deploying"
    assert "a" in world.woken
    assert await world.look("a") == "Waiting"


@in_virtual_time
async def test_who_needs_a_service_no_more_is_not_woken_by_it() -> None:
    world = World()
    world.add_service("nats")
    world.add_service("backend", "nats")
    await world.look("backend")
    world.change("backend")
    await world.look("backend")
    await world.look("nats")
    assert world.woken == []


@in_virtual_time
async def test_a_spec_is_read_again_only_when_it_changed() -> None:
    world = World()
    world.add_service("nats")
    first = world.observer.observe(key("nats"))
    assert world.observer.observe(key("nats")).spec is first.spec
    world.change("nats", "other")
    assert world.observer.observe(key("nats")).spec is not first.spec


@in_virtual_time
async def test_of_two_that_exclude_each_other_the_older_one_runs_until_it_goes() -> None:
    world = World()
    world.add_service("old")
    await world.clock.sleep(1)
    world.add_service("new", conflictsWith=["old"])
    assert [await world.look("new"), await world.look("old")] == ["Failed", "Deploying"]
    assert world.status("new", "Taskserv")["message"] == "must not be there together with old"
    world.woken.clear()
    uid = world.store.get(key("old"))["metadata"]["uid"]
    world.api.remove(key("old"))
    world.store.remove(key("old"), uid)
    await world.look("old")
    assert "new" in world.woken
    assert await world.look("new") == "Deploying"


@in_virtual_time
async def test_who_is_excluded_is_looked_at_when_the_other_changes_its_mind() -> None:
    world = World()
    world.add_service("old", conflictsWith=["new"])
    await world.clock.sleep(1)
    world.add_service("new")
    await world.look("old")
    assert await world.look("new") == "Failed"
    world.woken.clear()
    world.store.put("Taskserv", world.api.change(key("old"), {"spec": {"conflictsWith": None}}))
    await world.look("old")
    assert "new" in world.woken
    assert await world.look("new") == "Deploying"


@in_virtual_time
async def test_the_revisions_that_a_stateful_set_makes_are_not_the_services() -> None:
    world = World()
    world.add_service("nats", type="stateful")
    await world.look("nats")
    uid = world.store.get(key("nats"))["metadata"]["uid"]
    labels = {"vapora.dev/owner": uid, "vapora.dev/revision": "whatever"}
    owner = {"kind": "StatefulSet", "name": "nats", "uid": "another", "controller": True}
    metadata = {"name": "nats-7d4", "namespace": "default", "labels": labels, "ownerReferences": [owner]}
    world.store.put_child(
        "ControllerRevision",
        world.api.put({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "revision": 7}),
    )
    assert await world.look("nats") == "Deploying"
    assert [row["revision"] for row in world.status("nats", "Taskserv")["revisions"]] == ["1"]
    assert world.api.find("ControllerRevision", "nats-7d4") is not None
