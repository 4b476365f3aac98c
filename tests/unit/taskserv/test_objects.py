"""What is made for a service beside its pods, and what its pods use."""

from dataclasses import replace

import pytest
from tests.unit.taskserv.services import (
    KEY,
    NOW,
    build_observed,
    find_workload,
    need,
    respec,
    settle,
    with_workload,
)

from vapora.core.plan import Apply, Create, Delete, Key, Manifest, Plan, Problem
from vapora.core.taskserv.capacity import NodeSize
from vapora.core.taskserv.dependencies import Need
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.plan import plan_taskserv
from vapora.core.views import RouteView, rows

PUBLIC = {"exposure": "public", "hosts": ["a.example", "b.example"]}
GATEWAY = {**PUBLIC, "gateway": {"name": "edge"}}
REQUESTS = {"resources": {"requests": {"cpu": "100m", "memory": "1Gi"}}}


def find(plan: Plan, kind: str) -> Manifest | None:
    made = (action.manifest for action in plan.actions if isinstance(action, Apply | Create))
    return next((manifest for manifest in made if manifest["kind"] == kind), None)


def make(kind: str, **fields: object) -> Manifest | None:
    return find(plan_taskserv(build_observed(**fields), NOW), kind)


def say(plan: Plan) -> dict[object, str]:
    found = rows(plan.status, "conditions")
    return {row["type"]: f"{row['status']} {row['reason']}: {row['message']}" for row in found}


def test_a_gateway_leads_to_the_service_by_its_hosts() -> None:
    route = make("HTTPRoute", **GATEWAY, ports={"metrics": 9090, "http": 8080})
    assert route["spec"] == {
        "parentRefs": [{"name": "edge", "namespace": "system"}],
        "hostnames": ["a.example", "b.example"],
        "rules": [{"backendRefs": [{"name": "backend", "port": 8080, "weight": 100}]}],
    }
    assert make("Ingress", **GATEWAY) is None


def test_without_a_gateway_an_ingress_does() -> None:
    ingress = make("Ingress", **PUBLIC, tls={"secretName": "cert"}, ports={"web": 80})
    backend = {"service": {"name": "backend", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    assert ingress["spec"] == {
        "rules": [{"host": host, "http": {"paths": paths}} for host in PUBLIC["hosts"]],
        "tls": [{"hosts": PUBLIC["hosts"], "secretName": "cert"}],
    }


@pytest.mark.parametrize("exposure", ["private", "internal"])
def test_who_is_not_public_has_neither(exposure: str) -> None:
    assert make("Ingress", exposure=exposure) is None


def test_a_gateway_that_refuses_the_route_is_quoted() -> None:
    settled = settle(build_observed(**GATEWAY))
    views = [
        replace(view, refusal="NotAllowed: no such host") if isinstance(view, RouteView) else view
        for view in settled.children
    ]
    plan = plan_taskserv(replace(settled, children=tuple(views)), NOW)
    assert say(plan)["Exposed"] == "False GatewayRefused: the Gateway refuses the route: NotAllowed: no such host"


def test_a_cluster_without_gateway_api_is_named_as_such() -> None:
    plan = plan_taskserv(build_observed(**GATEWAY), NOW)
    route = next(a for a in plan.actions if isinstance(a, Apply) and a.manifest["kind"] == "HTTPRoute")
    problem = Problem(route, "NotFound", "the server could not find the requested resource", is_permanent=True)
    after = plan_taskserv(
        replace(settle(build_observed()), spec=build_observed(**GATEWAY).spec, problems=(problem,)), NOW
    )
    words = "the cluster needs Gateway API, or leave out spec.gateway"
    assert say(after)["Stalled"].startswith("True GatewayRefused: HTTPRoute: ")
    assert say(after)["Stalled"].endswith(words)


TARGETS = {
    "what the spec says": ({"targetCpuPercent": 70, "targetMemoryPercent": 60}, {"cpu": 70, "memory": 60}),
    "memory alone": ({"targetMemoryPercent": 60}, {"memory": 60}),
    "Kubernetes' own share of cpu where it says none": ({}, {"cpu": 80}),
}


@pytest.mark.parametrize(("targets", "want"), TARGETS.values(), ids=TARGETS.keys())
def test_an_autoscaler_aims_at(targets: dict[str, int], want: dict[str, int]) -> None:
    spec = make("HorizontalPodAutoscaler", scaling={"min": 2, "max": 5, **targets}, **REQUESTS)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "backend"}
    aims = {row["resource"]["name"]: row["resource"]["target"]["averageUtilization"] for row in spec["metrics"]}
    assert aims == want


def autoscale(size: int) -> Observed:
    """A service whose HPA has set its size."""
    settled = settle(build_observed(scaling={"min": 2, "max": 5}, **REQUESTS))
    return with_workload(settled, replicas=size, existing=size, ready=size, available=size, updated=size)


def test_what_an_autoscaler_sets_is_left_alone_and_is_healthy() -> None:
    scaled = settle(autoscale(5))
    assert (find_workload(scaled).replicas, scaled.status["phase"]) == (5, "Healthy")


def test_a_service_is_not_healthy_before_its_autoscaler_has_given_it_its_least_size() -> None:
    scaled = settle(autoscale(1))
    assert (scaled.status["phase"], scaled.status["message"]) == ("Deploying", "1 of 2 replicas are available")


def test_the_size_is_taken_back_once_the_autoscaler_is_gone() -> None:
    ended = respec(settle(autoscale(5)), replicas=3, **REQUESTS)
    plan = plan_taskserv(ended, NOW)
    assert [action.key.kind for action in plan.actions if isinstance(action, Delete)] == ["HorizontalPodAutoscaler"]
    assert not [action for action in plan.actions if isinstance(action, Apply) and action.manager == "vapora-size"]
    gone = tuple(view for view in ended.children if view.meta.key.kind != "HorizontalPodAutoscaler")
    (size,) = plan_taskserv(replace(ended, children=gone), NOW).actions
    assert isinstance(size, Apply)
    assert (size.force, size.manifest["spec"]) == (True, {"replicas": 3})
    settled = settle(replace(ended, children=gone))
    assert "autoscaled" not in settled.status


def test_a_drain_keeps_to_the_budget() -> None:
    budget = make("PodDisruptionBudget", disruptionBudget={"maxUnavailable": "50%"})
    selector = {"matchLabels": {"vapora.dev/owner": "uid-1"}}
    assert budget["spec"] == {"selector": selector, "maxUnavailable": "50%"}


USES: dict[str, tuple[dict[str, object], list[tuple[str, str]]]] = {
    "a Secret that the environment refers to": (
        {"environment": {"A": "secret:keys:a", "B": "plain"}},
        [("Secret", "keys")],
    ),
    "a Secret by its key": ({"secrets": {"A": {"name": "keys", "key": "a"}}}, [("Secret", "keys")]),
    "whole ones": (
        {"envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}]},
        [("ConfigMap", "settings"), ("Secret", "keys")],
    ),
    "mounted ones": (
        {
            "podTemplate": {
                "spec": {
                    "volumes": [
                        {"name": "a", "secret": {"secretName": "keys"}},
                        {"name": "b", "configMap": {"name": "settings"}},
                        {"name": "c", "projected": {"sources": [{"secret": {"name": "more"}}]}},
                    ]
                }
            }
        },
        [("ConfigMap", "settings"), ("Secret", "keys"), ("Secret", "more")],
    ),
    "those of a further container": (
        {
            "podTemplate": {
                "spec": {"initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "first"}}]}]},
            }
        },
        [("Secret", "first")],
    ),
}


def config_of(observed: Observed) -> object:
    view = find_workload(settle(observed))
    return view.config


@pytest.mark.parametrize(("fields", "names"), USES.values(), ids=USES.keys())
def test_pods_are_replaced_when_this_changes(fields: dict[str, object], names: list[tuple[str, str]]) -> None:
    keys = [Key(kind, KEY.namespace, name) for kind, name in names]
    before = replace(build_observed(**fields), config=dict.fromkeys(keys, "one"))
    seen = {config_of(before)}
    for key in keys:
        seen.add(config_of(replace(before, config={**before.config, key: "two"})))
    assert len(seen) == 1 + len(keys)
    assert "" not in seen


def test_what_may_not_be_read_any_more_replaces_no_pods() -> None:
    key = Key("Secret", KEY.namespace, "keys")
    settled = settle(replace(build_observed(environment={"A": "secret:keys:a"}), config={key: "one"}))
    plan = plan_taskserv(replace(settled, config={key: None}), NOW)
    assert plan.actions == ()
    assert say(plan)["ConfigObserved"].startswith("False SecretUnavailable: Secret keys may not be read, so the pods ")


NODES = (NodeSize("a", {"cpu": "64", "memory": "16Gi"}), NodeSize("b", {"cpu": "8", "memory": "256Gi"}))
MINIMUMS = {
    "one node has all of it": ({"cpu": "60", "memory": "16Gi"}, "True AsExpected: a node offers the minimum"),
    "no node has all of it at once": (
        {"cpu": 60, "memory": "32Gi"},
        "False NodesTooSmall: no node offers cpu 60, memory 32Gi; at most there is cpu 64, memory 256Gi",
    ),
    "no node says how much of it it has": (
        {"disk": "1Gi"},
        "False NodesTooSmall: no node offers disk 1Gi; at most there is disk 0",
    ),
}


@pytest.mark.parametrize(("minimum", "want"), MINIMUMS.values(), ids=MINIMUMS.keys())
def test_the_nodes_are_judged_before_a_pod_waits(minimum: dict[str, object], want: str) -> None:
    plan = plan_taskserv(replace(build_observed(minimumResources=minimum), nodes=NODES), NOW)
    assert say(plan)["ResourcesSufficient"] == want
    assert find(plan, "Deployment") is not None


def test_nodes_that_are_not_known_are_no_news() -> None:
    assert "ResourcesSufficient" not in say(plan_taskserv(build_observed(minimumResources={"cpu": 1}), NOW))


VERSIONS = {
    "one that is good enough": (need("nats", "Healthy", at="1.10.0", version=">=1.2"), ""),
    "one with a letter before it": (need("nats", "Healthy", at="v1.2", version=">=1.2,<2"), ""),
    "one that is too old": (need("nats", "Healthy", at="1.1.9", version=">=1.2"), "version 1.1.9, >=1.2 is needed"),
    "one that says none": (need("nats", "Healthy", version=">=1.2"), "says no version, >=1.2 is needed"),
    "one that is no version": (
        need("nats", "Healthy", at="latest", version=">=1.2"),
        "version latest cannot be compared with >=1.2",
    ),
}


@pytest.mark.parametrize(("needed", "want"), VERSIONS.values(), ids=VERSIONS.keys())
def test_the_version_of_a_dependency(needed: Need, want: str) -> None:
    status = plan_taskserv(build_observed(needed), NOW).status
    assert status.get("message", "") == (f"waits for nats ({want})" if want else "0 of 3 replicas are available")


def test_a_service_that_another_excludes_is_refused_with_its_name_until_it_has_run() -> None:
    plan = plan_taskserv(replace(build_observed(), conflicts=("other",)), NOW)
    assert plan.actions == ()
    assert say(plan)["Stalled"] == "True ConflictsWith: must not be there together with other"
    running = settle(build_observed())
    assert plan_taskserv(replace(running, conflicts=("other",)), NOW).status == running.status
