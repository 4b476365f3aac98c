"""What people and failures do to a workflow: an approval, a retry from the step that failed, a rollback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from examples.demo.screen import Screen
from examples.demo.shell import AGENTS, DemoFailed, judge, kubectl, vapora
from examples.demo.watching import Watcher
from tests.cluster import EmbeddedCluster

SAMPLES = "manifests/samples"
IN_AGENTS = ("-n", AGENTS)


def approve(screen: Screen, cluster: EmbeddedCluster) -> None:
    """Shows a workflow that stands until a person approves."""
    screen.heading("A release that waits for a person")
    with submitted(screen, cluster, "release", "approval.yaml") as workflow:
        await_phase(screen, workflow, "WaitingApproval")
        tries = dict(workflow.counts("tries"))
        vapora(screen, cluster, "approve", "release", "gate", "--comment", "looks good", *IN_AGENTS)
        await_phase(screen, workflow, "Succeeded")
        words = [f"{word['by']}: {word.get('comment', '')}" for word in workflow.status.get("approvals", [])]
        found = {
            "it stood and did not deploy before somebody approved": "deploy" not in tries,
            f"who approved is kept ({', '.join(words)})": len(words) == 1,
            "it went on to its end": workflow.values[-1:] == ["Succeeded"],
        }
    judge(screen, found)


def retry(screen: Screen, cluster: EmbeddedCluster) -> None:
    """Shows a failure whose cause is mended, and that only the failed step and what follows it run again."""
    screen.heading("A step that fails, is mended, and runs again")
    with submitted(screen, cluster, "figures", "retry.yaml") as workflow:
        await_phase(screen, workflow, "Failed")
        before = workflow.status["steps"]["publish"]
        account = f"--serviceaccount={AGENTS}:default"
        kubectl(screen, cluster, "create", "rolebinding", "publisher", "--clusterrole=edit", account, *IN_AGENTS)
        vapora(screen, cluster, "retry", "figures", *IN_AGENTS)
        await_phase(screen, workflow, "Succeeded")
        tries = workflow.counts("tries")
        found = {
            f"publish failed because of a right that was missing ({before.get('reason')})": before["state"] == "Failed",
            f"tries in all: {', '.join(f'{name} {count}' for name, count in tries.items())}": tries
            == {"collect": 1, "publish": 2, "announce": 1},
            "it went on to its end": workflow.values[-1:] == ["Succeeded"],
        }
    judge(screen, found)


def roll_back(screen: Screen, cluster: EmbeddedCluster) -> None:
    """Shows a failure after which everything that was applied is gone again."""
    screen.heading("A rollout that fails and is undone")
    with submitted(screen, cluster, "rollout", "rollback.yaml") as workflow:
        await_phase(screen, workflow, "RollingBack", "RolledBack")
        await_phase(screen, workflow, "RolledBack")
        applied = f"vapora.dev/applied-by={workflow.newest['metadata']['uid']}"
        left = kubectl(screen, cluster, "get", "deployment,configmap", "-l", applied, *IN_AGENTS, "-o", "name")
        undone = workflow.status.get("rollback", {}).get("steps", {})
        steps = workflow.status["steps"]
        found = {
            "the Deployment and the ConfigMap had been applied, and the check failed": steps["check"]["state"]
            == "Failed"
            and all(steps[name].get("state") == "Compensated" for name in ("shop", "settings")),
            f"undone in reverse order: {', '.join(sorted(undone, key=lambda name: undone[name]['startedAt']))}": (
                undone.keys() == {"shop", "settings"}
                and undone["shop"]["finishedAt"] <= undone["settings"]["startedAt"]
            ),
            "nothing that was applied is left": not left.strip(),
            f"the workflow is {workflow.status.get('phase')}": workflow.status.get("phase") == "RolledBack",
        }
    judge(screen, found)


@contextmanager
def submitted(screen: Screen, cluster: EmbeddedCluster, name: str, sample: str) -> Iterator[Watcher]:
    """Applies a sample and watches it."""
    with Watcher(cluster, AGENTS, "workflows", name, field="phase") as workflow:
        kubectl(screen, cluster, "apply", "-f", f"{SAMPLES}/{sample}", *IN_AGENTS)
        yield workflow


def await_phase(screen: Screen, workflow: Watcher, *phases: str) -> None:
    """Shows the workflow until it is in one of these phases; raises DemoFailed where it does not get there."""
    screen.follow(workflow, lambda: workflow.status.get("phase") in phases, within=90)
    if workflow.status.get("phase") not in phases:
        raise DemoFailed(f"the workflow is {workflow.status.get('phase')}, not {' or '.join(phases)}")
