"""What services share with the rest of a cluster: Secrets, autoscalers, routes, drains, each other."""

import base64

from tests.cluster.waiting import wait_until
from tests.integration.objects import Json
from tests.integration.taskserv.services import Services

REQUESTING: Json = {"resources": {"requests": {"cpu": "100m"}}}


def admit(here: Services) -> None:
    """Bind the role of tenants, as the component does."""
    account = "--serviceaccount=vapora-system:vapora-operator"
    here.kubectl("create", "rolebinding", "vapora-tenant", "--clusterrole=vapora-tenant", account)


def write(here: Services, kind: str, name: str, **data: str) -> None:
    """Write a Secret or a ConfigMap."""
    values = (
        {key: base64.b64encode(value.encode()).decode() for key, value in data.items()} if kind == "Secret" else data
    )
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": values}
    here.kubectl("delete", kind, name, "--ignore-not-found")
    here.cluster.api.post(here.path(kind), json=body).raise_for_status()


def read_pods(here: Services) -> set[str]:
    pods = here.all("Pod")
    return {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def test_a_changed_secret_or_config_map_replaces_the_pods_that_use_it(here: Services) -> None:
    admit(here)
    write(here, "Secret", "keys", claude="one")
    write(here, "ConfigMap", "settings", level="info")
    used = {"environment": {"KEY": "secret:keys:claude"}, "envFrom": [{"configMapRef": {"name": "settings"}}]}
    here.service(**used)
    here.service("other")
    here.ready("backend", "other")
    others = {name for name in read_pods(here) if name.startswith("other")}
    for kind, name, data in (("Secret", "keys", {"claude": "two"}), ("ConfigMap", "settings", {"level": "debug"})):
        before = read_pods(here)
        write(here, kind, name, **data)
        wait_until(lambda before=before: read_pods(here) & before == others, f"{kind} has replaced the pods", within=40)
        here.healthy()
    assert here.outcomes() == {"1": "Healthy"}
    assert "ConfigObserved" not in here.said("Taskserv", "backend")


def test_a_secret_that_may_not_be_read_is_named_and_reaches_the_pods_all_the_same(here: Services) -> None:
    here.service(secrets={"KEY": {"name": "keys", "key": "claude"}})
    here.ready("backend")
    here.await_said("Taskserv", "backend", "ConfigObserved", "False SecretUnavailable: Secret keys may not be read")
    main = here.all("Pod")[0]["spec"]["containers"][0]
    assert main["env"] == [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "claude"}}}]


def test_an_autoscaler_takes_the_size_over_and_gives_it_back_without_a_dip(here: Services) -> None:
    here.service(replicas=3, **REQUESTING)
    here.ready("backend")
    mark = here.mark()
    here.change(scaling={"min": 4, "max": 6, "targetCpuPercent": 70})
    wait_until(
        lambda: here.get("Deployment", "backend")["spec"]["replicas"] == 4, "the HPA has set the size", within=60
    )
    here.change(version="0.2.0")
    here.healthy(version="0.2.0")
    assert here.get("Deployment", "backend")["spec"]["replicas"] == 4
    here.change(scaling=None, replicas=2)
    wait_until(lambda: here.find("HorizontalPodAutoscaler", "backend") is None, "the HPA is gone")
    here.await_images("service:0.2.0", "service:0.2.0")
    here.healthy()
    assert here.sizes(mark) == [4, 2]  # from 3


def test_without_a_gateway_an_ingress_leads_to_a_public_service(here: Services) -> None:
    public = {"exposure": "public", "hosts": ["a.example", "b.example"], "tls": {"secretName": "cert"}}
    here.service(**public, disruptionBudget={"maxUnavailable": "50%"})
    here.ready("backend")
    spec = here.get("Ingress", "backend")["spec"]
    assert [rule["host"] for rule in spec["rules"]] == ["a.example", "b.example"]
    assert spec["tls"] == [{"hosts": ["a.example", "b.example"], "secretName": "cert"}]
    assert spec["rules"][0]["http"]["paths"][0]["backend"] == {"service": {"name": "backend", "port": {"number": 8080}}}
    wait_until(
        lambda: here.get("PodDisruptionBudget", "backend")["status"].get("disruptionsAllowed") == 1,
        "a drain may take one",
    )
    here.change(exposure="private", hosts=None, tls=None, disruptionBudget=None)
    for kind in ("Ingress", "PodDisruptionBudget"):
        wait_until(lambda kind=kind: here.find(kind, "backend") is None, f"the {kind} is gone")
    here.ready("backend")


def test_a_version_that_is_not_good_enough_is_waited_for(here: Services) -> None:
    here.service("nats", version="1.1.0")
    here.service(dependencies=[{"name": "nats", "version": ">=1.2"}])
    here.ready("nats")
    want = "False WaitingForDependency: waits for nats (version 1.1.0, >=1.2 is needed)"
    here.await_said("Taskserv", "backend", "Ready", want)
    here.change("nats", version="1.2.1")
    here.ready("backend")
    here.change("nats", version="1.1.0")
    want = "True DependencyUnhealthy: needs nats (version 1.1.0, >=1.2 is needed); "
    here.await_said("Taskserv", "backend", "Degraded", want)
    assert here.get("Deployment", "backend")["status"]["availableReplicas"] == 2


def test_a_plain_service_is_a_dependency_once_it_has_an_endpoint(here: Services) -> None:
    here.service(dependencies=[{"name": "postgres", "kind": "Service"}])
    here.await_said("Taskserv", "backend", "Ready", "False WaitingForDependency: waits for postgres (not there)")
    here.create("Service", "postgres", {"selector": {"app": "postgres"}, "ports": [{"port": 5432}]})
    want = "False WaitingForDependency: waits for postgres (without a ready endpoint)"
    here.await_said("Taskserv", "backend", "Ready", want)
    pod = {
        "metadata": {"name": "p", "labels": {"app": "postgres"}},
        "spec": {"containers": [{"name": "m", "image": "p"}]},
    }
    here.cluster.api.post(here.path("Pod"), json=pod).raise_for_status()
    here.await_said("Taskserv", "backend", "Ready", "True AllHealthy: ", within=40)


def test_services_that_exclude_each_other_do_not_run_together(here: Services) -> None:
    here.service("first")
    here.ready("first")
    here.service("second", conflictsWith=["first"])
    here.await_said("Taskserv", "second", "Stalled", "True ConflictsWith: must not be there together with first")
    here.service("third")
    here.ready("third")
    here.change("first", conflictsWith=["third"])
    here.delete("Taskserv", "first")
    here.ready("second")


def test_a_node_that_is_too_small_is_said_before_a_pod_waits_for_it(here: Services) -> None:
    here.service(minimumResources={"cpu": 1000, "memory": "1Gi"})
    want = "False NodesTooSmall: no node offers cpu 1000, memory 1Gi; at most there is cpu 64, memory 256Gi"
    here.await_said("Taskserv", "backend", "ResourcesSufficient", want)
    here.change(minimumResources={"cpu": 2})
    here.await_said("Taskserv", "backend", "ResourcesSufficient", "True AsExpected: ")
