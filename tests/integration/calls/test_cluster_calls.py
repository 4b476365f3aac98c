"""Calls to a real API server as a workflow's account, from the operator's own account."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.contract.rbac import Call, read_calls
from tests.integration.engine import ACCOUNT, ROOT, connected, install_account
from tests.integration.objects import Json, Objects

from vapora.adapters import kube_caller
from vapora.adapters.clock import SystemClock
from vapora.adapters.kube_caller import KubeCaller
from vapora.controller.ports import SecretUnavailable
from vapora.core.calls import (
    Account,
    Answer,
    ApplyCall,
    DeleteCall,
    ListCall,
    Listing,
    MergeCall,
    ObjectRef,
    ReadCall,
    SecretRef,
)

NAMESPACE = "calls"
ABLE, UNABLE = Account(NAMESPACE, "able"), Account(NAMESPACE, "unable")
OPERATOR = f"system:serviceaccount:{ACCOUNT[0]}:{ACCOUNT[1]}"


@pytest.fixture(scope="module")
def kubeconfig(cluster: Cluster) -> Iterator[Path]:
    """The operator's kubeconfig, in a cluster with a namespace of a tenant."""
    cluster.create_namespace(NAMESPACE)
    path = install_account(cluster, NAMESPACE)
    binding = ROOT / "kustomize" / "components" / "tenant" / "role-binding.yaml"
    for manifest in (Path(__file__).with_name("accounts.yaml"), binding):
        cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(manifest))
    yield path
    cluster.api.delete(f"/api/v1/namespaces/{NAMESPACE}").raise_for_status()
    everywhere = ("clusterrole/calls-wide", "clusterrolebinding/calls-wide", "crd/widgets.calls.example.com")
    cluster.kubectl("delete", "--ignore-not-found", *everywhere, "crd/gadgets.calls.example.com")


@dataclass
class World:
    """A caller, and the administrator's view of the namespace."""

    caller: KubeCaller
    objects: Objects
    cluster: Cluster

    async def apply(self, *manifests: Json, account: Account = ABLE, manager: str = "vapora-1") -> Answer:
        return await self.caller.call(ApplyCall(manifests, manager), account)

    def find(self, name: str) -> Json | None:
        answer = self.cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}")
        return None if answer.status_code == 404 else dict(answer.raise_for_status().json())


@pytest_asyncio.fixture
async def world(cluster: Cluster, kubeconfig: Path) -> AsyncIterator[World]:
    async with connected(cluster, kubeconfig=kubeconfig) as api:
        yield World(KubeCaller(api, SystemClock()), Objects(cluster, NAMESPACE), cluster)


def config(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def config_ref(name: str, namespace: str = NAMESPACE) -> ObjectRef:
    return ObjectRef("v1", "ConfigMap", namespace, name)


async def test_objects_are_read_in_order_with_null_for_each_that_is_not_there(world: World):
    await world.apply(config("read-1", a="1"), config("read-2", a="2"))
    refs = [config_ref(name) for name in ("read-2", "absent", "read-1")]
    answer = await world.caller.call(ReadCall(tuple(refs)), ABLE)
    assert [obj and obj["data"]["a"] for obj in answer.value] == ["2", None, "1"]


async def test_an_object_without_a_namespace_is_in_the_accounts(world: World):
    await world.apply(config("here"))
    answer = await world.caller.call(ReadCall((config_ref("here", namespace=""),)), ABLE)
    assert answer.value[0]["metadata"]["namespace"] == NAMESPACE


async def test_objects_are_listed_by_name_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kube_caller, "PAGE", 2)
    names = [f"listed-{at}" for at in range(5)]
    labelled = [{**config(name, a=name), "metadata": {"name": name, "labels": {"set": "one"}}} for name in names]
    await world.apply(*labelled)
    listing = Listing("v1", "ConfigMap", "", "set=one")
    answer = await world.caller.call(ListCall((listing, Listing("v1", "ConfigMap", NAMESPACE, "set=none"))), ABLE)
    some, none = answer.value
    assert [(item["kind"], item["metadata"]["name"], item["data"]["a"]) for item in some] == [
        ("ConfigMap", name, name) for name in names
    ]
    assert not any("managedFields" in item["metadata"] for item in some)
    assert none == []


async def test_what_may_not_be_listed_is_refused_and_so_is_too_much(world: World, monkeypatch: pytest.MonkeyPatch):
    call = ListCall((Listing("v1", "ConfigMap", NAMESPACE),))
    assert (await world.caller.call(call, UNABLE)).reason == "Forbidden"
    gone = ListCall((Listing("vapora.dev/v9", "Nothing", NAMESPACE),))
    assert (await world.caller.call(gone, ABLE)).reason == "NotFound"
    await world.apply(config("much-1"), config("much-2"))
    monkeypatch.setattr(kube_caller, "MAX_LISTED", 1)
    assert (await world.caller.call(call, ABLE)).reason == "OutputTooLarge"


async def test_nothing_is_read_or_deleted_without_a_name(world: World):
    nameless = config_ref("")
    calls = [ReadCall((nameless,)), DeleteCall(((nameless, "uid"),)), MergeCall(nameless, {})]
    assert [(await world.caller.call(call, ABLE)).reason for call in calls] == ["Invalid"] * 3


async def test_applied_objects_are_the_managers_and_are_answered_as_stored(world: World):
    answer = await world.apply(config("applied", a="1"), manager="vapora-8charsof")
    [stored] = answer.value
    assert stored["metadata"]["uid"] == world.find("applied")["metadata"]["uid"]
    managers = [(row["manager"], row["operation"]) for row in stored["metadata"]["managedFields"]]
    assert managers == [("vapora-8charsof", "Apply")]


async def test_applying_twice_changes_nothing(world: World):
    first, second = [await world.apply(config("twice", a="1")) for _ in range(2)]
    versions = [answer.value[0]["metadata"]["resourceVersion"] for answer in (first, second)]
    assert versions[0] == versions[1]


async def test_a_field_of_another_manager_is_a_definite_conflict_in_the_servers_words(world: World):
    await world.apply(config("taken", a="1"), manager="somebody")
    answer = await world.apply(config("first"), config("taken", a="2"), config("third"))
    assert (answer.reason, answer.is_definite) == ("Conflict", True)
    assert answer.message.startswith("manifest 2 of 3, ConfigMap taken: Apply failed with 1 conflict")
    assert "somebody" in answer.message
    assert (world.find("taken")["data"], world.find("third")) == ({"a": "1"}, None)


async def test_a_field_that_a_kind_does_not_have_is_refused(world: World):
    answer = await world.apply({**config("unknown"), "dada": {}})
    assert (answer.reason, answer.is_definite) == ("Invalid", True)
    assert "dada" in answer.message


async def test_a_merge_is_guarded_by_the_uid(world: World):
    await world.apply(config("merged", a="1"))
    found = world.find("merged")
    bodies = {
        uid: {"metadata": {"uid": uid}, "data": {"a": "2"}} for uid in ("of-a-namesake", found["metadata"]["uid"])
    }
    wrong, right = [await world.caller.call(MergeCall(config_ref("merged"), body), ABLE) for body in bodies.values()]
    assert (wrong.reason, wrong.is_definite) == ("Conflict", True)
    assert right.value["data"] == {"a": "2"}


async def test_a_merge_is_guarded_by_the_version(world: World):
    await world.apply(config("versioned", a="1"))
    version = world.find("versioned")["metadata"]["resourceVersion"]
    call = MergeCall(config_ref("versioned"), {"metadata": {"resourceVersion": version}, "data": {"a": "2"}})
    first, second = [await world.caller.call(call, ABLE) for _ in range(2)]
    assert (first.is_failure, second.reason) == (False, "Conflict")


async def test_a_subresource_is_merged_into(world: World):
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": pod}
    meta = {"name": "scaled"}
    await world.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
    ref = ObjectRef("apps/v1", "Deployment", NAMESPACE, "scaled")
    answer = await world.caller.call(MergeCall(ref, {"spec": {"replicas": 2}}, "scale"), ABLE)
    assert (answer.value["kind"], answer.value["spec"]["replicas"]) == ("Scale", 2)


async def test_an_object_is_deleted_only_if_it_is_the_one(world: World):
    await world.apply(config("deleted"))
    uid = world.find("deleted")["metadata"]["uid"]
    namesake = await world.caller.call(DeleteCall(((config_ref("deleted"), "of-another"),)), ABLE)
    assert (namesake.is_failure, world.find("deleted") is None) == (False, False)
    right = await world.caller.call(DeleteCall(((config_ref("deleted"), uid),)), ABLE)
    assert (right, world.find("deleted")) == (Answer(), None)
    assert await world.caller.call(DeleteCall(((config_ref("deleted"), uid),)), ABLE) == Answer()


async def test_an_object_whose_kind_is_gone_is_deleted(world: World):
    ref = ObjectRef("gone.example.com/v1", "Gizmo", NAMESPACE, "g")
    assert await world.caller.call(DeleteCall(((ref, "uid"),)), ABLE) == Answer()


async def test_nothing_is_deleted_without_its_uid(world: World):
    await world.apply(config("kept"))
    answer = await world.caller.call(DeleteCall(((config_ref("kept"), ""),)), ABLE)
    assert (answer.reason, world.find("kept") is None) == ("Invalid", False)


POD = ObjectRef("v1", "Pod", NAMESPACE, "p")
FORBIDDEN = {
    "reading what only the operator may": (ReadCall((POD,)), ABLE),
    "reading without any right": (ReadCall((config_ref("here"),)), UNABLE),
    "applying what only the operator may": (
        ApplyCall(({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {}},), "m"),
        UNABLE,
    ),
    "merging into what only the operator may": (MergeCall(POD, {"metadata": {"labels": {"a": "b"}}}), UNABLE),
    "deleting what only the operator may": (DeleteCall(((POD, "uid"),)), UNABLE),
    "reading in another namespace": (ReadCall((config_ref("x", "default"),)), ABLE),
    "applying in another namespace": (
        ApplyCall(({**config("x"), "metadata": {"name": "x", "namespace": "default"}},), "m"),
        ABLE,
    ),
    "reading an object of the whole cluster": (ReadCall((ObjectRef("v1", "Namespace", "", "default"),)), ABLE),
}


@pytest.mark.parametrize("case", FORBIDDEN)
async def test_a_call_that_the_account_may_not_make_is_forbidden(case: str, world: World):
    call, account = FORBIDDEN[case]
    answer = await world.caller.call(call, account)
    assert (answer.reason, answer.is_definite) == ("Forbidden", True)
    assert f'User "{account.user}" cannot' in answer.message


async def test_an_object_of_the_whole_cluster_is_read_by_an_account_that_may(world: World):
    world.cluster.kubectl("create", "serviceaccount", "wide", "-n", NAMESPACE)
    world.cluster.kubectl("create", "clusterrole", "calls-wide", "--verb=get", "--resource=namespaces")
    binding = ("--clusterrole=calls-wide", f"--serviceaccount={NAMESPACE}:wide")
    world.cluster.kubectl("create", "clusterrolebinding", "calls-wide", *binding)
    ref = ObjectRef("v1", "Namespace", NAMESPACE, "default")
    answer = await world.caller.call(ReadCall((ref,)), Account(NAMESPACE, "wide"))
    assert answer.value[0]["metadata"]["name"] == "default"


async def test_a_namespace_that_did_not_let_the_operator_in_says_how_to(world: World):
    answer = await world.caller.call(ReadCall((config_ref("x", "default"),)), Account("default", "default"))
    assert answer.reason == "Forbidden"
    assert f'User "{OPERATOR}" cannot impersonate' in answer.message
    assert "bind the ClusterRole vapora-tenant to the operator in namespace default" in answer.message


async def test_a_kind_that_comes_later_is_found(world: World):
    widget = {"apiVersion": "calls.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    before = await world.apply(config("before"), widget)
    assert (before.reason, before.is_definite) == ("NotFound", True)
    assert before.message == "manifest 2 of 2, Widget w: the cluster has no kind Widget in calls.example.com/v1"
    define(world.cluster, "Widget")
    after = await world.apply(widget)
    assert after.value[0]["kind"] == "Widget"
    gadget = ObjectRef("calls.example.com/v1", "Gadget", NAMESPACE, "g")
    assert (await world.caller.call(ReadCall((gadget,)), ABLE)).reason == "NotFound"
    define(world.cluster, "Gadget")
    assert (await world.caller.call(ReadCall((gadget,)), ABLE)).reason == "Forbidden"  # so it was found


def define(cluster: Cluster, kind: str) -> None:
    """Define a kind, and wait until the API server tells of it."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"kind": kind, "plural": plural}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.calls.example.com"},
        "spec": {"group": "calls.example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    cluster.api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=body).raise_for_status()
    wait_until(lambda: plural in cluster.api.get("/apis/calls.example.com/v1").text, f"{kind} is told of", within=30)


INVALID = {
    "a name that climbs up the path": ObjectRef("v1", "ConfigMap", NAMESPACE, ".."),
    "a name that goes down it": ObjectRef("v1", "ConfigMap", NAMESPACE, "a/b"),
    "no name": ObjectRef("v1", "ConfigMap", NAMESPACE, ""),
    "a namespace that climbs": ObjectRef("v1", "ConfigMap", "..", "a"),
}


@pytest.mark.parametrize("ref", INVALID.values(), ids=INVALID)
async def test_what_is_no_name_is_never_asked_for(ref: ObjectRef, world: World):
    answer = await world.caller.call(ReadCall((ref,)), ABLE)
    assert (answer.reason, answer.is_definite) == ("Invalid", True)
    assert "is no name of an object" in answer.message


@pytest.mark.parametrize("name", ["", "a:b", "able\r\nImpersonate-Group: system:masters", "A"])
async def test_what_is_no_account_is_never_acted_as(name: str, world: World):
    answer = await world.caller.call(ReadCall((config_ref("here"),)), Account(NAMESPACE, name))
    assert answer.reason == "Invalid"
    assert "is no service account" in answer.message


@pytest.mark.parametrize("version", ["", "v1/../../apis", "../v1", "apps/v1/deployments"])
async def test_a_version_that_is_none_has_no_kinds(version: str, world: World):
    answer = await world.caller.call(ReadCall((ObjectRef(version, "ConfigMap", NAMESPACE, "a"),)), ABLE)
    assert answer.reason == "NotFound"


@pytest.mark.parametrize("key", ["token", "plain"])
async def test_a_secret_is_read_as_the_account_without_the_newline_at_its_end(key: str, world: World):
    assert await world.caller.read_secret(ABLE, SecretRef("tokens", key)) == "s3cr3t"


SECRETS = {
    "a key that is not there": (SecretRef("tokens", "absent"), ABLE, "Secret calls/tokens has no key absent"),
    "a value that is no text": (SecretRef("tokens", "binary"), ABLE, "key binary: its value is no text"),
    "a Secret of which only another is allowed": (SecretRef("others", "token"), ABLE, "cannot get resource"),
    "an account without a right": (SecretRef("tokens", "token"), UNABLE, "cannot get resource"),
    "a name that is none": (SecretRef("../pods", "token"), ABLE, "is no name of an object"),
}


@pytest.mark.parametrize("case", SECRETS)
async def test_a_secret_that_cannot_be_read(case: str, world: World):
    ref, account, words = SECRETS[case]
    with pytest.raises(SecretUnavailable, match=words) as problem:
        await world.caller.read_secret(account, ref)
    assert problem.value.reason == "SecretUnavailable"
    assert "s3cr3t" not in str(problem.value)


async def test_an_api_server_that_is_away_may_have_done_it(cluster: Cluster, kubeconfig: Path):
    async with connected(cluster, kubeconfig=kubeconfig, server="https://127.0.0.1:1") as api:
        caller = KubeCaller(api, SystemClock())
        answer = await caller.call(ReadCall((config_ref("here"),)), ABLE)
        with pytest.raises(SecretUnavailable) as problem:
            await caller.read_secret(ABLE, SecretRef("tokens", "token"))
    assert (answer.reason, answer.is_definite) == ("ApiUnavailable", False)
    assert problem.value.reason == "ApiUnavailable"


async def test_the_audit_log_has_the_operator_impersonate_and_the_account_do_the_rest(world: World):
    mark = world.cluster.audit_position()
    await world.apply(config("audited"))
    events = list(world.cluster.audit_events(mark))
    assert set(read_calls(events, OPERATOR)) == {Call("impersonate", "", "serviceaccounts", name="able")}
    applied = {Call("patch", "", "configmaps", name="audited"), Call("create", "", "configmaps")}
    assert applied <= set(read_calls(events, ABLE.user))
