"""A model that is really trained, and a training that is found to be one, with the words by which it was."""

from __future__ import annotations

from typing import Any

from examples.demo.screen import Screen
from examples.demo.shell import judge
from examples.demo.turns import await_phase, submitted
from tests.cluster import EmbeddedCluster

IMAGES = {"vapora/agents:trainer-": "vapora agent run examples/agents/trainer.py"}


def show_evidence(screen: Screen, step: str, ml: dict[str, Any]) -> None:
    """Shows what a step was found to be, and by which words."""
    screen.note(f"The step `{step}` is {ml.get('class')}, {ml.get('confidence', 0):.0%} sure, by these words:")
    for found in ml.get("evidence", []):
        screen.note(f"  {found['weight']:4.2f}  {found['where']:<19} {found['term']}")


def train(screen: Screen, cluster: EmbeddedCluster) -> None:
    """Has an agent train a small model on this machine's CPU, and shows why the next step gets a GPU."""
    screen.heading("A model that is trained here, and one that wants a GPU")
    with submitted(screen, cluster, "training", "training.yaml") as workflow:
        await_phase(screen, workflow, "Succeeded")
        steps = workflow.status["steps"]
        outputs, task, ml = (
            steps["small"].get("outputs", {}),
            *(steps[name].get("ml", {}) for name in ("small", "large")),
        )
        accuracy, baseline = outputs.get("accuracy", 0), outputs.get("baseline", 1)
        for name, found in (("small", task), ("large", ml)):
            show_evidence(screen, name, found)
        first, last = outputs.get("loss", [0, 0])
        judge(
            screen,
            {
                f"the small model is right in {accuracy:.1%} of the rows it never saw, guessing in {baseline:.1%}": (
                    accuracy > 0.85 > baseline
                ),
                f"its loss went from {first:.2f} to {last:.2f}": last < first / 2,
                f"the agent's task says why it got none: {task.get('sentence', 'nothing')}": task.get("class")
                == "cpuOnly"
                and task.get("isMl", False),
                f"the large one's step says why it got a GPU: {ml.get('sentence', 'nothing')}": ml.get("class")
                == "gpuRequired"
                and len(ml.get("evidence", [])) >= 3,
                f"it ran as a {steps['large'].get('child', {}).get('kind')}": steps["large"]["child"]["kind"] == "Job",
            },
        )
