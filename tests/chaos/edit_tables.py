"""What the schemas do not say about the values of fields: specs to begin with, values that mean something, neighbours.

OBJECT stands for the name of the object itself, NAMESPACE for that of its namespace.
"""

from typing import Any

from tests.chaos.schema_changes import Table

Json = dict[str, Any]
PROVIDER = "provider"  # a service that is there and well, so that others may need it

_POD: Json = {
    "image": ("changed:2",),
    "envFrom[]": ({"configMapRef": {"name": "changed", "optional": True}},),
    "resources.requests{}": ({"cpu": "7m"},),
    "resources.limits{}": ({"memory": "7Gi"},),
    "podTemplate": (
        {"metadata": {"annotations": {"changed": "yes"}}, "spec": {"priority": 0, "dnsPolicy": "Default"}},
    ),
}

_POOL: Json = {"role": "worker", "template": {"image": "worker:1"}}
POOLS = Table(
    bases={
        "": {**_POOL, "replicas": 0},
        "scaling.mode": {**_POOL, "scaling": {"min": 1}},
        "scaling": {**_POOL, "scaling": {"min": 0, "max": 5, "interval": "1s", "scaleDownStabilization": "1s"}},
    },
    values=_POD,
    besides={"scaling.rule": {"targetPerReplica": 7}, "scaling.targetPerReplica": {"rule": "target"}},
)

# Without replicas, since only what is wanted is compared: pods would take the most time.
_SERVICE: Json = {"image": "service:${version}", "version": "1.0.0", "replicas": 0, "ports": {"http": 8080}}
_HEALTHY: Json = {**_SERVICE, "healthCheck": {"path": "/health"}}
SERVICES = Table(
    bases={
        "": _SERVICE,
        "healthCheck": _HEALTHY,
        "storage": {**_SERVICE, "type": "stateful", "storage": {"size": "1Gi"}},
    },
    values={
        **_POD,
        "image": ("changed:${version}",),
        "ports{}": ({"http": 8080, "changed": 9090}, {"http": 8081}, {"changed": 8080}),
        "secrets{}.name": ("changed",),
        "mountPath": ("/changed",),
        "healthCheck.path": ("/changed",),
        "healthCheck.port": ("http", 9090),
        "dependencies[].name": (PROVIDER,),
        "dependencies[].namespace": ("NAMESPACE",),
        "minAvailable": (1,),
        "maxUnavailable": (1,),
        "canary.steps[]": (7,),
        "gateway.namespace": ("changed",),
    },
    besides={
        "healthCheck.tcp": {"path": None},
        "healthCheck.grpc": {"path": None},
        "healthCheck.command[]": {"path": None},
        "whenUnsatisfiable": {"topologyKey": "kubernetes.io/hostname"},
        **{f"dependencies[].{name}": {"name": PROVIDER} for name in ("namespace", "kind", "required", "condition")},
        "scaling.min": {"max": 5},
        "scaling.max": {"min": 1},
    },
)

FIXED = frozenset({"storage.size", "storage.storageClass"})  # once a service is deployed, as its data lives there

GATE: Json = {"name": "gate", "approval": {"message": "Go?"}}
OTHER: Json = {"name": "other", "approval": {"message": "And?"}}
_CONFIG: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "changed"}}
_OBJECT: Json = {"apiVersion": "v1", "kind": "ConfigMap", "name": "former"}
_UNTIL: Json = {"wait": {"until": "true", "object": _OBJECT}}
BODIES: dict[str, Json] = {
    "run": {"run": {"image": "busybox"}},
    "agent": {"agent": {"role": "worker"}},
    "workflow": {"workflow": {"templateRef": {"name": "former"}}},
    "http": {"http": {"url": "https://former.example"}},
    "approval": {"approval": {"message": "Go on?"}},
    "wait": {"wait": {"for": "1h"}},
    "wait.until": _UNTIL,
    "wait.object": _UNTIL,
    "wait.every": _UNTIL,
    "apply": {"apply": {"manifests": [{**_CONFIG, "metadata": {"name": "former"}}]}},
    "scale": {"scale": {"pool": "former", "replicas": 1}},
    "task": {"task": {"type": "notifications.webhook", "params": {"url": "https://former.example", "message": "m"}}},
}


def _put(where: str, step: Json) -> Json:
    """Make the spec in which a field of a step is changed: that step comes first, and waits for people."""
    if where == "steps":
        return {"steps": [{"name": "step", "dependsOn": ["gate"], **step}, GATE, OTHER]}
    return {"steps": [GATE, OTHER], where: [{"name": "step", **step}]}


def _list_step_bases() -> dict[str, Json]:
    bases = {}
    for where in ("steps", "onCompletion"):
        bases[where] = _put(where, BODIES["run"])
        for field, body in BODIES.items():
            end = "" if "." in field else "."
            bases[f"{where}[].{field}{end}"] = _put(where, body)
            bases[f"{where}[].compensate.{field}{end}"] = _put(where, {**BODIES["run"], "compensate": body})
    return bases


_IN_ORDER: Json = {"steps": [GATE, {"name": "step", "dependsOn": ["gate"], **BODIES["run"]}]}
WORKFLOWS = Table(
    bases={
        **_list_step_bases(),
        "": _IN_ORDER,
        "templateRef": {"templateRef": {"name": "former"}},
        "workspace": {**_put("steps", BODIES["run"]), "workspace": {"size": "1Gi"}},
    },
    values={
        **_POD,
        "tolerations[]": ({"key": "changed", "operator": "Exists"},),
        "volumes[]": ({"name": "changed", "emptyDir": {}},),
        "volumeMounts[]": ({"name": "changed", "mountPath": "/changed"},),
        "independentOf[]": ("gate",),
        "http.url": ("https://changed.example",),
        "http.expect": ("response.status == 201",),
        "wait.until": ("false",),
        "manifests[]": (_CONFIG,),
        "scale.replicas": (7,),
        "task.params{}": ({"url": "https://former.example", "message": "changed"},),
        "dependsOn[]": ("other",),
        "edges[].name": ("other",),
        "edges[].condition": ("true",),
        "when": ("true",),
        "forEach.itemsFrom": ("${params.changed}",),
        "forEach.failureTolerance": (1,),
        "outputsFrom[].from": ("result.changed",),
        "concurrency.key": ("OBJECT",),
    },
    besides={
        "volumeMounts[]": {"volumes": [{"name": "changed", "emptyDir": {}}]},
        "agent.pool": {"role": None},
        "scale.taskserv": {"pool": None},
        "edges[].type": {"name": "other"},
        "edges[].condition": {"name": "other"},
        "forEach.maxParallel": {"items": [1, 2]},
        "forEach.failureTolerance": {"items": [1, 2]},
        "outputsFrom[].name": {"from": "result.former"},
        "concurrency.limit": {"key": "OBJECT"},
        "concurrency.onBusy": {"key": "OBJECT"},
    },
)

TEMPLATES = Table(
    bases={
        "": {"workflow": _IN_ORDER},
        "schedule": {"workflow": _IN_ORDER, "schedule": {"cron": "0 0 1 1 *"}},
    },
    values={
        "parameters[].enum[]": ("changed",),
        "parameters[].default": ("changed",),
        "schedule.cron": ("0 0 2 2 *",),
        "schedule.timeZone": ("Europe/Berlin",),
    },
    besides={f"parameters[].{name}": {"default": "changed"} for name in ("enum[]", "name", "description")},
)
