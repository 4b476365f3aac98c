"""The operator as a process: starting, serving, leading, leaving."""

import time
from collections.abc import Iterator

import httpx
import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import OperatorProcess, Operators, install_definitions, operators
from tests.integration.objects import Objects

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/providers.vapora.dev"
MERGE = {"Content-Type": "application/merge-patch+json"}
REFUSED = 4


@pytest.fixture
def fleet(cluster: Cluster, namespace: str) -> Iterator[Operators]:
    install_definitions(cluster)
    with operators(cluster, namespace) as started:
        yield started


def holder(cluster: Cluster, namespace: str) -> str:
    lease = cluster.api.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/vapora-operator").json()
    return lease.get("spec", {}).get("holderIdentity", "")


def why_refused(operator: OperatorProcess) -> str:
    assert operator.process.wait(20) == REFUSED
    return next(line["problem"] for line in operator.logs if line["level"] == "error")


def test_it_serves_its_health_and_its_metrics(fleet: Operators):
    operator = fleet.start()
    assert operator.get("/livez").text == "ok"
    wait_until(lambda: operator.is_leader, "it leads")
    metrics = "\n".join(operator.metrics())
    assert 'vapora_api_requests_total{code="200",kind="Pod",verb="watch"} 2.0' in metrics
    assert "vapora_store_objects " in metrics
    assert "process_resident_memory_bytes " in metrics


def test_it_sees_objects_that_were_there_and_objects_that_come_and_go(
    fleet: Operators, cluster: Cluster, namespace: str
):
    providers = f"/apis/vapora.dev/v1alpha1/namespaces/{namespace}/providers"
    body = {"apiVersion": "vapora.dev/v1alpha1", "kind": "Provider", "spec": {"type": "local"}}
    cluster.api.post(providers, json={**body, "metadata": {"name": "old"}}).raise_for_status()
    operator = fleet.start()

    def seen(event: str) -> bool:
        return any(f'event="{event}",kind="Provider"' in line for line in operator.metrics())

    wait_until(lambda: seen("LISTED"), "the old one is listed")
    cluster.api.post(providers, json={**body, "metadata": {"name": "new"}}).raise_for_status()
    wait_until(lambda: seen("ADDED"), "the new one is seen")
    cluster.api.delete(f"{providers}/new").raise_for_status()
    wait_until(lambda: seen("DELETED"), "its end is seen")


def test_it_writes_nothing_to_objects_that_need_nothing(fleet: Operators, cluster: Cluster, namespace: str):
    services = Objects(cluster, namespace)
    services.create("Taskserv", "settled", {"image": "settled:1", "replicas": 0})
    first = fleet.start("one")
    services.await_status("Taskserv", "settled", phase="Healthy")
    first.process.stop()
    settled = services.get("Taskserv", "settled")
    second = fleet.start("two")
    looked = 'vapora_reconcile_total{kind="Taskserv",result="success"}'
    wait_until(lambda: any(line.startswith(looked) for line in second.metrics()), "it has looked at the service")
    second.process.stop()
    assert services.get("Taskserv", "settled") == settled


def test_a_signal_ends_it_in_time_and_frees_the_lease(fleet: Operators, cluster: Cluster, namespace: str):
    operator = fleet.start("one")
    wait_until(lambda: holder(cluster, namespace) == "one", "it leads")
    started = time.monotonic()
    assert operator.process.stop() == 0
    assert time.monotonic() - started < 2
    assert holder(cluster, namespace) == ""


def test_a_standby_takes_over_at_once_from_one_that_leaves(fleet: Operators, cluster: Cluster, namespace: str):
    first = fleet.start("one")
    wait_until(lambda: holder(cluster, namespace) == "one", "the first leads")
    second = fleet.start("two")
    assert not second.is_leader
    first.process.stop()
    wait_until(lambda: second.is_leader, "the second leads", within=2)


def test_a_standby_takes_over_within_fifteen_seconds_from_one_that_was_killed(
    fleet: Operators, cluster: Cluster, namespace: str
):
    first = fleet.start("one")
    wait_until(lambda: holder(cluster, namespace) == "one", "the first leads")
    second = fleet.start("two")
    first.process.kill()
    wait_until(lambda: second.is_leader, "the second leads", within=15)


def test_a_child_whose_owner_is_gone_is_freed_from_our_finalizer(fleet: Operators, cluster: Cluster, namespace: str):
    operator = fleet.start()
    wait_until(lambda: operator.is_leader, "it leads")
    pods = f"/api/v1/namespaces/{namespace}/pods"
    owner = {
        "apiVersion": "vapora.dev/v1alpha1",
        "kind": "Workflow",
        "name": "gone",
        "uid": "u-gone",
        "controller": True,
    }
    meta = {
        "name": "p",
        "labels": {"vapora.dev/workflow": "u-gone"},
        "finalizers": ["vapora.dev/attempt"],
        "ownerReferences": [owner],
    }
    spec = {"containers": [{"name": "main", "image": "tool:1"}]}
    cluster.api.post(pods, json={"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}).raise_for_status()
    wait_until(lambda: cluster.api.get(f"{pods}/p").status_code == httpx.codes.NOT_FOUND, "the Pod is gone", within=60)


REFUSALS = {
    "a definition that is older than the operator": ({"vapora.dev/schema-revision": "0"}, "older than this operator"),
    "a definition that says no revision": ({"vapora.dev/schema-revision": None}, "older than this operator"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_it_refuses_to_start_on(case: str, fleet: Operators, cluster: Cluster):
    annotations, words = REFUSALS[case]
    try:
        patch = {"metadata": {"annotations": annotations}}
        cluster.api.patch(CRD, json=patch, headers=MERGE).raise_for_status()
        problem = why_refused(fleet.launch())
    finally:
        install_definitions(cluster)
    assert "providers.vapora.dev" in problem
    assert words in problem


def test_it_refuses_to_start_where_a_definition_is_missing(fleet: Operators, cluster: Cluster):
    try:
        cluster.api.delete(CRD).raise_for_status()
        wait_until(lambda: cluster.api.get(CRD).status_code == httpx.codes.NOT_FOUND, "the definition is gone")
        problem = why_refused(fleet.launch())
    finally:
        install_definitions(cluster)
    assert problem.startswith("the definitions providers.vapora.dev are missing")


def test_it_refuses_to_start_where_it_may_not_read_the_definitions(fleet: Operators, cluster: Cluster, namespace: str):
    problem = why_refused(fleet.launch(kubeconfig=cluster.user_kubeconfig(namespace, "default")))
    assert "cannot be read" in problem
    assert "forbidden" in problem


def test_it_refuses_to_start_where_no_cluster_is_named(fleet: Operators, tmp_path):
    problem = why_refused(fleet.launch(kubeconfig=tmp_path / "absent"))
    assert "cannot reach a cluster" in problem
