"""`make demo NODE=real`: the operator's image on a real node, installed with kustomize, its agents as pods."""

from __future__ import annotations

import json

from examples.demo.screen import Screen
from examples.demo.shell import AGENTS, SYSTEM, DemoFailed, judge, kubectl, vapora
from examples.demo.turns import approve, await_phase, retry, roll_back, submitted
from examples.demo.watching import Watcher
from tests.cluster import RealCluster, wait_until
from tests.cluster.real import ensure_real_node

POOL = {
    "apiVersion": "vapora.dev/v1alpha1",
    "kind": "AgentPool",
    "metadata": {"name": "developer"},
    "spec": {
        "role": "developer",
        "template": {
            "image": "vapora/agents:developer-0.1.0",
            "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}},
        },
        "scaling": {
            "mode": "queue",
            "min": 1,
            "max": 4,
            "scaleUpAbove": 2,
            "scaleDownBelow": 1,
            "interval": "2s",
            "scaleDownStabilization": "4s",
        },
    },
}
BACKLOG = {
    "apiVersion": "vapora.dev/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "backlog"},
    "spec": {
        "steps": [
            {
                "name": "tasks",
                "forEach": {"items": list(range(20)), "maxParallel": 20},
                "agent": {"role": "developer", "title": "Tidy up, number ${item}", "input": {"seconds": 3}},
            }
        ]
    },
}


def run(screen: Screen) -> None:
    """Tells the story on a real node; raises DemoFailed where it goes wrong."""
    screen.heading("A cluster with a real node")
    screen.note("containerd, kubelet, kube-proxy and a name server, in namespaces that go with this demo.")
    with RealCluster(images=ensure_real_node()) as cluster:
        install(screen, cluster)
        hello(screen, cluster)
        work(screen, cluster)
        for turn in (approve, retry, roll_back):
            turn(screen, cluster)
        screen.heading("What there is now")
        kubectl(screen, cluster, "get", "workflow,agentpool,pod", "-A")


def install(screen: Screen, cluster: RealCluster) -> None:
    """Installs the operator as a user would, with its image, and waits until it runs."""
    screen.heading("The operator, installed with kustomize")
    cluster.kubectl("apply", "-k", "kustomize/overlays/dev")
    for workload in ("statefulset/vapora-nats", "deployment/vapora-operator"):
        kubectl(screen, cluster, "rollout", "status", "-n", SYSTEM, workload, "--timeout=180s")
    cluster.kubectl("apply", "-f", "manifests/samples/fleet/namespaces.yaml")
    cluster.kubectl("apply", "-k", "manifests/samples/fleet/tenant")


def hello(screen: Screen, cluster: RealCluster) -> None:
    """Shows what a container says."""
    screen.heading("A container that says hello")
    with submitted(screen, cluster, "hello", "hello.yaml") as workflow:
        await_phase(screen, workflow, "Succeeded")
        said = vapora(screen, cluster, "logs", "hello", "-n", AGENTS)
        judge(screen, {"its words came through": "Hello, world!" in said})


def work(screen: Screen, cluster: RealCluster) -> None:
    """Gives twenty tasks to a pool of one agent, and shows that it grows, works and shrinks."""
    screen.heading("Twenty tasks for agents that are pods")
    with (
        Watcher(cluster, AGENTS, "workflows", "backlog", field="phase") as workflow,
        Watcher(cluster, AGENTS, "agentpools", "developer", field="desiredReplicas") as pool,
    ):
        for body in (POOL, BACKLOG):
            kubectl(screen, cluster, "apply", "-n", AGENTS, "-f", "-", given=json.dumps(body))
        screen.follow(workflow, lambda: workflow.status.get("phase") in {"Succeeded", "Failed"}, within=180, pool=pool)
        if workflow.status.get("phase") != "Succeeded":
            raise DemoFailed(f"the workflow is {workflow.status.get('phase')}")
        path = f"/api/v1/namespaces/{AGENTS}/pods"

        def count() -> int:
            return len(cluster.api.get(path, params={"labelSelector": "vapora.dev/pool=developer"}).json()["items"])

        wait_until(lambda: count() == 1, "the pool is back at one pod", within=120, every=0.5)
        sizes = [value for value in pool.values if isinstance(value, int)]
        done = workflow.status["steps"]["tasks"].get("items", {}).get("succeeded")
        judge(
            screen,
            {
                f"tasks done: {done} of twenty": done == "0-19",
                f"the pool's sizes were {' -> '.join(map(str, sizes))}": max(sizes, default=0) >= 3
                and sizes[-1:] == [1],
            },
        )
