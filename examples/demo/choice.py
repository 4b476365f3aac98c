"""A choice that is learned: the same letter again and again, and it goes to those who have proven that they can."""

from __future__ import annotations

import re

from examples.demo.fleet import FINAL, WORKER
from examples.demo.screen import Screen
from examples.demo.shell import AGENTS, DemoFailed, judge, kubectl, vapora
from examples.demo.watching import GROUP, Json, Watcher
from tests.cluster import EmbeddedCluster, wait_until

AGENT_IMAGES = {"registry.example.com/translator:": WORKER}
POOLS = ("novices", "veterans")
LETTERS = 3


def choose(screen: Screen, cluster: EmbeddedCluster) -> None:
    """Has a letter translated three times, and judges who got it each time, and by which words."""
    screen.heading("Two pools that nobody knows, and three letters: who gets them?")
    kubectl(screen, cluster, "apply", "-k", "examples/demo/choice")
    names = [f"agentpool/{name}" for name in POOLS]
    kubectl(screen, cluster, "wait", "--for=condition=Ready", "--timeout=40s", *names, "-n", AGENTS)
    given = [_send_letter(screen, cluster) for _ in range(LETTERS)]
    first, last = given[0], given[-1]
    judge(
        screen,
        {
            f"the first letter: {first['reason']}": first["pool"] == "novices" and "score" not in first,
            "the novices failed at it": first["phase"] == "Failed",
            f"the last one: {last['reason']}": (last["pool"], last.get("runnerUp")) == ("veterans", "novices"),
            "the veterans have translated all others": {letter["phase"] for letter in given[1:]} == {"Succeeded"}
            and {letter["pool"] for letter in given[1:]} == {"veterans"}
            and last.get("executions") == LETTERS - 2,
        },
    )


def _send_letter(screen: Screen, cluster: EmbeddedCluster) -> Json:
    """Has one letter translated once nobody is busy; returns to whom it went, why, and how it ended."""
    wait_until(lambda: all(_is_idle(cluster, pool) for pool in POOLS), "the pools are idle")
    told = vapora(screen, cluster, "run", "--template", "letter", "-n", AGENTS)
    if not (named := re.search(r"letter-[a-z0-9]+", told)):
        raise DemoFailed(f"no name of a run in {told!r}")
    with Watcher(cluster, AGENTS, "workflows", named.group(), field="phase") as workflow:
        screen.follow(workflow, lambda: workflow.status.get("phase") in FINAL, within=40)
        step = workflow.status.get("steps", {}).get("translate", {})
        return {"pool": "", "reason": "nobody", **step.get("assignment", {}), "phase": workflow.status.get("phase")}


def _is_idle(cluster: EmbeddedCluster, pool: str) -> bool:
    status = cluster.api.get(f"{GROUP}/{AGENTS}/agentpools/{pool}").raise_for_status().json().get("status", {})
    return status.get("queued") == status.get("inFlight") == 0
