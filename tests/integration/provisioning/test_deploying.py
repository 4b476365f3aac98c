"""Deployments by name, with the operator as a process: what is made, kept, changed, checked and taken back."""

import pytest
from tests.integration.objects import Json
from tests.integration.provisioning.fleet import MISSING, POOL, SERVICE, Fleet, deploy, task
from tests.integration.workflow.stage import ONCE

from vapora.adapters.nats_broker import NatsBroker


def test_services_and_pools_are_made_of_the_catalogue_and_of_presets(here: Fleet) -> None:
    needs = {"dependencies": [{"name": "nats"}]}
    here.define("Taskserv", "backend", SERVICE, **needs)
    here.define("Taskserv", "nats", SERVICE)
    here.define("AgentPool", "developer", POOL, replicas=1)
    steps = [
        deploy("services", "backend", "nats"),
        task(
            "agents",
            "deploy-agents",
            {"agents": ["developer", "reviewer"], "initialReplicas": {"developer": 2}},
            dependsOn=["services"],
        ),
        task("health", "health-check", {"services": "all"}, dependsOn=["agents"]),
        task("some", "health-check", {"services": ["reviewer", "nats"]}, dependsOn=["agents"]),
    ]
    here.launch("deploy", *steps)
    here.ended("deploy", "Succeeded", within=60)
    assert {name: here.status("Taskserv", name)["phase"] for name in ("backend", "nats")} == {
        "backend": "Healthy",
        "nats": "Healthy",
    }
    assert here.made("taskservs") == ["nats", "backend"]
    ready = {name: here.status("AgentPool", name)["readyReplicas"] for name in ("developer", "reviewer")}
    assert ready == {"developer": 2, "reviewer": 3}
    assert here.get("AgentPool", "reviewer")["spec"]["template"]["image"] == "vapora/agents:reviewer-0.1.0"


def test_an_object_that_is_there_is_kept_as_it_is(here: Fleet) -> None:
    here.define("Taskserv", "backend", SERVICE, replicas=5)
    here.create("Taskserv", "backend", SERVICE)
    here.await_status("Taskserv", "backend", phase="Healthy")
    before = here.get("Taskserv", "backend")
    here.launch("deploy", deploy("services", "backend"))
    here.ended("deploy", "Succeeded")
    after = here.get("Taskserv", "backend")
    assert (after["metadata"]["generation"], after["metadata"].get("labels")) == (
        before["metadata"]["generation"],
        before["metadata"].get("labels"),
    )


def test_a_later_run_changes_the_version_alone_and_its_rollback_gives_it_back(here: Fleet) -> None:
    here.define("Taskserv", "backend", SERVICE)
    here.launch("first", deploy("services", "backend"))
    here.ended("first", "Succeeded", within=60)
    newer = task("newer", "deploy-taskservs", {"taskservs": ["backend"], "version": "0.2.0"})
    here.launch("second", newer)
    here.ended("second", "Succeeded", within=60)
    spec = here.get("Taskserv", "backend")["spec"]
    assert (spec["version"], spec["replicas"], spec["ports"]) == ("0.2.0", 2, {"http": 8080})
    assert here.status("Taskserv", "backend")["version"] == "0.2.0"
    here.ask("second", "rollback")
    here.await_status("Workflow", "second", phase="RolledBack")
    here.await_status("Taskserv", "backend", phase="Healthy", version="0.1.0")


def test_an_image_that_never_starts_fails_in_the_kubelets_words_and_all_goes_in_reverse_order(here: Fleet) -> None:
    here.create("Taskserv", "redis", SERVICE)
    here.define("Taskserv", "nats", SERVICE)
    here.define("Taskserv", "backend", SERVICE, dependencies=[{"name": "nats"}])
    here.define("Taskserv", "frontend", SERVICE, image=MISSING)
    here.await_status("Taskserv", "redis", phase="Healthy")
    before = here.get("Taskserv", "redis")["spec"]
    steps: list[Json] = [
        deploy("data", "backend", "redis", "nats"),
        deploy("frontend", "frontend", dependsOn=["data"], timeout="5s", retry=ONCE),
    ]
    here.launch("deploy", *steps, onFailure="rollback")
    status = here.ended("deploy", "RolledBack", within=60)
    row = status["steps"]["frontend"]
    assert row["reason"] == "TimedOut"
    assert 'ImagePullBackOff: Back-off pulling image "missing.example/frontend:0.1.0"' in row["message"]
    assert here.deleted("taskservs") == ["frontend", "backend", "nats"]
    assert here.get("Taskserv", "redis")["spec"] == before


def test_a_name_that_nobody_knows_is_told_with_those_near(here: Fleet) -> None:
    here.define("Taskserv", "vapora-backend", SERVICE)
    here.launch("deploy", deploy("services", "vapora-backnd"))
    row = here.ended("deploy", "Failed")["steps"]["services"]
    assert row["reason"] == "UnknownTaskserv"
    assert row["message"].endswith("in the catalogue; near is vapora-backend")


def test_a_service_that_degrades_fails_the_health_check_with_its_cause(here: Fleet) -> None:
    here.define("Taskserv", "backend", SERVICE)
    here.launch("deploy", deploy("services", "backend"))
    here.ended("deploy", "Succeeded", within=60)
    here.patch("Taskserv", "backend", {"spec": {"image": MISSING, "upgrade": {"autoRollback": False}}})
    here.await_said("Taskserv", "backend", "Degraded", "True ImageFailing")
    here.launch("check", task("health", "health-check", {"services": "all"}, retry=ONCE))
    row = here.ended("check", "Failed", within=40)["steps"]["health"]
    assert row["reason"] == "ObjectFailed"
    assert "Back-off pulling image" in row["message"]


def test_hosts_lead_to_the_frontend_until_the_rollback(here: Fleet) -> None:
    here.define("Taskserv", "vapora-frontend", SERVICE)
    ingress = {"gateway": "gateways/edge", "hosts": ["vapora.example.com"]}
    steps = [
        deploy("services", "vapora-frontend"),
        task("ingress", "configure-ingress", ingress, dependsOn=["services"]),
    ]
    here.launch("deploy", *steps)
    here.ended("deploy", "Succeeded", within=60)
    route = here.get("HTTPRoute", "vapora-frontend")["spec"]
    assert route["hostnames"] == ["vapora.example.com"]
    assert [(parent["namespace"], parent["name"]) for parent in route["parentRefs"]] == [("gateways", "edge")]
    here.ask("deploy", "rollback")
    here.await_status("Workflow", "deploy", phase="RolledBack")
    assert here.find("Taskserv", "vapora-frontend") is None


SCALE = [
    task(
        "depth",
        "query",
        {"query": "SELECT queue_depth FROM agent_health WHERE role = 'coder'"},
        outputs=["queue_depth"],
    ),
    task(
        "decide",
        "evaluate",
        {
            "condition": """if queue_depth > 10 && current_replicas < max_replicas:
    scale_to = min(current_replicas + 2, max_replicas)
    action = "scale_up"
else:
    action = "no_change"
""",
            "values": {"queue_depth": "${steps.depth.outputs.queue_depth}"},
            "role": "coder",
        },
        outputs=["action", "scale_to"],
    ),
    task(
        "scale",
        "scale-taskserv",
        {"taskserv": "vapora-agents-coder", "replicas": "${steps.decide.outputs.scale_to}"},
        when='steps.decide.outputs.action != "no_change"',
    ),
]
SIZES: dict[str, tuple[Json, int, str, int]] = {
    "eleven queued make a pool larger by two": ({"mode": "none", "min": 1, "max": 8}, 11, "Succeeded", 4),
    "ten queued leave it": ({"mode": "none", "min": 1, "max": 8}, 10, "Succeeded", 2),
    "a pool that its queue sizes is left alone": (
        {"mode": "queue", "min": 2, "max": 8, "interval": "1h"},
        11,
        "Failed",
        2,
    ),
}


@pytest.mark.parametrize(("scaling", "queued", "phase", "size"), SIZES.values(), ids=SIZES)
async def test_agents_are_scaled_by_the_depth_of_their_queue(
    scaling: Json, queued: int, phase: str, size: int, here: Fleet, broker: NatsBroker
) -> None:
    here.create("AgentPool", "coder", {**POOL, "role": "coder", "replicas": 2}, scaling=scaling)
    here.await_status("AgentPool", "coder", readyReplicas=2, queued=0)
    for number in range(queued):
        await broker.publish(
            {"n": number}, namespace=here.namespace, pool="coder", message_id=f"{here.namespace}-{number}"
        )
    here.await_status("AgentPool", "coder", queued=queued)
    here.launch("scale", *SCALE, type="sequential")
    status = here.ended("scale", phase)
    if phase == "Failed":
        assert status["steps"]["scale"]["reason"] == "ReplicasOwned"
    else:
        here.await_status("AgentPool", "coder", desiredReplicas=size)
        assert here.get("AgentPool", "coder")["spec"]["replicas"] == size
