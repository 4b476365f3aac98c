"""Services whose containers are real, and whose probes the kubelet makes."""

import pytest
from tests.cluster.waiting import wait_until
from tests.e2e.world import OPERATOR, SYSTEM, World
from tests.integration.objects import Json

SERVE = ["python", "-m", "http.server", "8080", "--directory", "/tmp"]
WEB: Json = {
    "image": OPERATOR,
    "version": "1",
    "command": SERVE,
    "replicas": 1,
    "ports": {"http": 8080},
    "healthCheck": {"path": "/", "interval": "2s", "timeout": "5s", "failureThreshold": 3},
}
LISTEN = "--listen-client-urls=http://0.0.0.0:2379"
STORE: Json = {
    "image": "gcr.io/etcd-development/etcd:v3.6.16",
    "version": "3.6.16",
    "command": ["etcd", "--data-dir=/data/etcd", LISTEN, "--advertise-client-urls=http://127.0.0.1:2379"],
    "replicas": 1,
    "ports": {"client": 2379},
    "podTemplate": {
        "spec": {
            "securityContext": {"runAsUser": 1000, "fsGroup": 1000},
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [{"name": "main", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        }
    },
}
ASKED = {"interval": "2s", "timeout": "5s"}
PROBES: dict[str, tuple[Json, Json]] = {
    "over HTTP": (WEB, {"path": "/"}),
    "by a connection": (WEB, {"tcp": True}),
    "by a command": (
        WEB,
        {"command": ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8080))"]},
    ),
    "by gRPC": (STORE, {"grpc": True}),
}


@pytest.mark.parametrize("probe", PROBES)
def test_a_service_is_healthy_when_its_probe_says_so(here: World, probe: str) -> None:
    service, check = PROBES[probe]
    here.create("Taskserv", "web", {**service, "healthCheck": {**ASKED, **check}})
    status = here.await_status("Taskserv", "web", phase="Healthy", within=120)
    assert status["readyReplicas"] == 1


def test_a_service_whose_probe_fails_is_not_healthy(here: World) -> None:
    here.create("Taskserv", "web", {**WEB, "healthCheck": {**ASKED, "path": "/missing", "failureThreshold": 1}})
    wait_until(lambda: any("404" in message for _, message in here.warnings()), "the kubelet says why", within=90)
    assert here.status("Taskserv", "web")["phase"] != "Healthy"


def test_a_version_that_breaks_the_service_is_taken_back(here: World) -> None:
    here.create("Taskserv", "web", {**WEB, "upgrade": {"strategy": "recreate"}})
    here.await_status("Taskserv", "web", phase="Healthy", version="1", within=120)
    here.patch(
        "Taskserv", "web", {"spec": {"version": "2", "command": ["sh", "-c", "echo no such table: users; exit 3"]}}
    )
    said = here.await_said("Taskserv", "web", "RolledBack", "True ContainerCrashing: ", within=180)
    assert "exit code 3: no such table: users" in said
    here.await_status("Taskserv", "web", phase="Healthy", version="1", within=120)


def test_a_version_that_never_becomes_ready_is_taken_back(here: World) -> None:
    here.create("Taskserv", "web", {**WEB, "upgrade": {"progressDeadline": "20s"}})
    here.await_status("Taskserv", "web", phase="Healthy", version="1", within=120)
    here.patch("Taskserv", "web", {"spec": {"version": "2", "command": ["sleep", "1000"]}})
    here.await_said("Taskserv", "web", "RolledBack", "True ", within=180)
    here.await_status("Taskserv", "web", phase="Healthy", version="1", within=120)


def test_services_are_found_by_name(here: World) -> None:
    here.create("Taskserv", "web", WEB)
    here.await_status("Taskserv", "web", phase="Healthy", within=120)
    names = ["web", f"web.{here.namespace}.svc.cluster.local", f"vapora-nats.{SYSTEM}.svc"]
    script = "import socket, sys; print(*[socket.gethostbyname(name) for name in sys.argv[1:]]); "
    script += "import urllib.request as u; print(u.urlopen('http://web:8080/').status)"
    body = {"image": OPERATOR, "command": ["python", "-c", script, *names]}
    here.workflow("look", {"name": "up", "run": body})
    here.succeeded("look", within=120)
    addresses, answer = here.log("look", "up")
    web = here.get("Service", "web")["spec"]["clusterIP"]
    assert addresses.split()[:2] == [web, web]
    assert answer == "200"
