"""The workflows that are disturbed, and the pool that one of them gives its task to."""

import os
import sys
from pathlib import Path
from typing import Any

from tests.integration.objects import run

Json = dict[str, Any]
POOL, SIZED, LEAF = "workers", "sized", "leaf"

# Long enough that a run has progress to write before its end.
_WORK = {"duration": "700ms"}

_SITE = "${params.site}/${workflow.name}"  # params.site is set by the stage


def _apply(name: str, **fields: object) -> Json:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "${workflow.name}-" + name}}
    return {"name": name, "apply": {"manifests": [{**config, "data": {"by": name}}]}, **fields}


def _call(name: str, **fields: object) -> Json:
    return {"name": name, "http": {"method": "POST", "url": f"{_SITE}/{name}"}, **fields}


KINDS: dict[str, Json] = {
    "step": {"steps": [run("only", ends=_WORK)]},
    "chain": {"steps": [run("a", ends=_WORK), run("b", dependsOn=["a"]), run("c", ends=_WORK, dependsOn=["b"])]},
    "agent": {
        "steps": [{"name": "ask", "agent": {"role": "worker", "title": "Look at it", "input": {"seconds": 0.7}}}]
    },
    "outside": {
        "steps": [
            _call("tell"),
            _apply("settings", dependsOn=["tell"]),
            {"name": "rest", "wait": {"for": "300ms"}, "dependsOn": ["settings"]},
        ],
        "onCompletion": [
            {
                "name": "report",
                "task": {"type": "notifications.webhook", "params": {"url": f"{_SITE}/report", "message": "done"}},
            }
        ],
    },
    "undone": {
        "onFailure": "rollback",
        "steps": [
            _apply("settings"),
            run("build", dependsOn=["settings"], compensate={"run": {"image": "busybox"}}),
            _call("book", dependsOn=["build"], compensate={"http": {"method": "POST", "url": f"{_SITE}/cancel"}}),
            run("fail", ends={"exit-code": "1"}, dependsOn=["book"], retry={"maxAttempts": 1}),
        ],
    },
    "family": {
        "steps": [
            {"name": "agree", "approval": {"message": "Go?", "timeout": "500ms", "onTimeout": "approve"}},
            {"name": "leaf", "workflow": {"templateRef": {"name": LEAF}}, "dependsOn": ["agree"]},
        ]
    },
    "sizes": {
        "steps": [
            {"name": "grow", "scale": {"pool": SIZED, "replicas": 2}},
            {"name": "shrink", "scale": {"pool": SIZED, "replicas": 0}, "dependsOn": ["grow"]},
        ]
    },
}
# The other kinds of steps take long to disturb at every write: VAPORA_CHAOS_KINDS=all has them disturbed too.
_USUAL = KINDS if os.environ.get("VAPORA_CHAOS_KINDS") == "all" else ("step", "chain", "agent")
WORKFLOWS: dict[str, Json] = {name: KINDS[name] for name in _USUAL}
SIZED_POOL: Json = {"role": "sized", "replicas": 0, "template": {"image": "worker:1"}, "scaling": {"mode": "none"}}
LEAF_TEMPLATE: Json = {"workflow": {"steps": [run("only")]}}


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
