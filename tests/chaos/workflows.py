"""The workflows that are disturbed, and the pool that one of them gives its task to."""

import sys
from pathlib import Path
from typing import Any

from tests.integration.objects import run

Json = dict[str, Any]
POOL = "workers"

# Long enough that a run has progress to write before its end.
_WORK = {"duration": "700ms"}

WORKFLOWS: dict[str, list[Json]] = {
    "step": [run("only", ends=_WORK)],
    "chain": [run("a", ends=_WORK), run("b", dependsOn=["a"]), run("c", ends=_WORK, dependsOn=["b"])],
    "agent": [{"name": "ask", "agent": {"role": "worker", "title": "Look at it", "input": {"seconds": 0.7}}}],
}


def build_pool(work_log: Path) -> Json:
    """Make the spec of a pool of one agent, which writes down what it does."""
    return {
        "role": "worker",
        "replicas": 1,
        "template": {
            "image": "worker:1",
            "command": [sys.executable, "examples/agents/worker.py"],
            "env": {"VAPORA_WORK_LOG": str(work_log)},
        },
    }
