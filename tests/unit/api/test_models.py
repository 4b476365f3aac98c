"""The models of the custom resources."""

from typing import Any

import pytest
from pydantic import ValidationError

from vapora.api.agentpool import AgentPoolSpec
from vapora.api.provider import ProviderSpec
from vapora.api.steps import BODY_KINDS, Step
from vapora.api.taskserv import TaskservSpec
from vapora.api.workflow import WorkflowSpec
from vapora.api.workflowstatus import WorkflowStatus
from vapora.api.workflowtemplate import WorkflowTemplateSpec

Json = dict[str, Any]
RUN: Json = {"image": "tool:1"}

BODIES: dict[str, Json] = {
    "run": {
        "image": "tool:${params.version}",
        "command": ["tool"],
        "args": ["--fast"],
        "env": {"PLAIN": "a", "TOKEN": "secret:keys:token"},
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "resources": {"requests": {"cpu": "500m", "memory": "${params.memory}"}, "limits": {"nvidia.com/gpu": 1}},
        "workingDir": "/work",
        "serviceAccountName": "builder",
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        "ml": "never",
        "gpuWait": "5m",
        "executor": "Job",
        "queueName": "team-a",
        "resultConfigMap": "${params.name}-result",
        "podTemplate": {"spec": {"hostNetwork": False}},
    },
    "agent": {
        "role": "developer",
        "capabilities": ["rust"],
        "taskType": "coding",
        "title": "Write it",
        "description": "Write all of it",
        "input": {"files": ["a.rs"]},
        "outputSchema": {"type": "object"},
        "maxCostCents": 50,
        "independentOf": ["design"],
    },
    "workflow": {"templateRef": {"name": "ci"}, "params": {"branch": "main"}},
    "http": {
        "method": "POST",
        "url": "https://example.com/${item}",
        "headers": {"Accept": "application/json"},
        "headersFrom": [{"name": "Authorization", "secretKeyRef": {"name": "api", "key": "token"}}],
        "body": [1, {"a": None}],
        "expect": "response.status == 201",
        "timeout": "10s",
    },
    "approval": {
        "message": "Ship it?",
        "approvers": {"users": ["ann"], "groups": ["leads"], "minimum": 2},
        "timeout": "1d",
        "onTimeout": "fail",
    },
    "wait": {"until": "object.status.ready", "object": {"apiVersion": "v1", "kind": "Pod", "name": "p"}, "every": 5},
    "apply": {"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}]},
    "scale": {"pool": "developer", "replicas": "${steps.size.outputs.n}"},
    "task": {"type": "provisioning.taskserv", "params": {"action": "create", "items": ["nats"]}},
}
STEP: Json = {
    "name": "build",
    "description": "Builds it",
    "run": RUN,
    "dependsOn": ["prepare"],
    "edges": [{"name": "lint", "type": "soft", "condition": "steps.lint.state == 'Succeeded'"}],
    "when": "params.build",
    "forEach": {"itemsFrom": "${steps.list.outputs.files}", "maxParallel": 5, "failureTolerance": "10%"},
    "timeout": "5m",
    "pendingTimeout": "${params.patience}",
    "critical": True,
    "onFailure": "rollback",
    "retry": {
        "maxAttempts": 5,
        "backoff": "linear",
        "jitter": 0.2,
        "retryOn": {"exitCodes": [1], "reasons": ["Evicted"]},
    },
    "pauseBefore": True,
    "outputs": ["digest"],
    "outputsFrom": [{"name": "size", "from": "result.size"}],
    "compensate": {"run": RUN},
    "irreversible": True,
    "atMostOnce": True,
}
WORKFLOW: Json = {
    "description": "Builds and ships",
    "type": "batch",
    "params": {"version": "1.2", "files": ["a", "b"], "nothing": None},
    "serviceAccountName": "builder",
    "steps": [STEP, {"name": "quick", "wait": {"for": "500ms"}}],
    "maxParallel": 40,
    "paused": False,
    "deadline": "1h",
    "failFast": True,
    "onFailure": "continue",
    "retry": {"maxAttempts": 3, "initialDelay": 5, "maxDelay": "300s", "infrastructureAttempts": 5},
    "rollback": {"enabled": True, "onPartialFailure": True, "preserveSuccessful": False},
    "rerunOnChange": "Never",
    "ttlAfterFinished": "168h",
    "workspace": {"size": "10Gi", "storageClass": "ssd"},
    "concurrency": {"key": "deploy", "limit": 1, "onBusy": "cancelOlder"},
    "logging": {"level": "info", "format": "json", "destinations": ["stdout", "file"], "retentionDays": 30},
    "monitoring": {"enabled": True},
    "onCompletion": [{"name": "tell", "runOn": "failure", "task": {"type": "notifications.slack"}}],
}
ACCEPTED = {
    "a workflow with every field": (WorkflowSpec, WORKFLOW),
    "a workflow from a template": (WorkflowSpec, {"templateRef": {"name": "ci"}, "params": {"branch": "main"}}),
    "a template with a schedule": (
        WorkflowTemplateSpec,
        {
            "parameters": [{"name": "branch", "type": "string", "default": "main", "enum": ["main", "next"]}],
            "workflow": WORKFLOW,
            "schedule": {
                "cron": "*/5 * * * *",
                "timeZone": "Europe/Madrid",
                "concurrency": "Forbid",
                "startingDeadline": "10m",
                "keep": {"succeeded": 3, "failed": 1},
                "suspend": False,
            },
        },
    ),
    "a pool with every field": (
        AgentPoolSpec,
        {
            "role": "developer",
            "capabilities": ["rust", "code-review"],
            "replicas": 5,
            "maxConcurrent": 2,
            "template": {"image": "agent:1", "env": {"A": "b"}, "resources": {"limits": {"memory": "4Gi"}}},
            "scaling": {
                "mode": "queue",
                "min": 1,
                "max": 20,
                "rule": "target",
                "targetPerReplica": 4,
                "interval": "5s",
                "triggers": [{"type": "nats", "params": {"stream": "X"}, "authRef": {"name": "nats"}}],
                "onUnknown": "replicas",
                "onUnknownReplicas": 2,
                "warm": 1,
                "predict": True,
            },
            "drain": {"timeout": "10m"},
            "budget": {"weeklyCents": 1000, "monthlyCents": 3000, "alertAt": 0.8, "atLimit": "cheaper"},
            "providers": [
                {
                    "name": "p",
                    "model": "m",
                    "quality": 0.9,
                    "centsPerMillionTokens": {"input": 300, "output": 1500.5},
                    "secret": {"name": "keys", "key": "p"},
                }
            ],
            "paused": False,
        },
    ),
    "a service with every field": (
        TaskservSpec,
        {
            "type": "service",
            "version": "0.1.0",
            "description": "The backend",
            "source": {"repository": "ssh://git@example.com/a.git", "branch": "main", "path": "backend/"},
            "build": {"runtime": "rust", "command": "cargo build", "binaryPath": "t/b", "dockerfile": "Dockerfile"},
            "image": "backend:${version}",
            "imagePullPolicy": "Always",
            "replicas": 3,
            "ports": {"http": 8080, "metrics": 9090},
            "environment": {"URL": "nats://nats-0:4222"},
            "secrets": {"JWT": {"name": "keys", "key": "jwt"}},
            "storage": {"size": "10Gi", "storageClass": "ssd", "mountPath": "/data"},
            "topologySpread": [{"topologyKey": "topology.kubernetes.io/zone"}],
            "disruptionBudget": {"maxUnavailable": "25%"},
            "healthCheck": {"path": "/health", "port": "http", "interval": "10s", "timeout": 5, "failureThreshold": 3},
            "dependencies": [{"name": "nats", "namespace": "infra", "condition": "Ready", "version": ">=2.1"}],
            "conflictsWith": ["docker"],
            "minimumResources": {"cpu": 2, "memory": "4096Mi", "disk": "20Gi"},
            "scaling": {"min": 3, "max": 10, "targetCpuPercent": 70, "targetMemoryPercent": 80},
            "upgrade": {
                "strategy": "canary",
                "canary": {"steps": [10, 50, 100], "every": "1m", "analysis": "metrics.errors < 0.01"},
                "autoRollback": True,
                "progressDeadline": "10m",
            },
            "exposure": "public",
            "hosts": ["example.com"],
            "gateway": {"name": "front"},
            "tls": {"secretName": "cert"},
            "revisionHistory": 10,
            "podTemplate": {"spec": {}},
            "rollbackTo": "0.0.9",
        },
    ),
    "a provider with every field": (
        ProviderSpec,
        {
            "type": "clusterapi",
            "params": {"region": "x"},
            "credentials": {"name": "cloud"},
            "limits": {"requestsPerSecond": 10, "batchSize": 5},
            "sharedResources": ["private_network"],
            "requiresNetwork": True,
            "networkBeforeServers": True,
        },
    ),
}


@pytest.mark.parametrize(("model", "spec"), ACCEPTED.values(), ids=ACCEPTED)
def test_every_field_is_read_and_written_back_as_it_was(model: Any, spec: Json) -> None:
    assert model.model_validate(spec).model_dump(by_alias=True, exclude_unset=True, mode="json") == spec


def test_abort_is_read_as_fail() -> None:
    assert WorkflowSpec.model_validate({**WORKFLOW, "onFailure": "abort"}).on_failure == "fail"


@pytest.mark.parametrize("kind", BODY_KINDS)
def test_a_step_tells_its_body(kind: str) -> None:
    step = Step.model_validate({"name": "a", kind: BODIES[kind]})
    found, body = step.body
    assert (found, step.body_kind) == (kind, kind)
    assert body is getattr(step, kind)


def build_workflow(**step: Any) -> Json:
    return {"steps": [{"name": "a", **step}]}


REFUSED: dict[str, tuple[Any, Json, str]] = {
    "an unknown field": (WorkflowSpec, build_workflow(run=RUN, retries=3), "Extra inputs"),
    "no body": (WorkflowSpec, build_workflow(), "exactly one of run, agent"),
    "two bodies": (WorkflowSpec, build_workflow(run=RUN, wait={"for": 5}), "exactly one of run, agent"),
    "neither steps nor a template": (WorkflowSpec, {}, "exactly one of steps and templateRef"),
    "steps and a template": (
        WorkflowSpec,
        {**build_workflow(run=RUN), "templateRef": {"name": "t"}},
        "exactly one of steps and templateRef",
    ),
    "a bad duration": (WorkflowSpec, build_workflow(run=RUN, timeout="5 m"), "'5 m' is no duration: allowed are"),
    "an expression in a duration of the workflow": (
        WorkflowSpec,
        {**build_workflow(run=RUN), "deadline": "${params.x}"},
        "no duration",
    ),
    "true as a number": (WorkflowSpec, {**build_workflow(run=RUN), "maxParallel": True}, "valid integer"),
    "a number as text": (WorkflowSpec, {**build_workflow(run=RUN), "maxParallel": "10"}, "valid integer"),
    "text as a truth value": (WorkflowSpec, {**build_workflow(run=RUN), "paused": "yes"}, "valid boolean"),
    "an upper-case step name": (WorkflowSpec, {"steps": [{"name": "Build", "run": RUN}]}, "match pattern"),
    "a malformed reference to a Secret": (
        WorkflowSpec,
        build_workflow(run={**RUN, "env": {"A": "secret:x"}}),
        "allowed is secret:<name>:<key>",
    ),
    "a bad quantity": (
        WorkflowSpec,
        build_workflow(run={**RUN, "resources": {"limits": {"memory": "4 GB"}}}),
        "'4 GB' is no quantity",
    ),
    "an agent step that names nobody": (WorkflowSpec, build_workflow(agent={"title": "x"}), "nobody is named"),
    "a pool and a role": (WorkflowSpec, build_workflow(agent={"pool": "p", "role": "r"}), "pool stands alone"),
    "items twice": (
        WorkflowSpec,
        build_workflow(run=RUN, forEach={"items": [1], "itemsFrom": "${params.x}"}),
        "exactly one of items and itemsFrom",
    ),
    "a wait for nothing": (WorkflowSpec, build_workflow(wait={}), "exactly one of for and until"),
    "until without an object": (WorkflowSpec, build_workflow(wait={"until": "true"}), "needs an object"),
    "a timeout that approves for others": (
        WorkflowSpec,
        build_workflow(approval={"approvers": {"users": ["a"]}, "onTimeout": "approve"}),
        "only without approvers",
    ),
    "approvers that are computed": (
        WorkflowSpec,
        build_workflow(approval={"approvers": {"users": ["${params.x}"]}}),
        "who may approve is not computed",
    ),
    "a Secret among the manifests": (
        WorkflowSpec,
        build_workflow(apply={"manifests": [{"apiVersion": "v1", "kind": "Secret"}]}),
        "a Secret is not applied",
    ),
    "two things to scale": (
        WorkflowSpec,
        build_workflow(scale={"pool": "p", "taskserv": "t", "replicas": 1}),
        "exactly one of pool and taskserv",
    ),
    "an order among completion steps": (
        WorkflowSpec,
        {**build_workflow(run=RUN), "onCompletion": [{"name": "b", "run": RUN, "dependsOn": ["a"]}]},
        "runs in list order",
    ),
    "a template of a template": (
        WorkflowTemplateSpec,
        {"workflow": {"templateRef": {"name": "t"}}},
        "holds its own steps",
    ),
    "min above max": (
        AgentPoolSpec,
        {"role": "r", "template": {"image": "i"}, "scaling": {"min": 5, "max": 2}},
        "min 5 is above max 2",
    ),
    "a pool without an image": (AgentPoolSpec, {"role": "r", "template": {}}, "Field required"),
    "two health checks": (
        TaskservSpec,
        {"image": "i", "healthCheck": {"path": "/", "tcp": True}},
        "exactly one of path, tcp, command, grpc",
    ),
}


@pytest.mark.parametrize(("model", "spec", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_meaning_is_refused_with_the_cause(model: Any, spec: Json, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(spec)
    assert message in str(caught.value)


def test_a_status_of_a_newer_operator_is_read() -> None:
    status = WorkflowStatus.model_validate({"phase": "Running", "steps": {"a": {"state": "Running", "mood": "good"}}})
    assert status.steps["a"].state == "Running"
