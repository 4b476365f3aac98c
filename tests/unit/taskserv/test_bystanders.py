"""What services look at and nobody watches."""

from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import Engine

from vapora.controller.bystanders import ABSENT, NODES, Bystanders
from vapora.core.plan import Key
from vapora.core.taskserv.capacity import NodeSize

USER = Key("Taskserv", "default", "backend")
SECRET = Key("Secret", "default", "keys")
SERVICE = Key("Service", "default", "postgres")


class World(Engine):
    """Is an API server, and what is seen of it."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[Key] = []
        self.bystanders = Bystanders(self.api, self.clock, self.woken.append)

    def put(self, key: Key, **fields: object) -> None:
        metadata = {"name": key.name, "namespace": key.namespace}
        self.api.put({"apiVersion": "v1", "kind": key.kind, "metadata": metadata, **fields})


@in_virtual_time
async def test_who_uses_a_secret_is_woken_when_its_content_changes_and_not_otherwise() -> None:
    world = World()
    world.put(SECRET, data={"claude": "b25l"})
    await world.bystanders.look_at(USER, [SECRET])
    before = world.bystanders.find_digest(SECRET)
    world.api.change(SECRET, {"metadata": {"annotations": {"note": "seen"}}})
    await world.bystanders.sweep()
    assert (world.woken, world.bystanders.find_digest(SECRET)) == ([], before)
    world.api.change(SECRET, {"data": {"claude": "dHdv"}})
    await world.bystanders.sweep()
    assert world.woken == [USER]
    assert world.bystanders.find_digest(SECRET) != before


@in_virtual_time
async def test_the_same_content_of_another_secret_has_another_digest() -> None:
    world = World()
    other = Key("Secret", "default", "other")
    for key in (SECRET, other):
        world.put(key, data={"pin": "MTIzNA=="})
    await world.bystanders.look_at(USER, [SECRET, other])
    assert world.bystanders.find_digest(SECRET) != world.bystanders.find_digest(other)


@in_virtual_time
async def test_a_secret_that_is_not_there_has_no_content_yet() -> None:
    world = World()
    await world.bystanders.look_at(USER, [SECRET])
    assert world.bystanders.find_digest(SECRET) == ABSENT


@in_virtual_time
async def test_a_secret_that_may_not_be_read_is_unknown_and_one_out_of_reach_is_as_it_was() -> None:
    world = World()
    world.put(SECRET, data={})
    await world.bystanders.look_at(USER, [SECRET])
    before = world.bystanders.find_digest(SECRET)

    async def be_away(verb: str, key: Key) -> None:
        raise refuse(503)

    async def forbid(verb: str, key: Key) -> None:
        raise refuse(403)

    world.api.before = be_away
    await world.bystanders.sweep()
    assert (world.bystanders.find_digest(SECRET), world.woken) == (before, [])
    world.api.before = forbid
    await world.bystanders.sweep()
    assert (world.bystanders.find_digest(SECRET), world.woken) == (None, [USER])


@in_virtual_time
async def test_what_nobody_looks_at_any_more_is_forgotten() -> None:
    world = World()
    world.put(SECRET, data={})
    await world.bystanders.look_at(USER, [SECRET])
    await world.bystanders.look_at(USER, [])
    await world.bystanders.sweep()
    assert world.bystanders.find_digest(SECRET) is None


def build_slice(*, ready: bool) -> dict[str, object]:
    labels = {"kubernetes.io/service-name": SERVICE.name}
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}]
    metadata = {"name": f"slice-{ready}", "namespace": SERVICE.namespace, "labels": labels}
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "endpoints": endpoints}


@in_virtual_time
async def test_a_service_is_healthy_once_one_of_its_endpoints_is_ready() -> None:
    world = World()
    await world.bystanders.look_at(USER, [SERVICE])
    assert world.bystanders.find_provider(SERVICE) is None
    world.put(SERVICE, spec={"selector": {"app": "postgres"}})
    world.api.put(build_slice(ready=False))
    await world.bystanders.sweep()
    assert world.bystanders.find_provider(SERVICE).phase == "without a ready endpoint"
    world.api.put(build_slice(ready=True))
    await world.bystanders.sweep()
    assert (world.bystanders.find_provider(SERVICE).phase, world.woken) == ("Healthy", [USER, USER])


@in_virtual_time
async def test_a_node_that_takes_no_pods_offers_nothing() -> None:
    world = World()
    for name, spec in (("a", {}), ("b", {"unschedulable": True})):
        node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}
        world.api.put({**node, "status": {"allocatable": {"cpu": "8"}}})
    await world.bystanders.look_at(USER, [NODES])
    assert world.bystanders.find_nodes() == (NodeSize("a", {"cpu": "8"}), NodeSize("b", {}))
