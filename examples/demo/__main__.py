"""`make demo`: starts a cluster, applies a fleet with kubectl, runs workflows on it, and checks how everything ended.

Exits 0 only if every object ended as it should.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from examples.demo import choice, real, wave
from examples.demo.fleet import AGENT_IMAGES, FINAL, deploy, quicken
from examples.demo.messages import Messages
from examples.demo.screen import Screen
from examples.demo.shell import AGENTS, SYSTEM, DemoFailed, judge, kubectl
from examples.demo.training import IMAGES, train
from examples.demo.turns import approve, retry, roll_back
from examples.demo.watching import Watcher
from tests.cluster import FLEET_NODES, GPU, EmbeddedCluster, Supervisor, wait_until
from tests.cluster.node import find_obstacle

from vapora.adapters.sqlite_graph import SqliteGraph
from vapora.core.learning.execution import Execution

ROOT = Path(__file__).parents[2]
BACKLOG = "examples/demo/backlog"


def main() -> int:
    """Runs the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--break-service", metavar="NAME", help="give this service an image that nobody can pull")
    parser.add_argument("--ready-within", type=float, default=90, help="seconds the fleet may take (default 90)")
    parser.add_argument("--node", choices=("simulated", "real"), default="simulated", help="real: runs containers")
    options = parser.parse_args()
    os.chdir(ROOT)
    screen = Screen()
    started = time.monotonic()
    obstacle = find_obstacle() if options.node == "real" else None
    if obstacle:
        screen.note(f"{obstacle}. The nodes are simulated instead.")
    try:
        if options.node == "real" and not obstacle:
            real.run(screen)
        else:
            run(screen, broken=options.break_service, ready_within=options.ready_within)
    except DemoFailed as problem:
        screen.verdict(is_good=False, text=str(problem))
        return 1
    except KeyboardInterrupt:
        return 130
    screen.note(f"\nIt took {time.monotonic() - started:.0f} seconds, and nothing of it is left running.")
    return 0


def run(screen: Screen, *, broken: str | None, ready_within: float) -> None:
    """Tells the whole story; raises DemoFailed where it goes wrong."""
    screen.heading("A cluster")
    screen.note(
        "A real Kubernetes API server, scheduler, controller manager and etcd, and a real NATS server.\n"
        "Simulated: the nodes, and so the containers. The agents of pools are real: local processes on the SDK."
    )
    images = {**AGENT_IMAGES, **wave.AGENT_IMAGES, **choice.AGENT_IMAGES, **IMAGES}
    machines = EmbeddedCluster(nodes=(*FLEET_NODES, GPU), agent_images=images)
    with machines as cluster, Supervisor("vapora-demo-") as processes, Messages() as messages:
        graph = processes.folder / "graph.db"
        install(screen, cluster)
        with operator(cluster, processes, graph):
            deploy(screen, cluster, messages, broken, ready_within)
            quicken(screen, cluster)
            earlier = wave.begin(screen, cluster)
            work(screen, cluster)
            wave.show(screen, cluster, earlier)
            train(screen, cluster)
            approve(screen, cluster)
            retry(screen, cluster)
            roll_back(screen, cluster)
            choice.choose(screen, cluster)
            screen.heading("What there is now")
            kubectl(screen, cluster, "get", "workflow,agentpool,taskserv", "-A")
            learned(screen, graph)
    screen.heading("Where to look next")
    screen.note(
        "examples/vapora-wrksp/ the fleet's files;  docs/importing.md  what becomes of them\n"
        "manifests/samples/   the workflows that were applied, and more\n"
        "docs/architecture.md how it works;  docs/api.md  every field\n"
        "python -m tests.cluster up   a cluster like this one, to try things on"
    )


def install(screen: Screen, cluster: EmbeddedCluster) -> None:
    """Installs the operator as a user would; its own process is then run here, with its ServiceAccount's rights."""
    screen.heading("The operator, installed from manifests/install.yaml")
    cluster.kubectl("apply", "-f", "manifests/install.yaml")
    cluster.kubectl("scale", "-n", SYSTEM, "deployment/vapora-operator", "--replicas=0")
    screen.note("Its Deployment is scaled to 0: simulated nodes run no containers, so it runs as a process here.")


@contextmanager
def operator(cluster: EmbeddedCluster, processes: Supervisor, graph: Path) -> Iterator[None]:
    """Runs `vapora operator` with the rights of the ServiceAccount that the installation made."""
    kubeconfig = cluster.user_kubeconfig(SYSTEM, "vapora-operator")
    command = [sys.executable, "-m", "vapora", "operator", "--kubeconfig", str(kubeconfig), "--log-format", "json"]
    command += ["--http-host", "127.0.0.1", "--http-port", "0", "--lease-namespace", SYSTEM]
    command += ["--nats-url", cluster.nats.url, "--graph-url", f"sqlite://{graph}", "--outbound-allowed", "127.0.0.1"]
    process = processes.start("operator", command, env=cluster.environment())
    yield
    if not process.is_running:
        raise DemoFailed(f"the operator ended: {process.tail()}")


def work(screen: Screen, cluster: EmbeddedCluster) -> None:
    """Submits the workflow, shows it until it has ended and the pool is back at its size, and judges both."""
    screen.heading("Forty tasks for the developers, a training on a GPU, a report")
    with (
        Watcher(cluster, AGENTS, "workflows", "backlog", field="phase") as workflow,
        Watcher(cluster, AGENTS, "agentpools", "developer", field="desiredReplicas") as pool,
    ):
        kubectl(screen, cluster, "apply", "-k", BACKLOG)

        def is_over() -> bool:
            phase = workflow.status.get("phase")
            has_shrunk = len(pool.values) > 1 and pool.values[-1] == 5 and len(find_agents(cluster)) == 5
            return phase in FINAL and (phase != "Succeeded" or has_shrunk)

        screen.follow(workflow, is_over, within=150, pool=pool)
        screen.heading("Did it end as it should?")
        judge(screen, find_ends(cluster, workflow, pool))


def find_ends(cluster: EmbeddedCluster, workflow: Watcher, pool: Watcher) -> dict[str, bool]:
    """Says how everything ended, and of each end whether it is as it should be."""
    steps = workflow.status.get("steps", {})
    sizes = [value for value in pool.values if isinstance(value, int)]
    nodes = {pod["spec"].get("nodeName", "") for pod in find_pods(cluster, "vapora.dev/step=train")}
    agents = find_agents(cluster)
    ml = steps.get("train", {}).get("ml", {})
    return {
        f"the workflow is {workflow.status.get('phase')}": workflow.status.get("phase") == "Succeeded",
        f"tasks done: {steps.get('tasks', {}).get('items', {}).get('succeeded', 'none')} of forty": (
            steps.get("tasks", {}).get("items", {}).get("succeeded") == "0-39"
        ),
        f"the pool's sizes were {' -> '.join(map(str, sizes))}": max(sizes, default=0) >= 9 and sizes[-1:] == [5],
        f"the training sat on {', '.join(sorted(nodes)) or 'no node'}": bool(nodes)
        and all(node.startswith("gpu-") for node in nodes),
        f"it was found to be one: {ml.get('sentence', 'not at all')}": ml.get("class") == "gpuRequired",
        f"the report says: {steps.get('report', {}).get('outputs', {}).get('summary', 'nothing')}": bool(
            steps.get("report", {}).get("outputs")
        ),
        f"{len(agents)} agents run for the pool's five Pods": len(agents) == 5,
    }


def find_agents(cluster: EmbeddedCluster) -> set[int]:
    """Returns the processes that the developers' pool has."""
    return {agent.pid for agent in cluster.agents.running(AGENTS, "developer")}


def find_pods(cluster: EmbeddedCluster, selector: str) -> list[dict]:
    """Returns the Pods of the agents' namespace that a selector selects."""
    path = f"/api/v1/namespaces/{AGENTS}/pods"
    return list(cluster.api.get(path, params={"labelSelector": selector}).json()["items"])


def learned(screen: Screen, graph: Path) -> None:
    """Says what the knowledge graph has recorded."""
    screen.heading("What the knowledge graph has learned")

    pools = [f"{AGENTS}/{name}" for name in ("developer", *choice.POOLS)]

    async def read() -> tuple[int, Mapping[str, Sequence[Execution]]]:
        store = SqliteGraph(graph)
        await store.open()
        try:
            return await store.count(), await store.get_executions_of_agents(pools, 100)
        finally:
            await store.close()

    wait_until(lambda: asyncio.run(read())[0] >= 42, "every try is recorded", within=10)
    count, tasks = asyncio.run(read())
    screen.note(f"{count} executions, among them:")
    for pool, executions in tasks.items():
        seconds = sum(execution.latency.total_seconds() for execution in executions) / len(executions)
        outcomes = Counter(execution.outcome for execution in executions)
        screen.note(
            f"  {pool} at work of type {executions[0].task_type!r}: {outcomes['success']} of {len(executions)} "
            f"succeeded, {seconds:.1f} s each from assignment to answer"
        )


if __name__ == "__main__":
    sys.exit(main())
