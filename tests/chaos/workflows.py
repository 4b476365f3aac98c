"""The workflows that are disturbed, and the pool that one of them gives its task to."""

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


WORKFLOWS: dict[str, Json] = {
    "step": {"steps": [run("only", ends=_WORK)]},
    "chain": {"steps": [run("a", ends=_WORK), run("b", dependsOn=["a"]), run("c", ends=_WORK, dependsOn=["b"])]},
    "items": {
        "steps": [
            run(
                "each",
                ends={**_WORK, "exit-code": "${item}"},
                retry={"maxAttempts": 1},
                forEach={"items": ["0", "1", "0"], "maxParallel": 2, "failureTolerance": 1},
            ),
            _call("tell", forEach={"items": ["one", "two"]}, dependsOn=["each"]),
        ]
    },
    "jobs": {
        "steps": [
            run("build", ends=_WORK, run={"executor": "Job"}),
            run("train", run={"image": "pytorch/pytorch:2", "ml": "required"}, dependsOn=["build"]),
        ]
    },
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
            {"name": "sign", "approval": {"message": "Sure?"}},
            {"name": "leaf", "workflow": {"templateRef": {"name": LEAF}}, "dependsOn": ["agree", "sign"]},
        ]
    },
    "sizes": {
        "steps": [
            {"name": "grow", "scale": {"pool": SIZED, "replicas": 2}},
            {"name": "shrink", "scale": {"pool": SIZED, "replicas": 0}, "dependsOn": ["grow"]},
        ]
    },
}
# What people say of a workflow once it is there, by annotations.
WORDS = {"family": {"approval.vapora.dev/0a1b2c3d": "approve sign somebody"}}
SIZED_POOL: Json = {"role": "sized", "replicas": 0, "template": {"image": "worker:1"}, "scaling": {"mode": "none"}}
LEAF_TEMPLATE: Json = {"workflow": {"steps": [run("only")]}}


def build_pool(work_log: Path, broker: str) -> Json:
    """Make the spec of a pool of one agent of this broker, which writes down what it does."""
    return {
        "role": "worker",
        "replicas": 1,
        "template": {
            "image": "worker:1",
            # As an argument, for the cluster's agents have its broker otherwise.
            "command": ["env", f"VAPORA_NATS_URL={broker}", sys.executable, "examples/agents/worker.py"],
            "env": {"VAPORA_WORK_LOG": str(work_log)},
        },
    }
