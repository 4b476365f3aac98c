"""A pool shrinks while its agents work and some of them are killed: every task is done, and under one id."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.conftest import require_embedded
from tests.cluster.embedded import EmbeddedCluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import wait_until
from tests.integration.engine import install_definitions, operators_of
from tests.integration.objects import Json, Objects

POOL = "workers"
AGENTS, LEFT, KILLS = 20, 2, 3
TASKS = 300
WORKER = [sys.executable, "examples/agents/worker.py"]


@pytest.fixture
def here(
    cluster: EmbeddedCluster, nats: NatsServer, namespace: str, request: pytest.FixtureRequest
) -> Iterator[Objects]:
    require_embedded(cluster)
    install_definitions(cluster)
    with operators_of(cluster, request) as started:
        started.start("operator", "--nats-url", nats.url)
        here = Objects(cluster, namespace)
        yield here
        here.kubectl("delete", "agentpools,workflows", "--all", "--timeout=60s")


def build_pool(log: Path) -> Json:
    template = {"image": "worker:1", "command": WORKER, "env": {"VAPORA_WORK_LOG": str(log)}}
    return {"role": "worker", "replicas": AGENTS, "drain": {"timeout": "20s"}, "template": template}


def read_ids(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_a_pool_that_shrinks_from_20_to_2_while_agents_are_killed_loses_no_task_and_repeats_none_under_another_id(
    here: Objects, cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    log = tmp_path / "work.log"
    here.create("AgentPool", POOL, build_pool(log))

    def count_agents() -> int:
        return len(cluster.agents.running(here.namespace, POOL))

    wait_until(lambda: count_agents() == AGENTS, "all agents run", within=120)
    each = {"items": list(range(TASKS)), "maxParallel": TASKS}
    agent = {"pool": POOL, "taskType": "general", "title": "work", "input": {"seconds": 0.3}}
    uid = here.workflow("many", {"name": "each", "forEach": each, "agent": agent}, maxParallel=TASKS)["metadata"]["uid"]
    wait_until(lambda: len(read_ids(log)) >= TASKS // 6, "some tasks are done", within=60)
    here.kubectl("scale", f"agentpool/{POOL}", f"--replicas={LEFT}")
    for number in range(1, KILLS + 1):
        wait_until(lambda n=number: len(read_ids(log)) >= TASKS // 6 + 10 * n, "some more are done", within=60)
        for victim in cluster.agents.running(here.namespace, POOL)[:1]:
            victim.process.kill()
    here.await_status("Workflow", "many", phase="Succeeded", within=240)
    wait_until(lambda: count_agents() == LEFT, "the others have left", within=60)
    ids = set(read_ids(log))
    tasks = [name.rpartition("/")[0] for name in ids]
    assert sorted(tasks) == sorted(f"{uid}/each/{item}" for item in range(TASKS))
