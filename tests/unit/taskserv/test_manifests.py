from collections.abc import Mapping

import kubernetes_validate
import pytest
from tests.unit.taskserv.services import NOW, build_observed

from vapora.core.plan import Apply, Create, Manifest
from vapora.core.taskserv.plan import plan_taskserv
from vapora.core.views import child

RICH = {
    "version": "2.0",
    "image": "backend:${version}",
    "imagePullPolicy": "Always",
    "command": ["serve"],
    "args": ["--port", "8080"],
    "ports": {"http": 8080, "metrics": 9090},
    "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": 2}},
    "environment": {"RUST_LOG": "debug", "TOKEN": "secret:vapora-secrets:token"},
    "envFrom": [{"configMapRef": {"name": "settings"}}],
    "secrets": {"JWT": {"name": "vapora-secrets", "key": "jwt"}},
    "topologySpread": [{}],
    "healthCheck": {"path": "/health", "interval": "1500ms", "timeout": "5s", "failureThreshold": 4},
    "upgrade": {"progressDeadline": "90s"},
    "revisionHistory": 3,
    "podTemplate": {"spec": {"securityContext": {"runAsUser": 1000}}},
}


def build(**fields: object) -> list[Manifest]:
    """Everything that a new service is made of, but for its revision."""
    actions = plan_taskserv(build_observed(**fields), NOW).actions
    made = [action.manifest for action in actions if isinstance(action, Apply | Create)]
    return [manifest for manifest in made if manifest["kind"] != "ControllerRevision"]


def main_of(manifest: Manifest) -> Mapping[str, object]:
    return child(manifest, "spec", "template", "spec")["containers"][0]


STATEFUL = {"type": "stateful", "storage": {"size": "50Gi", "storageClass": "rook-ceph"}}


PUBLIC = {"exposure": "public", "hosts": ["a.example"], "tls": {"secretName": "cert"}}
JOB = {"type": "job", "ports": {}, "replicas": None, "storage": None}
SCALED = {"scaling": {"min": 2, "max": 5, "targetMemoryPercent": 60}, "disruptionBudget": {"minAvailable": 1}}
MADE: dict[str, dict[str, object]] = {
    "a service": RICH,
    "a store": {**RICH, **STATEFUL},
    "a service that is made anew": {"upgrade": {"strategy": "recreate"}},
    "a service without a port": {"ports": {}},
    "a public service": {**RICH, **PUBLIC},
    "an autoscaled one that drains keep up": {**RICH, **SCALED},
    "a job": {**JOB, "command": ["install"]},
}


@pytest.mark.parametrize("fields", MADE.values(), ids=MADE.keys())
def test_everything_built_is_valid_kubernetes(fields: dict[str, object]) -> None:
    for manifest in build(**fields):
        kubernetes_validate.validate(manifest, "1.33", strict=True)


def test_the_container_gets_all_that_the_spec_says() -> None:
    deployment, _ = build(**RICH)
    assert main_of(deployment) == {
        "name": "main",
        "image": "backend:2.0",
        "imagePullPolicy": "Always",
        "command": ["serve"],
        "args": ["--port", "8080"],
        "env": [
            {"name": "JWT", "valueFrom": {"secretKeyRef": {"name": "vapora-secrets", "key": "jwt"}}},
            {"name": "RUST_LOG", "value": "debug"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "vapora-secrets", "key": "token"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": 2}},
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "readinessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "periodSeconds": 2,
            "timeoutSeconds": 5,
            "failureThreshold": 4,
        },
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "periodSeconds": 2,
            "timeoutSeconds": 5,
            "failureThreshold": 4,
        },
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def test_the_deployment_keeps_what_the_spec_says_of_upgrades() -> None:
    deployment, _ = build(**RICH)
    spec = child(deployment, "spec")
    assert spec["progressDeadlineSeconds"] == 90
    assert child(spec, "strategy")["type"] == "RollingUpdate"
    assert build(upgrade={"strategy": "recreate"})[0]["spec"]["strategy"] == {"type": "Recreate"}


def test_a_service_leads_to_the_pods_of_its_owner_only() -> None:
    deployment, service = build(**RICH)
    selector = {"vapora.dev/owner": "uid-1"}
    assert child(deployment, "spec", "selector")["matchLabels"] == {**selector, "vapora.dev/track": "blue"}
    assert child(deployment, "spec", "template", "metadata", "labels").items() >= selector.items()
    assert service["spec"] == {
        "selector": selector,
        "ports": [
            {"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP"},
            {"name": "metrics", "port": 9090, "targetPort": 9090, "protocol": "TCP"},
        ],
    }


def test_a_stateful_service_has_stable_names_and_a_volume_for_each_replica() -> None:
    stateful, service = build(**STATEFUL, ports={"client": 4222})
    assert (stateful["kind"], child(stateful, "spec")["serviceName"]) == ("StatefulSet", "backend")
    assert child(service, "spec")["clusterIP"] == "None"
    assert child(stateful, "spec")["volumeClaimTemplates"][0]["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "50Gi"}},
        "storageClassName": "rook-ceph",
    }
    assert main_of(stateful)["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]


PROBES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "an HTTP path": ({"path": "/up"}, {"httpGet": {"path": "/up", "port": 8080}}),
    "an open port": ({"tcp": True}, {"tcpSocket": {"port": 8080}}),
    "a command": ({"command": ["redis-cli", "ping"]}, {"exec": {"command": ["redis-cli", "ping"]}}),
    "the gRPC health protocol": ({"grpc": True}, {"grpc": {"port": 8080}}),
    "a port by its name": ({"tcp": True, "port": "admin"}, {"tcpSocket": {"port": 7000}}),
    "a port by its number": ({"tcp": True, "port": 1234}, {"tcpSocket": {"port": 1234}}),
}


@pytest.mark.parametrize(("check", "want"), PROBES.values(), ids=PROBES.keys())
def test_a_service_is_asked_whether_it_is_well_by(check: dict[str, object], want: dict[str, object]) -> None:
    deployment, _ = build(ports={"admin": 7000, "http": 8080}, healthCheck=check)
    probe = main_of(deployment)["readinessProbe"]
    assert {name: probe[name] for name in want} == want
    assert main_of(deployment)["livenessProbe"] == probe


def test_without_http_the_first_port_is_asked() -> None:
    deployment, _ = build(ports={"client": 4222, "monitor": 8222}, healthCheck={"tcp": True})
    assert main_of(deployment)["readinessProbe"]["tcpSocket"] == {"port": 4222}


def test_without_a_health_check_there_is_no_probe() -> None:
    assert "readinessProbe" not in main_of(build()[0])
