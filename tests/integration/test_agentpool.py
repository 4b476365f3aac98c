"""Pools on a real API server and a real broker, with the operator and the agents as processes."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import until, wait_until
from tests.integration.engine import Operators, install_definitions, operators_of
from tests.integration.objects import Json, Objects

from vapora.adapters.nats_broker import NatsBroker
from vapora.agent.contract import TaskEnvelope

WORKER = [sys.executable, "examples/agents/worker.py"]
MISSING = "missing.example/agents:1"  # the simulated nodes cannot pull it
SCALING: Json = {
    "min": 1,
    "max": 5,
    "scaleUpAbove": 3,
    "scaleDownBelow": 1,
    "interval": "1s",
    "scaleDownStabilization": "3s",
}


@pytest.fixture(scope="module")
def operator(cluster: Cluster, nats: NatsServer, request: pytest.FixtureRequest) -> Iterator[Operators]:
    install_definitions(cluster)
    with operators_of(cluster, request) as started:
        started.start("operator", "--nats-url", nats.url)
        yield started


@pytest.fixture
def here(cluster: Cluster, namespace: str, operator: Operators) -> Iterator[Objects]:
    """The namespace of the test; its pools go before it, so that no queue is left."""
    here = Objects(cluster, namespace)
    yield here
    here.kubectl("delete", "agentpools", "--all", "--timeout=30s")


@pytest.fixture
async def broker(nats: NatsServer) -> AsyncIterator[NatsBroker]:
    broker = NatsBroker(nats.url)
    await broker.connect()
    yield broker
    await broker.close()


def build_pool(**fields: object) -> Json:
    template = {"image": "worker:1", "command": WORKER, **dict(fields.pop("template", {}))}
    return {"role": "worker", "template": template, "drain": {"timeout": "20s"}, **fields}


def deployed(here: Objects) -> int:
    deployment = here.find("Deployment", "agentpool-developer")
    return deployment["spec"]["replicas"] if deployment else -1


def wait_ready(here: Objects) -> None:
    here.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "agentpool/developer")


async def publish(broker: NatsBroker, here: Objects, count: int, seconds: float) -> list[str]:
    """Give tasks to the pool; returns their ids."""
    ids = [f"uid-{here.namespace}/step/{item}/1" for item in range(count)]
    for number, name in enumerate(ids):
        envelope = TaskEnvelope(
            id=name,
            namespace=here.namespace,
            workflow="w",
            step="step",
            task_type="general",
            input={"seconds": seconds, "number": number},
        )
        task = json.loads(envelope.to_json())
        await broker.publish(task, namespace=here.namespace, pool="developer", message_id=name)
    return ids


def read_work(log: Path) -> Counter[str]:
    """Count what the agents wrote down, by task."""
    return Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()


async def test_a_wave_grows_the_pool_and_its_end_shrinks_it_and_every_task_is_done_once(
    here: Objects, broker: NatsBroker, tmp_path: Path
) -> None:
    log = tmp_path / "work.log"
    pool = build_pool(maxConcurrent=2, scaling=SCALING, template={"env": {"VAPORA_WORK_LOG": str(log)}})
    here.create("AgentPool", "developer", pool)
    wait_ready(here)
    here.await_said("AgentPool", "developer", "MetricsAvailable", "True MetricsRead")
    ids = await publish(broker, here, 30, seconds=0.8)
    sizes: list[int] = []

    def has_peaked() -> bool:
        sizes.append(deployed(here))
        return sizes[-1] >= 5

    await until(has_peaked, "the pool has grown to its max")
    assert set(sizes) <= {1, 3, 5}
    decision = here.await_status("AgentPool", "developer", desiredReplicas=5)["lastDecision"]
    assert decision["action"] == "scale_up"
    assert decision["reason"].endswith("> 3: 3 + 2 = 5")
    await until(lambda: len(read_work(log)) == len(ids), "all tasks are done", within=60)
    status = here.await_status("AgentPool", "developer", desiredReplicas=1, readyReplicas=1, queued=0, within=60)
    assert status["lastDecision"]["reason"] == "queue 0 < 1: 2 - 1 = 1"
    assert read_work(log) == Counter(ids)
    told = [message for reason, message in here.events("developer") if reason in {"ScaledUp", "ScaledDown"}]
    changes = [message.partition(" agents: ")[0] for message in told]
    assert sorted(changes) == ["1 -> 3", "2 -> 1", "3 -> 2", "3 -> 5", "4 -> 3", "5 -> 4"]
    assert "2 -> 1 agents: queue 0 < 1: 2 - 1 = 1" in told


async def test_a_pool_of_no_agents_wakes_for_a_task_and_goes_to_sleep_after_it(
    here: Objects, broker: NatsBroker, tmp_path: Path
) -> None:
    log = tmp_path / "work.log"
    scaling = {**SCALING, "min": 0, "scaleUpAbove": 0, "upStep": 1}
    here.create("AgentPool", "developer", build_pool(scaling=scaling, template={"env": {"VAPORA_WORK_LOG": str(log)}}))
    here.await_said("AgentPool", "developer", "MetricsAvailable", "True MetricsRead")
    assert deployed(here) == 0
    ids = await publish(broker, here, 1, seconds=0.5)
    await until(lambda: read_work(log) == Counter(ids), "the task is done", within=30)
    here.await_status("AgentPool", "developer", desiredReplicas=0, replicas=0, within=30)


def test_a_pool_shows_itself_in_the_columns(here: Objects) -> None:
    here.create("AgentPool", "developer", build_pool(scaling={**SCALING, "min": 2}))
    wait_ready(here)
    here.await_status("AgentPool", "developer", readyReplicas=2, queued=0, inFlight=0, busy=0)
    wait_until(
        lambda: (
            here.kubectl("get", "agentpool", "developer", "--no-headers").split()[:6]
            == ["developer", "worker", "2", "2", "0", "0"]
        ),
        "the columns are filled",
    )


def test_kubectl_scale_sizes_a_pool_that_nobody_else_does(here: Objects) -> None:
    here.create("AgentPool", "developer", build_pool(replicas=1))
    wait_ready(here)
    here.kubectl("scale", "agentpool/developer", "--replicas=3")
    status = here.await_status("AgentPool", "developer", desiredReplicas=3, replicas=3, readyReplicas=3)
    scale = here.cluster.api.get(here.path("AgentPool", "developer", "scale")).json()
    assert scale["status"] == {"replicas": 3, "selector": status["selector"]}
    assert len(here.all("Pod", status["selector"])) == 3


async def test_idle_agents_go_and_the_one_that_works_stays(here: Objects, broker: NatsBroker, tmp_path: Path) -> None:
    log = tmp_path / "work.log"
    here.create("AgentPool", "developer", build_pool(replicas=4, template={"env": {"VAPORA_WORK_LOG": str(log)}}))
    wait_ready(here)
    await publish(broker, here, 1, seconds=8)
    selector = here.await_status("AgentPool", "developer", queued=0, inFlight=1)["selector"]
    here.kubectl("scale", "agentpool/developer", "--replicas=1")
    await until(lambda: len(here.all("Pod", selector)) == 1, "three agents have left", within=30)
    assert not read_work(log), "they left before the task was done"
    (left,) = here.all("Pod", selector)
    await until(lambda: bool(read_work(log)), "the task is done")
    (line,) = log.read_text().splitlines()
    assert line.split()[1:] == [left["metadata"]["name"], "1"]


async def test_an_agent_that_takes_no_more_tasks_is_replaced_where_the_pool_keeps_its_size(
    here: Objects, broker: NatsBroker
) -> None:
    here.create("AgentPool", "developer", build_pool(replicas=2))
    wait_ready(here)
    selector = here.await_status("AgentPool", "developer", readyReplicas=2)["selector"]
    before = {pod["metadata"]["name"] for pod in here.all("Pod", selector)}

    async def keep_draining() -> None:
        """Ask until it is heard: a Pod is Ready here before its agent listens."""
        while True:
            await broker.drain(here.namespace, "developer", [min(before)])
            await asyncio.sleep(0.5)

    def is_replaced() -> bool:
        names = {pod["metadata"]["name"] for pod in here.all("Pod", selector)}
        return len(names) == 2 and min(before) not in names

    asking = asyncio.create_task(keep_draining())
    try:
        await until(is_replaced, "another agent has taken its place", within=30)
    finally:
        asking.cancel()


def test_an_image_that_cannot_be_pulled_is_said_in_the_kubelets_words_until_it_can(here: Objects) -> None:
    here.create("AgentPool", "developer", build_pool(replicas=1, template={"image": MISSING}))
    said = here.await_said("AgentPool", "developer", "Ready", "False ImageFailing: 0 of 1 agents are ready; ")
    assert f'ImagePullBackOff: Back-off pulling image "{MISSING}"' in said
    here.patch("AgentPool", "developer", {"spec": {"template": {"image": "worker:1"}}})
    wait_ready(here)


def test_a_broker_that_is_away_moves_nothing_and_its_return_is_seen(here: Objects, nats: NatsServer) -> None:
    here.create("AgentPool", "developer", build_pool(scaling=SCALING))
    here.await_said("AgentPool", "developer", "MetricsAvailable", "True MetricsRead")
    nats.stop()
    try:
        here.await_said("AgentPool", "developer", "MetricsAvailable", "False BrokerUnavailable: nats: ")
        assert here.said("AgentPool", "developer")["Ready"].startswith("True")
        assert "queued" not in here.status("AgentPool", "developer")
        here.patch("AgentPool", "developer", {"spec": {"template": {"env": {"A": "b"}}}})
        wait_until(
            lambda: "A" in json.dumps(here.get("Deployment", "agentpool-developer")["spec"]["template"]),
            "a change is still deployed",
        )
        assert deployed(here) == 1
    finally:
        nats.start()
    here.await_said("AgentPool", "developer", "MetricsAvailable", "True MetricsRead", within=30)


def test_a_size_that_somebody_sets_beside_the_pool_is_brought_back(here: Objects) -> None:
    here.create("AgentPool", "developer", build_pool(scaling=SCALING))
    wait_ready(here)
    here.kubectl("scale", "deployment/agentpool-developer", "--replicas=4")
    wait_until(lambda: deployed(here) == 1, "the size is what the queue asks for", within=30)
    here.kubectl("scale", "agentpool/developer", "--replicas=3")
    said = here.await_said("AgentPool", "developer", "ScaleIgnored", "True ScalingByQueue: ")
    assert "spec.replicas 3 changes nothing, the size stays 1" in said
    assert deployed(here) == 1


def test_an_autoscaler_of_somebody_else_owns_the_size_until_it_goes(here: Objects) -> None:
    here.create("AgentPool", "developer", build_pool(scaling={**SCALING, "min": 2}))
    wait_ready(here)
    usage = {"type": "Utilization", "averageUtilization": 50}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "agentpool-developer"}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": usage}}]
    autoscaler = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9, "metrics": metrics}
    here.create("HorizontalPodAutoscaler", "theirs", autoscaler)
    said = here.await_said("AgentPool", "developer", "ScalingActive", "False ForeignAutoscaler: HPA theirs ", within=30)
    words = said.partition(": ")[2]
    wait_until(lambda: ("ForeignAutoscaler", words) in here.events("developer"), "it is told")
    here.kubectl("scale", "deployment/agentpool-developer", "--replicas=4")
    here.await_status("AgentPool", "developer", desiredReplicas=4)
    assert deployed(here) == 4
    here.kubectl("delete", "hpa", "theirs")
    here.await_said("AgentPool", "developer", "ScalingActive", "True ScalingByQueue: ", within=30)
    here.await_status("AgentPool", "developer", desiredReplicas=2, within=60)
    assert "ScalingByQueue" in [reason for reason, _ in here.events("developer")]


def test_no_hand_over_of_the_size_loses_an_agent(here: Objects) -> None:
    template = {"resources": {"requests": {"cpu": "10m"}}}
    here.create("AgentPool", "developer", build_pool(replicas=4, template=template))
    wait_ready(here)
    here.patch("AgentPool", "developer", {"spec": {"scaling": {"mode": "hpa", "min": 2, "max": 6}}})
    here.await_said("AgentPool", "developer", "ScalingActive", "False ScalingByOther: an HPA sets the size")
    wait_until(lambda: here.find("HorizontalPodAutoscaler", "agentpool-developer") is not None, "the HPA is made")
    assert deployed(here) == 4
    # A change of the template is applied without the size, which must not fall back to 1.
    here.patch("AgentPool", "developer", {"spec": {"template": {"env": {"A": "1"}}}})
    wait_until(
        lambda: "A" in json.dumps(here.get("Deployment", "agentpool-developer")["spec"]["template"]), "it is deployed"
    )
    assert deployed(here) == 4
    here.patch("AgentPool", "developer", {"spec": {"scaling": None, "replicas": 5}})
    status = here.await_status("AgentPool", "developer", desiredReplicas=5, readyReplicas=5)
    assert here.find("HorizontalPodAutoscaler", "agentpool-developer") is None
    here.kubectl("rollout", "status", "deployment/agentpool-developer", "--timeout=30s")
    # From there to the queue, and back to nobody, whose manifest names no size.
    before = find_staying(here, status["selector"])
    here.patch("AgentPool", "developer", {"spec": {"scaling": {"mode": "queue", "min": 1, "max": 6}, "replicas": None}})
    here.await_said("AgentPool", "developer", "ScalingActive", "True ScalingByQueue: ")
    here.patch("AgentPool", "developer", {"spec": {"scaling": {"mode": "none"}}})
    here.await_said("AgentPool", "developer", "ScalingActive", "False ScalingByOther: spec.replicas sets the size")
    assert find_staying(here, status["selector"]) == before
    assert deployed(here) == 5


def find_staying(here: Objects, selector: str) -> set[str]:
    """Return the uids of the Pods that are not going away."""
    return {pod["metadata"]["uid"] for pod in here.all("Pod", selector) if "deletionTimestamp" not in pod["metadata"]}


REFUSED = {
    "limits the wrong way round": (
        {"scaling": {"min": 5, "max": 3}},
        "InvalidSpec: spec.scaling: min 5 is above max 3",
    ),
}


@pytest.mark.parametrize(("fields", "want"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_its_place(fields: Json, want: str, here: Objects) -> None:
    here.create("AgentPool", "developer", build_pool(**fields))
    here.await_said("AgentPool", "developer", "Stalled", f"True {want}")
    assert deployed(here) == -1


async def test_a_pool_that_is_deleted_takes_its_queue_and_its_agents_with_it(here: Objects, broker: NatsBroker) -> None:
    here.create("AgentPool", "developer", build_pool(replicas=1))
    wait_ready(here)
    assert here.get("AgentPool", "developer")["metadata"]["finalizers"] == ["vapora.dev/cleanup"]
    here.delete("AgentPool", "developer")
    await until(lambda: here.find("AgentPool", "developer") is None, "the pool is gone")
    await until(lambda: not here.all("Deployment"), "its Deployment is gone")
    assert (here.namespace, "developer") not in await broker.read_depths()
    await until(lambda: not here.all("Pod"), "its agents are gone", within=40)


def test_a_pool_made_anew_under_the_same_name_comes_up(here: Objects) -> None:
    here.create("AgentPool", "developer", build_pool(replicas=1))
    wait_ready(here)
    here.delete("AgentPool", "developer")
    wait_until(lambda: here.find("AgentPool", "developer") is None, "the pool is gone")
    here.create("AgentPool", "developer", build_pool(replicas=2))
    here.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "agentpool/developer")
    here.await_status("AgentPool", "developer", readyReplicas=2)
