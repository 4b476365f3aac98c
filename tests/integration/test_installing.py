"""Every way of installing, each to the end of the README's quick start and out again, on a cluster of its own.

The operator's process has what the Deployment and the ServiceAccount give it: token, arguments, environment. What a
node would add to that is said in `Installed`.
"""

import base64
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cluster import postgres
from tests.cluster.access import Cluster
from tests.cluster.binaries import ensure_helm, locate_tool
from tests.cluster.embedded import EmbeddedCluster
from tests.cluster.manifests import write_kubeconfig
from tests.cluster.nats import NatsServer
from tests.cluster.process import ManagedProcess, Supervisor
from tests.cluster.waiting import wait_until
from tests.integration.engine import OperatorProcess
from tests.integration.objects import Objects, run
from tests.integration.readme import read_quick_start
from tests.unit.docs.pages import list_commands

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
ECHO = f"{sys.executable} {ROOT}/examples/agents/echo.py"
VARIABLE = re.compile(r"\$\(([A-Z_]+)\)")
SECRET = "kubectl create secret generic vapora-postgres -n vapora-system --from-literal=password="
RESTRICT = "kubectl label namespace vapora-system pod-security.kubernetes.io/enforce=restricted"
MONITOR = "helm upgrade vapora charts/vapora -n vapora-system --set prometheus.enabled=true"
# Of the pages about installing, with the reason.
NOT_TRIED = {
    f'{SECRET}"$(openssl rand -hex 24)"': "the password is that of the test's own server",
    "helm install vapora charts/vapora -n vapora-system --create-namespace -f charts/vapora/values-prod.yaml": (
        "makes the same objects as kustomize; tests/contract/test_chart.py"
    ),
    "vapora uninstall": "asks first; here it is told --yes",
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way of installing: its command, and where what it installs lives."""

    command: str
    namespace: str = "vapora-system"
    before: str = ""
    afterwards: tuple[str, ...] = ()
    removal: str = ""


WAYS = {
    "the file": Way("kubectl apply -f manifests/install.yaml"),
    "kustomize": Way("kubectl apply -k kustomize/overlays/default"),
    "kustomize for production": Way("kubectl apply -k kustomize/overlays/production"),
    "Helm": Way(
        "helm install vapora charts/vapora -n vapora-system --create-namespace",
        before="helm install vapora charts/vapora -n vapora-system --create-namespace --dry-run=server",
        afterwards=("helm test vapora -n vapora-system", RESTRICT, MONITOR),
        removal="helm uninstall vapora -n vapora-system",
    ),
    "Helm in one namespace": Way(
        "helm install vapora charts/vapora -n team-a --create-namespace --set namespaced=true",
        "team-a",
        removal="helm uninstall vapora -n team-a",
    ),
}


DRY = "vapora uninstall --dry-run"


def test_what_the_pages_about_installing_say_is_what_is_tried_here() -> None:
    told = set[str]()
    for page in (ROOT / "docs" / "installing.md", ROOT / "charts" / "vapora" / "README.md"):
        told |= {command.line for command in list_commands(page)}
        told |= set(re.findall(r"`((?:kubectl apply|helm install) [^`]+)`", page.read_text()))
    tried = {line for way in WAYS.values() for line in (way.command, *way.afterwards, way.removal)}
    assert told - tried - {DRY} == NOT_TRIED.keys()


@pytest.fixture(scope="module")
def fresh(nats: NatsServer) -> Iterator[Cluster]:
    with EmbeddedCluster(nats=nats, agent_images={"vapora/agents:echo": ECHO}) as cluster:
        for kind in ("ServiceMonitor", "PrometheusRule"):
            cluster.kubectl("apply", "-f", "-", input=json.dumps(build_definition(kind)))
        yield cluster


def build_definition(kind: str) -> Json:
    """Build a definition of the Prometheus operator's, as far as a chart that uses it needs it."""
    names = {"kind": kind, "listKind": f"{kind}List", "singular": kind.lower(), "plural": f"{kind.lower()}s"}
    group, anything = "monitoring.coreos.com", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.fixture(scope="module")
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    programs = postgres.find_postgres()
    if programs is None:
        pytest.skip("there is no PostgreSQL on this machine (make setup-system installs it)")
    with postgres.serving_postgres(programs) as url:
        env = {**os.environ, "PGPASSWORD": postgres.PASSWORD}
        subprocess.run([programs / "createdb", "-d", f"{url}/postgres", "vapora"], env=env, check=False)
        psql = [programs / "psql", "-q", f"{url}/postgres", "-c", "CREATE DATABASE vapora"]
        subprocess.run(psql, env=env, check=True)
        yield url


class Installed:
    """What a way of installing left in a cluster, and the operator that runs by it."""

    def __init__(self, cluster: Cluster, way: Way, supervisor: Supervisor) -> None:
        self._cluster = cluster
        self._way = way
        self._supervisor = supervisor
        self._kubeconfig = supervisor.folder / "kubeconfig"
        where = way.namespace if way.namespace != "vapora-system" else "default"
        write_kubeconfig(self._kubeconfig, url=cluster.url, ca=cluster.ca, token=cluster.token, namespace=where)
        self.objects = Objects(cluster, where)
        # What the cluster's DNS and the mounts would do.
        self.addresses: dict[str, str] = {}

    def call(self, line: str) -> str:
        """Run a command line as a user of the cluster would."""
        done = subprocess.run(self._argv(line), **self._options(), check=False, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return str(done.stdout)

    def launch(self, line: str) -> ManagedProcess:
        return self._supervisor.start("command", self._argv(line), env=self._options()["env"])

    def _argv(self, line: str) -> list[str]:
        program, *rest = shlex.split(line)
        match program:
            case "vapora":
                return [sys.executable, "-m", "vapora", *rest]
            case "helm":
                return [str(ensure_helm()), *rest]
            case _:
                return [str(locate_tool(program)), *rest]

    def _options(self) -> dict[str, Any]:
        kept = {name: value for name, value in self._cluster.environment().items() if not name.startswith("VAPORA_")}
        home = {
            name: str(self._supervisor.folder) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")
        }
        env = {**kept, **home, "KUBECONFIG": str(self._kubeconfig), "NO_COLOR": "1"}
        return {"cwd": ROOT, "env": env, "capture_output": True, "text": True}

    def start_operator(self) -> OperatorProcess:
        """Start what the Deployment's container would run, with the token of the account that its pods have."""
        path = f"/apis/apps/v1/namespaces/{self._way.namespace}/deployments/vapora-operator"
        pod = self._cluster.api.get(path).raise_for_status().json()["spec"]["template"]["spec"]
        container = pod["containers"][0]
        token = self._cluster.user_kubeconfig(self._way.namespace, pod["serviceAccountName"])
        env = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            **self._read_environment(pod),
            "KUBECONFIG": str(token),
            "VAPORA_HTTP_HOST": "127.0.0.1",
            "VAPORA_HTTP_PORT": "0",
        }
        process = self._supervisor.start("operator", [sys.executable, "-m", "vapora", *container["args"]], env=env)
        operator = OperatorProcess(process)
        try:
            wait_until(operator.is_ready, "the operator is ready", within=30)
        except TimeoutError as late:
            raise TimeoutError(f"{late}: {process.tail()}") from None
        return operator

    def _read_environment(self, pod: Json) -> dict[str, str]:
        container, found = pod["containers"][0], dict[str, str]()
        for row in container["env"]:
            value = VARIABLE.sub(lambda match: found[match[1]], row["value"]) if "value" in row else self._look_up(row)
            found[row["name"]] = value
        mounts = {mount["mountPath"]: self._mount(pod, mount["name"]) for mount in container["volumeMounts"]}
        places = {**self.addresses, **mounts}
        pattern = re.compile("|".join(map(re.escape, places)))
        return {name: pattern.sub(lambda match: places[match[0]], value) for name, value in found.items()}

    def _mount(self, pod: Json, name: str) -> str:
        """A folder as the node would mount it, with the files of a ConfigMap where it is one."""
        folder = self._supervisor.folder / "mounts" / name
        folder.mkdir(parents=True, exist_ok=True)
        volume = next(volume for volume in pod["volumes"] if volume["name"] == name)
        if "configMap" in volume:
            path = f"/api/v1/namespaces/{self._way.namespace}/configmaps/{volume['configMap']['name']}"
            for file, text in self._cluster.api.get(path).raise_for_status().json()["data"].items():
                (folder / file).write_text(text)
        return str(folder)

    def _look_up(self, row: Json) -> str:
        match row["valueFrom"]:
            case {"fieldRef": {"fieldPath": "metadata.namespace"}}:
                return self._way.namespace
            case {"secretKeyRef": {"name": name, "key": key}}:
                path = f"/api/v1/namespaces/{self._way.namespace}/secrets/{name}"
                return base64.b64decode(self._cluster.api.get(path).raise_for_status().json()["data"][key]).decode()
        raise AssertionError(row)

    def find_left(self) -> list[str]:
        """Return what is left of everything of ours."""
        kinds = "all,configmap,controllerrevision,role,rolebinding,networkpolicy,serviceaccount,pdb"
        kinds += ",servicemonitor,prometheusrule"
        wide = "crd,clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding"
        found = []
        for what, selector in (
            (kinds, "app.kubernetes.io/part-of=vapora"),
            (wide, "app.kubernetes.io/part-of=vapora"),
            (f"{kinds},pvc", "vapora.dev/workflow"),
            (f"{kinds},pvc", "vapora.dev/owner"),
        ):
            said = self._cluster.kubectl("get", what, "-A", "-o", "name", "-l", selector, check=False).stdout
            found += said.splitlines()
        return found


@pytest.fixture
def installed(request: pytest.FixtureRequest, fresh: Cluster, nats: NatsServer) -> Iterator[Installed]:
    way: Way = request.param
    with Supervisor("vapora-installing-") as supervisor:
        here = Installed(fresh, way, supervisor)
        here.addresses[f"nats://vapora-nats.{way.namespace}.svc:4222"] = nats.url
        if "production" in way.command:
            url = request.getfixturevalue("database")
            here.addresses[f"postgresql://vapora@vapora-postgres.{way.namespace}.svc:5432"] = url
        yield here
        fresh.kubectl("delete", "pvc", "--all", "-n", way.namespace, "--wait=false")


@pytest.mark.parametrize(("installed", "way"), [(way, way) for way in WAYS.values()], ids=WAYS, indirect=["installed"])
def test_what_is_installed_runs_the_quick_start_and_is_removed_without_a_trace(installed: Installed, way: Way) -> None:
    _, *quick_start = read_quick_start()
    for line in filter(None, (way.before, way.command)):
        installed.call(line)
    if "production" in way.command:
        installed.call(f"{SECRET}{postgres.PASSWORD}")
    operator = installed.start_operator()
    for line in [*quick_start, *way.afterwards, DRY]:
        installed.call(line.replace("vapora-system", way.namespace))
    # Storage of definitions that were made a moment ago is not ready, which Kopf tells as an error and tries again.
    errors = [line["message"] for line in operator.logs if line.get("level") in {"error", "critical"}]
    assert [error for error in errors if "will retry" not in error] == []

    installed.objects.workflow("alive", run("forever", ends={"duration": "forever"}))
    wait_until(lambda: installed.objects.step("alive", "forever").get("state") == "Running", "the workflow runs")
    uninstall = installed.launch("vapora uninstall --yes")
    deployments = installed.objects.cluster.api
    path = f"/apis/apps/v1/namespaces/{way.namespace}/deployments/vapora-operator"
    wait_until(lambda: deployments.get(path).status_code == 404, "the Deployment is gone")
    assert operator.process.stop(10) == 0  # as the node does
    wait_until(lambda: not uninstall.is_running, "everything is removed", within=60)
    assert uninstall.exit_code == 0, uninstall.tail()
    wait_until(lambda: installed.find_left() == [], "nothing of ours is left")
    if way.removal:
        installed.call(way.removal)
