"""Providers of each type: what they have, what they do, that their limits hold where requests arrive."""

import json
from datetime import datetime

import pytest
from tests.cluster.waiting import wait_until
from tests.integration.objects import Json, run
from tests.integration.providers.things import CLAIMS, CLUSTERS, MACHINES, READY, Things, make
from tests.integration.workflow.stage import ONCE

CLUSTER_API: Json = {
    "clusterClass": "small",
    "machine": {"clusterName": "wuji", "bootstrap": {"dataSecretName": "join"}, "infrastructureRef": {"name": "m"}},
}
CLAIM = {"apiVersion": "platform.example.org/v1alpha1", "kind": "Server", "spec": {"size": "small"}}
DEFINITION: Json = {"name": "wuji", "version": "1.30", "nodes": [{"role": "control-plane", "count": 3}]}
LATE = {"apiVersion": "platform.example.org/v1alpha1", "kind": "LateServer"}

REFUSED: dict[str, tuple[Json, str]] = {
    "a type that nobody registered": ({"type": "clusterapy"}, "UnknownProviderType: spec.type: no provider type is"),
    "a param that is missing": ({"type": "command"}, "InvalidSpec: spec.params.image: Field required"),
    "credentials that nobody uses": (
        {"type": "local", "credentials": {"name": "s"}},
        "InvalidSpec: spec.credentials: a Provider of type local has no use for them",
    ),
}


def cluster_step(action: str = "create", **fields: object) -> Json:
    params = {"action": action, "config": {"configMap": "wuji", "key": "definition"}}
    return {"name": "cluster", "task": {"type": "provisioning.cluster", "params": params}, **fields}


@pytest.mark.parametrize("case", REFUSED)
def test_a_provider_that_makes_no_sense_is_stalled_with_the_place(here: Things, case: str) -> None:
    spec, words = REFUSED[case]
    here.create("Provider", "odd", spec)
    here.await_said("Provider", "odd", "Stalled", f"True {words}")


def test_a_step_without_a_provider_says_so_and_goes_on_when_one_comes(here: Things) -> None:
    here.workflow("early", {"name": "make", "task": {"type": "provisioning.server", "params": {"items": ["s-0"]}}})
    here.await_step("early", "make", reason="NoProvider")
    here.provider()
    here.ended("early", "Succeeded", within=30)
    here.await_inventory({"server s-0": "Ready"})


def test_machines_of_cluster_api_are_waited_for_and_deleted_again(here: Things) -> None:
    here.provider(type_="clusterapi", params=CLUSTER_API)
    here.workflow("make", make("server", "cp-0", "cp-1"))
    wait_until(lambda: len(here.foreign(MACHINES)) == 2, "both machines are asked for")
    here.await_inventory({"server cp-0": "Unknown", "server cp-1": "Unknown"})
    assert here.status("Workflow", "make")["phase"] == "Running"
    with here.playing(MACHINES, lambda _: READY):
        here.ended("make", "Succeeded", within=40)
        here.await_inventory({"server cp-0": "Ready", "server cp-1": "Ready"})
        here.workflow("drop", make("server", "cp-1", action="delete"))
        here.ended("drop", "Succeeded", within=30)
    here.await_inventory({"server cp-0": "Ready"})


def test_a_cluster_of_cluster_api_is_made_of_its_definition(here: Things) -> None:
    here.provider(type_="clusterapi", params=CLUSTER_API)
    here.kubectl("create", "configmap", "wuji", f"--from-literal=definition={json.dumps(DEFINITION)}")
    with here.playing(CLUSTERS, lambda _: READY):
        here.workflow("make", cluster_step())
        here.ended("make", "Succeeded", within=30)
    [found] = here.foreign(CLUSTERS)
    topology = found["spec"]["topology"]
    assert (topology["class"], topology["version"], topology["controlPlane"]) == ("small", "v1.30", {"replicas": 3})


def test_a_claim_of_crossplane_that_fails_is_undone(here: Things) -> None:
    here.provider(type_="crossplane", params={"server": CLAIM})
    with here.playing(CLAIMS, lambda found: READY if found["metadata"]["name"] == "a" else None):
        here.workflow(
            "make",
            make("server", "a", "b", retry=ONCE, timeout="6s"),
            onFailure="rollback",
        )
        here.ended("make", "RolledBack", within=40)
    assert here.foreign(CLAIMS) == []


def test_a_provider_without_its_kinds_says_so_and_goes_on_when_they_come(here: Things) -> None:
    here.provider(type_="crossplane", params={"server": LATE})
    here.await_said("Provider", "default", "Ready", "False KindMissing: the cluster has no kind LateServer")
    late = json.loads(here.cluster.kubectl("get", "crd", "servers.platform.example.org", "-o", "json").stdout)
    late["metadata"] = {"name": "lateservers.platform.example.org"}
    late["spec"]["names"] = {"kind": "LateServer", "listKind": "LateServerList", "plural": "lateservers"}
    late["spec"]["names"]["singular"] = "lateserver"
    late.pop("status")
    here.cluster.kubectl("apply", "-f", "-", input=json.dumps(late))
    here.await_said("Provider", "default", "Ready", "True InventoryRead", within=40)
    here.cluster.kubectl("delete", "crd", "lateservers.platform.example.org")


def test_an_account_without_rights_is_told(here: Things) -> None:
    here.kubectl("create", "serviceaccount", "nobody")
    here.provider(serviceAccountName="nobody")
    here.await_said("Provider", "default", "Ready", "False AccountForbidden: its account nobody may not read")


def read_jobs(here: Things) -> list[tuple[datetime, datetime]]:
    """When each Job started and ended."""
    rows = [job["status"] for job in here.all("Job")]
    return [(datetime.fromisoformat(row["startTime"]), datetime.fromisoformat(row["completionTime"])) for row in rows]


def test_commands_of_several_workflows_run_so_many_at_once(here: Things) -> None:
    here.kubectl("create", "secret", "generic", "cloud", "--from-literal=token=s3cr3t")
    command = {"image": "team/cloud:1"}
    here.provider(
        type_="command", params=command, credentials={"name": "cloud", "key": "token"}, limits={"batchSize": 2}
    )
    names = [f"w{number}" for number in range(3)]
    for name in names:
        here.workflow(name, make("server", f"{name}-a", f"{name}-b"))
    busiest = 0
    throttled = 0

    def have_ended() -> bool:
        nonlocal busiest, throttled
        status = here.status("Provider", "default")
        busiest, throttled = max(busiest, status.get("inUse", 0)), max(throttled, status.get("throttled", 0))
        return all(here.status("Workflow", name).get("phase") == "Succeeded" for name in names)

    wait_until(have_ended, "all workflows have ended", within=90)
    assert (busiest, throttled > 0) == (2, True)
    ends = read_jobs(here)
    assert len(ends) == 6
    assert max(sum(start < end and begin <= start for begin, end in ends) for start, _ in ends) <= 2
    [container] = here.all("Job")[0]["spec"]["template"]["spec"]["containers"]
    assert container["args"][:2] == ["create", "server"]
    secret = {"secretKeyRef": {"name": "cloud", "key": "token"}}
    assert {"name": "VAPORA_CREDENTIALS", "valueFrom": secret} in container["env"]
    assert "s3cr3t" not in here.operator.process.log.read_text()
    wait_until(lambda: here.status("Provider", "default").get("inUse") == 0, "nothing goes on")


def test_a_command_that_fails_is_told_with_its_last_words_and_nothing_is_recorded(here: Things) -> None:
    here.provider(type_="command", params={"image": "team/cloud:1"})
    here.workflow("check", make("server", "s-0", action="check", retry=ONCE))
    assert here.ended("check", "Failed", within=30)["steps"]["make"]["items"]["failed"][0]["reason"] == "NotFound"
    [pod] = here.all("Pod", "vapora.dev/provider")
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert here.inventory() == {}


def test_requests_of_all_workflows_together_keep_within_the_rate(here: Things) -> None:
    here.provider(limits={"requestsPerSecond": 4, "batchSize": 5})
    mark = here.cluster.audit_position()
    for name in ("w0", "w1", "w2"):
        here.workflow(name, make("server", *(f"{name}-{number}" for number in range(3))))
    for name in ("w0", "w1", "w2"):
        here.ended(name, "Succeeded", within=90)
    writes = [
        datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
        for event in here.cluster.audit_events(mark)
        if event["objectRef"].get("namespace") == here.namespace
        and event["objectRef"].get("resource") == "configmaps"
        and "impersonatedUser" in event
    ]
    assert len(writes) >= 9
    assert max(sum(start <= other < start + 1 for other in writes) for start in writes) <= 4


def test_without_a_provider_the_own_cluster_is_checked_and_adapted_and_given_back(here: Things) -> None:
    rule = ("--verb=get,list,patch", "--resource=nodes,storageclasses.storage.k8s.io")
    name = f"nodes-{here.namespace}"
    here.cluster.kubectl("create", "clusterrole", name, *rule)
    here.cluster.kubectl(
        "create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={here.namespace}:default"
    )
    wanted = {**DEFINITION, "storage": {"storageClasses": [{"name": "no-such"}]}}
    wanted["nodes"] = [{"role": "worker", "count": 1, "labels": {f"{here.namespace}.example/disk": "ssd"}}]
    here.kubectl("create", "configmap", "wuji", f"--from-literal=definition={json.dumps(wanted)}")
    here.workflow("differs", cluster_step("check", retry=ONCE))
    said = here.ended("differs", "Failed", within=30)["steps"]["cluster"]
    assert said["reason"] == "ClusterDiffers"
    assert f"lacks label {here.namespace}.example/disk=ssd" in said["message"]
    assert "there is no storage class no-such" in said["message"]

    wanted["storage"] = {}
    here.kubectl("delete", "configmap", "wuji")
    here.kubectl("create", "configmap", "wuji", f"--from-literal=definition={json.dumps(wanted)}")
    fails = run("fails", ends={"exit-code": "1", "duration": "3s"}, dependsOn=["cluster"], retry=ONCE)
    here.workflow("adapts", cluster_step(), fails, onFailure="rollback")
    selector = ("get", "nodes", "-l", f"{here.namespace}.example/disk=ssd", "-o", "name")
    here.await_step("adapts", "fails", state="Running")
    assert here.cluster.kubectl(*selector).stdout != ""
    here.ended("adapts", "RolledBack", within=30)
    assert here.cluster.kubectl(*selector).stdout == ""
    here.cluster.kubectl("delete", "clusterrole,clusterrolebinding", name)


def test_a_wait_condition_of_a_batch_looks_at_the_inventory(here: Things) -> None:
    here.provider()
    until = "object.status.inventory.exists(row, row.name == 's-0' && row.state == 'Ready')"
    seen = {"apiVersion": "vapora.dev/v1alpha1", "kind": "Provider", "name": "default"}
    wait = {"name": "seen", "wait": {"until": until, "object": seen, "every": "1s"}}
    here.workflow("batch", make("server", "s-0"), {**wait, "dependsOn": ["make"]})
    here.ended("batch", "Succeeded", within=30)
