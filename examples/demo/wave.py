"""A wave of tasks that comes again and again: the pool grows ahead of it, drains after it, and loses nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from examples.demo.fleet import FINAL, WORKER
from examples.demo.screen import Screen
from examples.demo.shell import AGENTS, DemoFailed, judge, kubectl, vapora
from examples.demo.watching import GROUP, Json, Watcher
from tests.cluster import EmbeddedCluster, wait_until

AGENT_IMAGES = {"registry.example.com/log-reader:": WORKER}
POOL, LEAST, MOST = "log-readers", 2, 6
TASKS = 12  # of each night


def begin(screen: Screen, cluster: EmbeddedCluster) -> list[str]:
    """Makes the pool, and has two nights from which the operator learns; returns the names of their workflows."""
    screen.heading("A pool that is small by day, and its first two nights")
    kubectl(screen, cluster, "apply", "-k", "examples/demo/wave")
    change = {"spec": {"template": {"env": {"VAPORA_WORK_LOG": str(_find_log(cluster))}}}}
    cluster.kubectl("patch", "agentpool", POOL, "-n", AGENTS, "--type=merge", "-p", json.dumps(change))
    names = [_run_night(screen, cluster) for _ in range(2)]
    screen.note(
        "They run one after the other while the demo goes on. Their tasks find the pool small; it grows behind them.\n"
        "The operator learns how long the logs are collected and how long a new agent takes to be ready, here three\n"
        "seconds, and sees in the second night that it would have been right."
    )
    return names


def show(screen: Screen, cluster: EmbeddedCluster, earlier: Sequence[str]) -> None:
    """Shows the third night, and judges all of them."""
    screen.heading("The third night: twelve tasks at once, and the pool grows before them")
    wait_until(lambda: _is_quiet(cluster, earlier), "the first two nights are over", within=60)
    with Watcher(cluster, AGENTS, "agentpools", POOL, field="desiredReplicas") as pool:
        wait_until(lambda: pool.values == [LEAST], "the pool is seen")
        name = _run_night(screen, cluster)
        with Watcher(cluster, AGENTS, "workflows", name, field="phase") as workflow:

            def is_over() -> bool:
                has_drained = len(pool.values) > 1 and pool.values[-1] == LEAST and _count_agents(cluster) == LEAST
                return workflow.status.get("phase") in FINAL and has_drained

            screen.follow(workflow, is_over, within=60, pool=pool)
            judge(screen, _find_ends(cluster, workflow, pool, [*earlier, name]))


def _find_ends(cluster: EmbeddedCluster, workflow: Watcher, pool: Watcher, names: Sequence[str]) -> dict[str, bool]:
    grown = next((status for status in pool.changes if status["desiredReplicas"] > LEAST), {})
    decision, begun = grown.get("lastDecision", {}), workflow.status["steps"]["read"]["startedAt"]
    ahead = (datetime.fromisoformat(begun) - datetime.fromisoformat(grown.get("lastScaledAt", begun))).total_seconds()
    uids = [_read(cluster, "workflows", name)["metadata"]["uid"] for name in names]
    done = Counter(line.split()[0] for line in _find_log(cluster).read_text().splitlines())
    wanted = {f"{uid}/read/{item}" for uid in uids for item in range(TASKS)}
    once = Counter(task.rpartition("/")[0] for task in done.elements())
    return {
        f"the workflow is {workflow.status.get('phase')}": workflow.status.get("phase") == "Succeeded",
        f"the pool grew {ahead:.1f} s before the first task ({decision.get('reason')})": (
            decision.get("trigger") == "prediction" and ahead > 0
        ),
        f"the pool's sizes were {' -> '.join(map(str, pool.values))}": (
            MOST in pool.values and pool.values[-1] == LEAST == _count_agents(cluster)
        ),
        f"of {len(wanted)} tasks in {len(names)} nights {sum(task in once for task in wanted)} were done, "
        f"{sum(count > 1 for count in once.values())} of them twice": once == Counter(wanted),
    }


def _run_night(screen: Screen, cluster: EmbeddedCluster) -> str:
    told = vapora(screen, cluster, "run", "--template", "night", "-n", AGENTS)
    if not (named := re.search(r"night-[a-z0-9]+", told)):
        raise DemoFailed(f"no name of a run in {told!r}")
    return named.group()


def _is_quiet(cluster: EmbeddedCluster, earlier: Sequence[str]) -> bool:
    phases = {_read(cluster, "workflows", name).get("status", {}).get("phase") for name in earlier}
    size = _read(cluster, "agentpools", POOL).get("status", {}).get("desiredReplicas")
    return phases <= FINAL and size == LEAST == _count_agents(cluster)


def _read(cluster: EmbeddedCluster, plural: str, name: str) -> Json:
    found: Json = cluster.api.get(f"{GROUP}/{AGENTS}/{plural}/{name}").raise_for_status().json()
    return found


def _count_agents(cluster: EmbeddedCluster) -> int:
    return len(cluster.agents.running(AGENTS, POOL))


def _find_log(cluster: EmbeddedCluster) -> Path:
    """Where the agents write down what they did."""
    return cluster.folder / "work.log"
