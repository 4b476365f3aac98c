"""The Kubernetes client and its watches against a real API server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.cluster.access import Cluster
from tests.cluster.waiting import until
from tests.fakes.meter import FakeMeter
from tests.fakes.tcp_proxy import TcpProxy
from tests.integration.engine import connected, install_definitions

from vapora.adapters.clock import SystemClock
from vapora.adapters.kube_client import PAGE, KubernetesApi
from vapora.adapters.kube_informer import KubeInformer
from vapora.controller.ports import AlreadyExists, ApiError, Conflict, Gone, JsonObject, NotFound
from vapora.core.naming import FINALIZER_ATTEMPT, WITHOUT_FINALIZER
from vapora.core.plan import Key


@pytest_asyncio.fixture
async def api(cluster: Cluster) -> AsyncIterator[KubernetesApi]:
    async with connected(cluster) as client:
        yield client


def config_map(namespace: str, name: str, **labels: str) -> JsonObject:
    meta = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "1"}}


def key(namespace: str, name: str) -> Key:
    return Key("ConfigMap", namespace, name)


async def test_an_object_lives_from_create_to_delete(api: KubernetesApi, namespace: str):
    created = await api.create(config_map(namespace, "x"))
    assert (await api.get(key(namespace, "x")))["metadata"]["uid"] == created["metadata"]["uid"]
    patched = await api.patch(key(namespace, "x"), {"data": {"a": None, "b": "2"}})
    assert patched["data"] == {"b": "2"}
    await api.delete(key(namespace, "x"), uid=created["metadata"]["uid"])
    with pytest.raises(NotFound):
        await api.get(key(namespace, "x"))


async def test_a_finalizer_is_taken_off_while_others_take_off_theirs(api: KubernetesApi, namespace: str):
    meta = {"finalizers": [FINALIZER_ATTEMPT, "example.com/theirs", "example.com/gone"]}
    made = config_map(namespace, "x")
    await api.create({**made, "metadata": {**made["metadata"], **meta}})
    await api.patch(key(namespace, "x"), {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/gone"]}})
    freed = await api.patch(key(namespace, "x"), {"metadata": {**WITHOUT_FINALIZER, "managedFields": [{}]}})
    assert freed["metadata"]["finalizers"] == ["example.com/theirs"]
    assert "managedFields" not in freed["metadata"]


async def test_each_refusal_has_its_own_error(api: KubernetesApi, namespace: str):
    created = await api.create(config_map(namespace, "x"))
    with pytest.raises(AlreadyExists):
        await api.create(config_map(namespace, "x"))
    with pytest.raises(Conflict):
        await api.patch(key(namespace, "x"), {"metadata": {"resourceVersion": "1"}, "data": {"a": "2"}})
    with pytest.raises(Conflict):
        await api.delete(key(namespace, "x"), uid="another")
    with pytest.raises(NotFound):
        await api.delete(key(namespace, "y"))
    with pytest.raises(ApiError) as invalid:
        await api.patch(key(namespace, "x"), {"data": {"not a key!": "2"}})
    assert (invalid.value.status, invalid.value.reason, invalid.value.is_permanent) == (422, "Invalid", True)
    assert created["data"] == {"a": "1"}


async def test_what_the_account_may_not_do_is_a_permanent_refusal(cluster: Cluster, namespace: str):
    async with connected(cluster, kubeconfig=cluster.user_kubeconfig(namespace, "default")) as weak:
        with pytest.raises(ApiError) as refusal:
            await weak.create(config_map(namespace, "x"))
    assert (refusal.value.status, refusal.value.reason, refusal.value.is_permanent) == (403, "Forbidden", True)


async def test_apply_makes_and_changes_but_takes_no_field_of_another_manager(
    api: KubernetesApi, cluster: Cluster, namespace: str
):
    await api.apply(config_map(namespace, "x"))
    await api.apply({**config_map(namespace, "x"), "data": {"a": "2"}})
    cluster.kubectl("-n", namespace, "patch", "configmap", "x", "--type=merge", "-p", '{"data":{"a":"by hand"}}')
    with pytest.raises(Conflict):
        await api.apply({**config_map(namespace, "x"), "data": {"a": "3"}})
    forced = await api.apply({**config_map(namespace, "x"), "data": {"a": "3"}}, force=True)
    assert forced["data"] == {"a": "3"}


async def test_a_status_patch_changes_the_status_alone(api: KubernetesApi, cluster: Cluster, namespace: str):
    install_definitions(cluster)
    made = await api.create(
        {
            "apiVersion": "vapora.dev/v1alpha1",
            "kind": "Provider",
            "metadata": {"name": "p", "namespace": namespace},
            "spec": {"type": "local"},
        }
    )
    body = {
        "metadata": {"resourceVersion": made["metadata"]["resourceVersion"]},
        "spec": {"type": "command"},
        "status": {"inUse": 3},
    }
    written = await api.patch(Key("Provider", namespace, "p"), body, subresource="status")
    assert (written["spec"]["type"], written["status"]) == ("local", {"inUse": 3})
    with pytest.raises(Conflict):
        await api.patch(Key("Provider", namespace, "p"), body, subresource="status")


async def test_a_list_of_several_pages_has_every_object_once(api: KubernetesApi, namespace: str):
    count = PAGE + 20
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(api.create(config_map(namespace, f"c{number}", batch=namespace)))
    names = [obj["metadata"]["name"] async for obj in api.list("ConfigMap", selector=f"batch={namespace}")]
    assert sorted(names) == sorted(f"c{number}" for number in range(count))


async def test_a_list_of_metadata_leaves_the_rest_out(api: KubernetesApi, namespace: str):
    await api.create(config_map(namespace, "x", batch=namespace))
    [found] = [obj async for obj in api.list("ConfigMap", selector=f"batch={namespace}", metadata_only=True)]
    assert found["metadata"]["name"] == "x"
    assert "data" not in found


async def test_a_collection_is_deleted_by_its_labels(api: KubernetesApi, namespace: str):
    for name, minute in (("a", "1"), ("b", "2"), ("c", "3")):
        await api.create(config_map(namespace, name, minute=minute, batch=namespace))
    await api.delete_collection("ConfigMap", namespace, selector=f"batch={namespace},minute in (1,3)")
    left = [obj["metadata"]["name"] async for obj in api.list("ConfigMap", selector=f"batch={namespace}")]
    assert left == ["b"]


async def test_a_watch_from_a_version_too_old_says_so(api: KubernetesApi, cluster: Cluster):
    install_definitions(cluster)  # the server knows nothing of a kind from before it was defined
    with pytest.raises(Gone) as loss:
        await anext(api.watch("Workflow", "", "1"))
    assert loss.value.status == 410


async def test_a_server_out_of_reach_is_an_error_after_a_few_tries(cluster: Cluster):
    async with connected(cluster, server="https://127.0.0.1:9") as lost:
        with pytest.raises(ApiError) as refusal:
            await lost.get(key("default", "x"))
    assert (refusal.value.status, refusal.value.reason, refusal.value.is_permanent) == (0, "NoAnswer", False)


class Watcher:
    """Follows ConfigMaps of a label and keeps what a reader of the events would know."""

    def __init__(self, api: KubernetesApi, selector: str) -> None:
        self._informer = KubeInformer(api, SystemClock(), FakeMeter(), lambda: 0.0)
        self._selector = selector
        self.known: dict[str, str] = {}
        self.lists = 0

    async def __aenter__(self) -> "Watcher":
        self._task = asyncio.ensure_future(
            self._informer.watch(
                "ConfigMap", self._selector, on_object=self._see, on_deleted=self._miss, on_listed=self._listed
            )
        )
        await until(lambda: self.lists, "the first list is complete")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def _see(self, event: str, obj: JsonObject) -> None:
        self.known[obj["metadata"]["name"]] = obj["data"]["a"]

    def _miss(self, obj: JsonObject) -> None:
        del self.known[obj["metadata"]["name"]]

    def _listed(self, uids: frozenset[str], version: int) -> None:
        self.lists += 1


async def test_an_informer_reports_what_is_there_and_what_changes(api: KubernetesApi, namespace: str):
    await api.create(config_map(namespace, "old", batch=namespace))
    async with Watcher(api, f"batch={namespace}") as watcher:
        assert watcher.known == {"old": "1"}
        await api.create(config_map(namespace, "new", batch=namespace))
        await api.patch(key(namespace, "old"), {"data": {"a": "2"}})
        await until(lambda: watcher.known == {"old": "2", "new": "1"}, "both changes are seen")
        await api.delete(key(namespace, "old"))
        await until(lambda: watcher.known == {"new": "1"}, "the deletion is seen")


async def test_an_object_that_leaves_the_selector_is_reported_as_gone(api: KubernetesApi, namespace: str):
    await api.create(config_map(namespace, "x", batch=namespace))
    async with Watcher(api, f"batch={namespace},recorded!=true") as watcher:
        await api.patch(key(namespace, "x"), {"metadata": {"labels": {"recorded": "true"}}})
        await until(lambda: watcher.known == {}, "it is gone")


def port_of(cluster: Cluster) -> int:
    return int(cluster.url.rsplit(":", 1)[1])


async def test_an_informer_goes_on_where_it_was_when_its_connection_breaks(
    api: KubernetesApi, cluster: Cluster, namespace: str
):
    async with (
        TcpProxy(port_of(cluster)) as way,
        connected(cluster, server=f"https://127.0.0.1:{way.port}") as by_proxy,
        Watcher(by_proxy, f"batch={namespace}") as watcher,
    ):
        for name in ("a", "b", "c"):
            way.cut()
            await api.create(config_map(namespace, name, batch=namespace))
            await until(lambda name=name: name in watcher.known, f"{name} is seen")
        assert watcher.lists == 1


async def test_an_informer_notices_a_connection_that_died_without_a_word(
    api: KubernetesApi, cluster: Cluster, namespace: str
):
    async with (
        TcpProxy(port_of(cluster)) as way,
        connected(cluster, server=f"https://127.0.0.1:{way.port}", watch_silence=1.0) as by_proxy,
        Watcher(by_proxy, f"batch={namespace}") as watcher,
    ):
        way.stall()
        await api.create(config_map(namespace, "a", batch=namespace))
        before = way.connections
        await until(lambda: way.connections > before, "another connection is tried")
        assert watcher.known == {}
        way.resume()
        await until(lambda: watcher.known == {"a": "1"}, "what was missed is seen")
