"""Workflows as the API server returns them."""

from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)


def build_workflow(
    steps: list[Json], status: Json, *, name: str = "release", namespace: str = "team", **spec: object
) -> Json:
    return {
        "apiVersion": "vapora.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "5a9f0a52-6f0c-4a52-9a3e-0d1b2c3d4e5f",
            "creationTimestamp": "2026-03-04T11:58:00Z",
        },
        "spec": {"steps": steps, **spec},
        "status": status,
    }


def build_step(name: str, *needs: str, **fields: object) -> Json:
    return {"name": name, "run": {"image": "tool:1"}, **({"dependsOn": list(needs)} if needs else {}), **fields}


def build_condition(kind: str, status: str, reason: str, message: str = "") -> Json:
    return {"type": kind, "status": status, "reason": reason, "message": message}


RUNNING = build_workflow(
    [
        build_step("checkout"),
        build_step("tasks", "checkout"),
        build_step("train", "checkout"),
        build_step("lint", "checkout"),
        build_step("review", "tasks"),
        build_step("docs", when="steps.lint.state == 'Succeeded'"),
        build_step("report", "tasks", "train", run={"image": "tool:1", "args": ["${steps.lint.outputs.warnings}"]}),
    ],
    {
        "phase": "Running",
        "progress": "2/7",
        "startedAt": "2026-03-04T11:58:01.250Z",
        "deadlineAt": "2026-03-04T13:00:00Z",
        "currentStep": "tasks (+3)",
        "waitingOn": "train: 0/8 nodes are available: 2 Insufficient nvidia.com/gpu.",
        "conditions": [build_condition("Succeeded", "Unknown", "Progressing")],
        "steps": {
            "checkout": {
                "state": "Succeeded",
                "tries": 1,
                "attempt": 1,
                "startedAt": "2026-03-04T11:58:01Z",
                "finishedAt": "2026-03-04T11:58:07Z",
                "child": {"kind": "Pod", "name": "release-0a1b2c3d4e"},
                "outputs": {"commit": "8f3c2d1", "files": 311},
            },
            "tasks": {
                "state": "Running",
                "startedAt": "2026-03-04T11:58:07Z",
                "items": {
                    "total": 40,
                    "succeeded": "0-24,26-36",
                    "failedIndices": "25",
                    "failed": [{"i": 25, "reason": "TaskRefused", "message": "the file is\ngenerated: nothing to fix"}],
                    "active": [
                        {"i": 37, "state": "Running", "try": 1, "assignment": {"pool": "developer"}},
                        {"i": 38, "state": "Running", "try": 1, "assignment": {"pool": "developer"}},
                        {"i": 39, "state": "Retrying", "try": 1, "reason": "TaskFailed"},
                    ],
                },
            },
            "train": {
                "state": "Running",
                "tries": 1,
                "attempt": 1,
                "startedAt": "2026-03-04T11:58:07Z",
                "message": "0/8 nodes are available: 2 Insufficient nvidia.com/gpu.",
                "child": {"kind": "Job", "name": "release-5f6a7b8c9d"},
                "ml": {
                    "isMl": True,
                    "class": "gpuRequired",
                    "evidence": [
                        {"term": "fine-tune", "where": "description", "weight": 0.9},
                        {"term": "pytorch", "where": "image", "weight": 0.8},
                        {"term": "gpu", "where": "description", "weight": 0.6, "negated": True},
                        {"term": "epochs", "where": "args", "weight": 0.3},
                    ],
                    "sentence": "Needs a GPU.",
                },
            },
            "lint": {
                "state": "Retrying",
                "tries": 3,
                "attempt": 2,
                "infrastructureAttempt": 1,
                "startedAt": "2026-03-04T11:58:08Z",
                "finishedAt": "2026-03-04T11:59:58Z",
                "nextAttemptAt": "2026-03-04T12:00:08Z",
                "reason": "ExitCode",
                "message": "exit code 2: \x1b[31mcannot read setup.cfg\x1b[0m",
                "child": {"kind": "Pod", "name": "release-1122334455"},
            },
            "review": {
                "state": "Ready",
                "reason": "NoMatchingPool",
                "message": "no pool of namespace team has the role reviewer",
            },
        },
    },
)
FAILED = build_workflow(
    [
        build_step("build"),
        build_step("a-step-with-a-rather-long-name-that-does-not-fit", "build"),
        build_step("publish", "build"),
        build_step("announce", "publish"),
    ],
    {
        "phase": "Failed",
        "progress": "4/4",
        "startedAt": "2026-03-04T10:00:00Z",
        "finishedAt": "2026-03-04T11:30:05Z",
        "conditions": [
            build_condition("Ready", "False", "Failed"),
            build_condition("Stalled", "True", "Failed"),
            build_condition("Succeeded", "False", "StepFailed", "publish: ExitCode: exit code 1"),
        ],
        "steps": {
            "build": {
                "state": "Succeeded",
                "tries": 1,
                "startedAt": "2026-03-04T10:00:00Z",
                "finishedAt": "2026-03-04T11:01:00Z",
                "child": {"kind": "Pod", "name": "release-aaaaaaaaaa"},
            },
            "a-step-with-a-rather-long-name-that-does-not-fit": {
                "state": "Skipped",
                "reason": "WhenFalse",
                "message": "params.docs == true was false: params.docs is false",
            },
            "publish": {
                "state": "Failed",
                "tries": 3,
                "startedAt": "2026-03-04T11:29:00Z",
                "finishedAt": "2026-03-04T11:30:05Z",
                "reason": "ExitCode",
                "message": "exit code 1: " + "the registry answered with status 503 and asked to come back later. " * 3,
                "child": {"kind": "Pod", "name": "release-bbbbbbbbbb"},
            },
            "announce": {"state": "Cancelled", "reason": "DependencyFailed"},
        },
    },
)
REFUSED = build_workflow(
    [build_step("a", "b"), build_step("b", "a")],
    {
        "phase": "Pending",
        "conditions": [
            build_condition("Ready", "False", "InvalidSpec", "spec.steps: a -> b -> a is a cycle"),
            build_condition("Stalled", "True", "InvalidSpec", "spec.steps: a -> b -> a is a cycle"),
            build_condition("Succeeded", "Unknown", "Pending"),
        ],
    },
)
APPROVING = build_workflow(
    [
        build_step("build"),
        {"name": "gate", "dependsOn": ["build"], "approval": {"approvers": {"groups": ["sre"], "minimum": 2}}},
        build_step("deploy", "gate"),
    ],
    {
        "phase": "WaitingApproval",
        "progress": "1/3",
        "startedAt": "2026-03-04T11:58:00Z",
        "currentStep": "gate",
        "waitingOn": "gate: waits for 1 of 2 approvals by group sre: Deploy version 1.2?",
        "conditions": [build_condition("Succeeded", "Unknown", "Running")],
        "approvals": [
            {"step": "gate", "by": "bob", "at": "2026-03-04T11:59:00Z", "decision": "approve", "comment": "looks good"}
        ],
        "steps": {
            "build": {
                "state": "Succeeded",
                "tries": 1,
                "startedAt": "2026-03-04T11:58:00Z",
                "finishedAt": "2026-03-04T11:58:30Z",
                "outputRef": "release-0a1b2c3d4e-out",
            },
            "gate": {
                "state": "WaitingApproval",
                "tries": 1,
                "startedAt": "2026-03-04T11:58:30Z",
                "reason": "WaitingForApproval",
                "message": "waits for 1 of 2 approvals by group sre: Deploy version 1.2?",
            },
        },
    },
    onCompletion=[build_step("praise", runOn="success"), build_step("tell")],
)
UNDOING = build_workflow(
    [
        build_step("settings"),
        build_step("migrate", "settings"),
        build_step("shop", "migrate"),
        build_step("check", "shop"),
    ],
    {
        "phase": "RollingBack",
        "outcome": "Failed",
        "progress": "4/4",
        "startedAt": "2026-03-04T11:58:00Z",
        "currentStep": "settings_undo",
        "conditions": [build_condition("Succeeded", "Unknown", "TimedOut", "step check failed: longer than 5 s")],
        "steps": {
            "settings": {"state": "Compensating", "tries": 1, "startedAt": "2026-03-04T11:58:00Z"},
            "migrate": {"state": "Succeeded", "tries": 1, "startedAt": "2026-03-04T11:58:01Z"},
            "shop": {"state": "Compensated", "tries": 1, "startedAt": "2026-03-04T11:58:02Z"},
            "check": {"state": "Failed", "tries": 1, "reason": "TimedOut", "message": "longer than 5 s"},
        },
        "rollback": {
            "startedAt": "2026-03-04T11:59:00Z",
            "reason": "TimedOut",
            "notUndone": ["migrate"],
            "steps": {
                "settings": {"state": "Running", "tries": 1, "startedAt": "2026-03-04T11:59:50Z"},
                "shop": {
                    "state": "Succeeded",
                    "tries": 1,
                    "startedAt": "2026-03-04T11:59:00Z",
                    "finishedAt": "2026-03-04T11:59:40Z",
                },
            },
        },
    },
    onCompletion=[build_step("praise", runOn="success"), build_step("tell")],
)
UNSEEN = build_workflow([build_step("a"), build_step("b", "a")], {})
