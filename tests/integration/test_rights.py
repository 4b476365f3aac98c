"""The operator's roles allow exactly the calls that it makes."""

import sys
import time

import pytest
import yaml
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import wait_until
from tests.contract.rbac import Call, missing, read_calls, unused_rules
from tests.integration.engine import ROOT, install_definitions, operators
from tests.integration.objects import Objects, run

ACCOUNT = "system:serviceaccount:vapora-system:vapora-operator"
SERVICE = {"image": "nginx:1", "replicas": 1, "ports": {"http": 8080}}
TENANT = ROOT / "kustomize" / "components" / "tenant" / "role-binding.yaml"
GATEWAY = ROOT / "tests" / "cluster" / "crds"
PUBLIC = {"exposure": "public", "hosts": ["a.example"], "disruptionBudget": {"maxUnavailable": 1}}
SCALED = {"resources": {"requests": {"cpu": "10m"}}, "scaling": {"max": 2}, "minimumResources": {"cpu": "10m"}}
NEEDS = [{"name": "web", "kind": "Service", "required": False}]
STORAGE = {"size": "1Gi", "mountPath": "/data"}


def read_rules(name: str) -> list[dict]:
    documents = yaml.safe_load_all((ROOT / "kustomize" / "base" / "operator" / f"{name}.yaml").read_text())
    return [rule for document in documents for rule in document.get("rules", [])]


# Asked for only when a status write meets a change that was not seen yet, which no test can bring about at will.
AFTER_A_CONFLICT = {"get agentpools", "get providers", "get taskservs", "get workflowtemplates"}


# Asked for by the admission policies; and what makes the runs of steps and schedules.
FOR_POLICIES = {"create workflows/authorship", "create workflows"}


@pytest.fixture(scope="module")
def calls(cluster: Cluster, nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> set[Call]:
    """What the operator called while it did everything that it does."""
    install_definitions(cluster)
    cluster.kubectl("apply", "-f", str(GATEWAY))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(GATEWAY))
    mark = cluster.audit_position()
    cluster.create_namespace("rights")
    objects = Objects(cluster, "rights")
    leave_attempts(objects)
    flags = ("--nats-url", nats.url, "--graph-url", f"sqlite://{tmp_path_factory.mktemp('graph')}/graph.db")
    with operators(cluster, "rights") as fleet:
        first = fleet.start("first", *flags)
        build(objects)
        rebuild(objects)
        work(objects)
        schedule(objects)
        keep(objects)
        assert first.process.stop(10) == 0
        objects.patch("Workflow", "pinned", {"spec": {"steps": [run("other")]}})
        second = fleet.start("second", *flags)
        take_down(objects)
        expire(objects)
        assert second.process.stop(10) == 0
    found = set(read_calls(cluster.audit_events(mark), ACCOUNT))
    cluster.api.delete("/api/v1/namespaces/rights").raise_for_status()
    return found


def leave_attempts(objects: Objects) -> None:
    """Make attempts as an operator of long ago left them: recorded ones, and ones whose workflow is gone."""
    uid = "11111111-2222-3333-4444-555555555555"
    spec = {"containers": [{"name": "main", "image": "busybox"}], "restartPolicy": "Never"}
    recorded = {"recorded": "true", "outcome": "succeeded", "finished": str(int(time.time()) // 60 - 90)}
    owner = {"apiVersion": "vapora.dev/v1alpha1", "kind": "Workflow", "name": "gone", "uid": uid, "controller": True}
    held = {"finalizers": ["vapora.dev/attempt"], "ownerReferences": [owner]}
    for name, labels, more in (("old", recorded, {}), ("orphan", {}, held)):
        all_labels = {f"vapora.dev/{label}": value for label, value in {"workflow": uid, **labels}.items()}
        body = {"metadata": {"name": name, "labels": all_labels, **more}}
        for kind, its_spec in (("Pod", spec), ("Job", {"suspend": True, "template": {"spec": spec}})):
            objects.cluster.api.post(objects.path(kind), json={**body, "spec": its_spec}).raise_for_status()


def build(objects: Objects) -> None:
    """Make a pool, a service, a store, and a service that becomes a store and a service again."""
    worker = {"image": "worker:1", "command": [sys.executable, "examples/agents/echo.py"]}
    objects.create("AgentPool", "workers", {"role": "worker", "replicas": 1, "template": worker})
    objects.create("Taskserv", "web", SERVICE)
    objects.create("Taskserv", "store", {**SERVICE, "type": "stateful", "storage": STORAGE})
    objects.kubectl("apply", "-f", str(TENANT))
    objects.create("Provider", "default", {"type": "local"})
    objects.create("Taskserv", "shift", {"image": "nginx:1", "replicas": 1})
    for kind, name in (("AgentPool", "workers"), ("Taskserv", "web"), ("Taskserv", "store"), ("Taskserv", "shift")):
        objects.await_said(kind, name, "Ready", "True")
    for type_, gone in (("stateful", "Deployment"), ("service", "StatefulSet")):
        objects.patch("Taskserv", "shift", {"spec": {"type": type_}})
        await_gone(objects, gone, "shift")


def rebuild(objects: Objects) -> None:
    """Make a service with everything that one may have, and take all of it away, with revisions that are not kept."""
    settings = {"env": "info"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": settings}
    objects.cluster.api.post(objects.path("ConfigMap"), json=body).raise_for_status()
    spec = {**SERVICE, **PUBLIC, **SCALED, "dependencies": NEEDS, "envFrom": [{"configMapRef": {"name": "settings"}}]}
    objects.create("Taskserv", "rich", {**spec, "gateway": {"name": "edge"}, "revisionHistory": 1})
    objects.await_said("Taskserv", "rich", "Ready", "True")
    objects.patch("Taskserv", "rich", {"spec": {"gateway": None, "image": "nginx:2"}})
    objects.await_status("Taskserv", "rich", lastGoodRevision="2")
    await_gone(objects, "HTTPRoute", "rich")
    plain = dict.fromkeys((*PUBLIC, "scaling", "minimumResources"))
    objects.patch("Taskserv", "rich", {"spec": {**plain, "exposure": "private", "image": "nginx:3"}})
    for kind in ("Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
        await_gone(objects, kind, "rich")


def await_gone(objects: Objects, kind: str, name: str) -> None:
    wait_until(lambda: objects.find(kind, name) is None, f"{kind} {name} is gone", within=40)


def work(objects: Objects) -> None:
    """Run every kind of step, to its end and against its will."""
    agent = {"name": "ask", "agent": {"pool": "workers", "title": "echo"}}
    late = run("late", ends={"duration": "forever"}, timeout="2s", retry={"maxAttempts": 1}, onFailure="continue")
    objects.workflow("all", agent, late, run("job", run={"executor": "Job"}))
    assert objects.finished("all")["status"]["phase"] == "Succeeded"
    queue(objects)
    objects.workflow("silent", run("train", outputs=["accuracy"]))
    wait_until(lambda: objects.step("silent", "train").get("reason"), "the log of the silent Pod was asked for")
    objects.delete("Workflow", "silent")
    forever = run("slow", ends={"duration": "forever"})
    objects.workflow("cancelled", run("job", run={"executor": "Job", **forever["run"]}))
    wait_until(lambda: objects.step("cancelled", "job").get("state") == "Running", "the Job runs")
    objects.patch("Workflow", "cancelled", {"metadata": {"annotations": {"vapora.dev/request": "cancel 1"}}})
    objects.finished("cancelled")
    objects.workflow("brief", run("a"), ttlAfterFinished="1s")
    objects.patch("Workflow", "brief", {"metadata": {"labels": {"vapora.dev/created-by": "cli"}}})
    await_gone(objects, "Workflow", "brief")
    objects.workflow("pinned", forever)
    wait_until(lambda: objects.status("Workflow", "pinned").get("revision"), "it is pinned")


def queue(objects: Objects) -> None:
    """Have a Job wait in a queue of Kueue's that nobody serves, until it was asked why it has no Pod."""
    mark = objects.cluster.audit_position()
    objects.workflow("queued", run("train", run={"queueName": "none", "executor": "Job"}))

    def has_asked() -> bool:
        calls = read_calls(objects.cluster.audit_events(mark), ACCOUNT)
        return any((call.verb, call.resource) == ("list", "events") for call in calls)

    wait_until(has_asked, "the Job's Events were read", within=30)
    objects.delete("Workflow", "queued")


def keep(objects: Objects) -> None:
    """Run steps in a workspace, with an output for which the status has no room, in a run that then goes on."""
    words = '{"words": "' + "x" * 3000 + '"}'
    big = [{"name": "big", "from": "[result.words, result.words]"}]
    slow = run("slow", ends={"duration": "forever"}, dependsOn=["give"])
    spec = {"workspace": {"size": "1Gi"}, "ttlAfterFinished": "1s"}
    objects.workflow("keeps", run("give", ends={"message": words}, outputsFrom=big), slow, **spec)
    wait_until(lambda: objects.step("keeps", "give").get("outputRef"), "its output stands apart")


def expire(objects: Objects) -> None:
    """End the run that the operator before this one has left, and wait until it has expired."""
    objects.patch("Workflow", "keeps", {"metadata": {"annotations": {"vapora.dev/request": "cancel 1"}}})
    objects.finished("keeps")
    wait_until(lambda: objects.status("Workflow", "keeps").get("shrunkAt"), "it has expired")


def schedule(objects: Objects) -> None:
    """Have a template run that is overdue, twice, so that the second run takes the place of the first."""
    spec = {"workflow": {"steps": [run("s")]}, "schedule": {"cron": "0 0 1 1 *", "concurrency": "Replace"}}
    objects.create("WorkflowTemplate", "often", spec)
    for generation, month in ((1, 1), (2, 2)):
        objects.patch("WorkflowTemplate", "often", {"spec": {"schedule": {"cron": f"0 0 1 {month} *"}}})
        objects.await_status("WorkflowTemplate", "often", observedGeneration=generation)
        overdue = f"2026-{month:02}-01T00:00:00Z"
        objects.patch("WorkflowTemplate", "often", {"status": {"nextScheduledAt": overdue}}, "status")
        objects.await_status("WorkflowTemplate", "often", lastScheduledAt=overdue)


def take_down(objects: Objects) -> None:
    """Delete a pool, so that its queue goes, and wait for what was left to be collected and let go."""
    wait_until(lambda: objects.condition("Workflow", "pinned", "SpecOutdated"), "the run keeps its spec")
    objects.delete("AgentPool", "workers")
    await_gone(objects, "AgentPool", "workers")
    for kind in ("Pod", "Job"):
        for name in ("old", "orphan"):
            await_gone(objects, kind, name)


def test_no_call_was_made_that_the_roles_do_not_allow(calls: set[Call]) -> None:
    rules = [rule for name in ("cluster-role", "lease-role", "tenant-role") for rule in read_rules(name)]
    assert missing(rules, calls) == []


def test_nothing_is_allowed_that_was_not_called(calls: set[Call]) -> None:
    unused = unused_rules([*read_rules("cluster-role"), *read_rules("lease-role")], calls)
    told = {f"{grant.verb} {grant.resource}/{grant.subresource}".rstrip("/") for grant in unused}
    assert told - AFTER_A_CONFLICT - FOR_POLICIES == set()
