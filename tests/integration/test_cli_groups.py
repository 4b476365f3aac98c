"""The command line's groups on a real API server, without an operator: what it would have said is written by hand."""

import json
import os
import shlex
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.access import Cluster
from tests.cluster.binaries import locate_tool
from tests.cluster.waiting import wait_until
from tests.fakes.kubelet import Kubelet, kubelet_of
from tests.integration.command_line import DONE, FAILED, NOT_FOUND, REFUSED, TIMEOUT, CommandHere, CommandLine
from tests.integration.engine import ROOT, install_definitions
from tests.integration.objects import Objects, build_workflow, run

Json = dict[str, Any]
HEALTHY = {"type": "Ready", "status": "True", "reason": "AllHealthy"}
AGENT = {"role": "developer", "template": {"image": "agent:1"}}


@pytest.fixture
def cli(cluster: Cluster, namespace: str) -> CommandLine:
    install_definitions(cluster)
    return CommandHere(cluster, namespace)


@pytest.fixture
def objects(cli: CommandLine) -> Objects:
    return Objects(cli.cluster, cli.namespace)


@pytest.fixture
def viewer(cli: CommandLine) -> CommandLine:
    """Somebody with the rights of the aggregated role view, as the roles that we ship make it."""
    cluster, where = cli.cluster, ("-n", cli.namespace)
    cluster.kubectl("apply", "-f", str(ROOT / "kustomize" / "base" / "user-roles.yaml"))
    cluster.kubectl("create", "serviceaccount", "viewer", *where)
    who = f"--serviceaccount={cli.namespace}:viewer"
    cluster.kubectl("create", "rolebinding", "viewer", "--clusterrole=view", who, *where)
    theirs = CommandHere(cluster, cli.namespace, cluster.user_kubeconfig(cli.namespace, "viewer"))
    wait_until(lambda: theirs.call("workflow", "list").code == DONE, "the role is aggregated and in force")
    return theirs


def say(objects: Objects, kind: str, name: str, **status: object) -> None:
    objects.patch(kind, name, {"status": status}, subresource="status")


def build_service(objects: Objects, name: str = "shop", **spec: object) -> None:
    objects.create("Taskserv", name, {"image": "shop:${version}", "version": "1.0", "replicas": 1, **spec})
    kept = [{"revision": "2", "version": "1.0"}, {"revision": "1", "version": "0.9"}]
    known = {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "version": "1.0", "revisions": kept}
    say(objects, "Taskserv", name, phase="Healthy", conditions=[condition(**HEALTHY)], **known)


def condition(**fields: str) -> Json:
    return {"lastTransitionTime": "2026-01-01T00:00:00Z", "message": "", **fields}


def test_a_plan_tries_every_step_and_changes_nothing(cli: CommandLine, objects: Objects) -> None:
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
    cli.cluster.kubectl(
        "apply", "--server-side", "--field-manager=vapora-11111111", "-n", cli.namespace, "-f", "-",
        input=json.dumps(settings),
    )  # fmt: skip
    objects.create("AgentPool", "amber", AGENT)
    say(objects, "AgentPool", "amber", readyReplicas=2, queued=0, inFlight=0, conditions=[condition(**HEALTHY)])
    objects.workflow("former", run("build"))
    took = {"state": "Succeeded", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:30Z"}
    say(objects, "Workflow", "former", steps={"build": took})
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": "1"}},
    }
    cli.cluster.kubectl("create", "-n", cli.namespace, "-f", "-", input=json.dumps(quota))
    wait_until(lambda: objects.get("ResourceQuota", "small").get("status"), "the quota is reckoned")
    wanted = build_workflow(
        run("build"),
        run("other"),
        {"name": "write", "dependsOn": ["build"], "apply": {"manifests": [{**settings, "data": {"a": "2"}}]}},
        {"name": "review", "dependsOn": ["build"], "agent": {"role": "developer", "title": "review"}},
        {"name": "ship", "dependsOn": ["review"], "apply": {"manifests": [{"apiVersion": "x.dev/v1", "kind": "No"}]}},
    )
    said = cli.call("workflow", "plan", "-", "-o", "json", source=wanted)
    assert said.code == REFUSED, said.err
    plan = json.loads(said.out)
    steps = {step["name"]: step for step in plan["steps"]}
    assert {name: step["effect"] for name, step in steps.items()} == {
        "build": "create",
        "other": "create",
        "write": "refused",  # another manager owns the field
        "review": "ask",
        "ship": "refused",
    }
    assert (steps["review"]["pool"], steps["build"]["seconds"]) == ("amber", 90)
    assert "no kind No" in steps["ship"]["message"]
    assert plan["criticalPath"] == ["build", "review", "ship"]
    assert (plan["quota"]["verdict"], "2 are wanted at once" in plan["quota"]["message"]) == ("waits", True)
    assert cli.call("workflow", "get", "sample").code == NOT_FOUND
    assert not objects.pods()


def test_a_plan_shows_what_would_change_in_objects(cli: CommandLine) -> None:
    new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"a": "1"}}
    wanted = build_workflow({"name": "write", "apply": {"manifests": [new]}})
    said = cli.call("workflow", "plan", "-", source=wanted)
    assert said.code == DONE, said.err
    assert "+  a: '1'" in said.out
    assert cli.cluster.kubectl("get", "configmap", "new", "-n", cli.namespace, check=False).returncode == 1


def test_a_viewer_reads_everything_and_changes_nothing(viewer: CommandLine, objects: Objects) -> None:
    build_service(objects)
    objects.create("AgentPool", "amber", AGENT)
    objects.workflow("one", run("a"))
    reading = (
        "workflow list",
        "workflow get one --tree",
        "workflow explain one",
        "workflow graph one",
        "workflow logs one",
        "batch status @latest",
        "agents top",
        "agents get",
        "agents rank x",
        "agents expertise",
        "agents history amber",
        "taskserv list -o wide",
        "taskserv get shop -o yaml",
        "taskserv health",
        "cluster health-check --services all",
        "logs tail shop",
        "budget",
    )
    said = {words: viewer.call(*shlex.split(words)) for words in reading}
    assert {words: answer.err for words, answer in said.items() if answer.code != DONE} == {}
    plan = viewer.call("workflow", "plan", "-", source=build_workflow(run("a")))
    assert (plan.code, "cannot create" in plan.err) == (REFUSED, True)
    changing = (
        "workflow pause one",
        "agents scale amber --replicas 2",
        "agents drain amber",
        "taskserv upgrade shop --version 2",
        "taskserv rollback shop",
    )
    refused = {words: viewer.call(*shlex.split(words)) for words in changing}
    assert {words: answer.code for words, answer in refused.items()} == dict.fromkeys(changing, REFUSED)
    assert all("forbidden" in answer.err for answer in refused.values())


def test_an_explanation_has_what_the_cluster_says_of_the_pod(cli: CommandLine, objects: Objects) -> None:
    objects.workflow("held", run("a"), run("b", dependsOn=["a"]))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held-1"}}
    spec = {"containers": [{"name": "main", "image": "x"}], "nodeSelector": {"no": "such"}}
    cli.cluster.kubectl("create", "-n", cli.namespace, "-f", "-", input=json.dumps({**pod, "spec": spec}))
    wait_until(lambda: "nodes are available" in json.dumps(objects.get("Pod", "held-1")), "the scheduler has spoken")
    row = {"state": "Running", "tries": 1, "message": "waits", "child": {"kind": "Pod", "name": "held-1"}}
    say(objects, "Workflow", "held", phase="Running", steps={"a": row})
    told = json.loads(cli.call("workflow", "explain", "held", "a", "-o", "json").out)
    assert any(word.startswith("scheduler: 0/") for word in told[0]["evidence"]), told
    missing = cli.call("workflow", "explain", "held", "nobody")
    assert (missing.code, missing.err) == (REFUSED, "vapora: there is no step 'nobody'\n")


def test_a_service_is_sized_upgraded_and_taken_back(cli: CommandLine, objects: Objects) -> None:
    build_service(objects)
    listed = cli.call("taskserv", "list", "-o", "name")
    assert listed.out == "taskserv.vapora.dev/shop\n"
    dry = cli.call("taskserv", "scale", "shop", "--replicas", "3", "--dry-run")
    assert dry.out == "taskserv.vapora.dev/shop would get replicas 3 (dry run)\n"
    assert objects.get("Taskserv", "shop")["spec"]["replicas"] == 1
    assert cli.call("taskserv", "scale", "shop", "--replicas", "3").code == DONE
    assert objects.get("Taskserv", "shop")["spec"]["replicas"] == 3

    watching = cli.begin("taskserv", "upgrade", "shop", "--version", "1.1", "--watch")
    wait_until(lambda: objects.get("Taskserv", "shop")["spec"]["version"] == "1.1", "it is asked for")
    generation = objects.get("Taskserv", "shop")["metadata"]["generation"]
    say(objects, "Taskserv", "shop", observedGeneration=generation, replicas=3, readyReplicas=3, version="1.1")
    out, err = watching.communicate(timeout=30)
    assert (watching.returncode, "Healthy  1.1  3/3" in out) == (DONE, True), out + err

    unknown = cli.call("taskserv", "rollback", "shop", "--to-version", "7")
    assert (unknown.code, "kept are 1.0 (revision 2), 0.9 (revision 1)" in unknown.err) == (REFUSED, True)
    assert cli.call("taskserv", "rollback", "shop", "--to-version", "0.9").code == DONE
    asked = objects.get("Taskserv", "shop")["metadata"]["annotations"]["vapora.dev/request"]
    assert asked.startswith("rollback/0.9 ")
    late = cli.call("taskserv", "rollback", "shop", "--watch", "--timeout", "1")
    assert late.code == TIMEOUT


def test_a_service_that_is_not_healthy_is_1_with_its_cause(cli: CommandLine, objects: Objects) -> None:
    assert cli.call("cluster", "health-check", "--services", "all").code == NOT_FOUND
    build_service(objects)
    assert cli.call("taskserv", "health", "shop").code == DONE
    build_service(objects, "store")
    say(objects, "Taskserv", "store", phase="Degraded", message="ImageFailing: no such image", readyReplicas=0)
    said = cli.call("cluster", "health-check", "--services", "shop,store")
    assert (said.code, said.words[2]) == (
        FAILED,
        ["store", "Degraded", "1.0", "0/1", "ImageFailing:", "no", "such", "image"],
    )
    assert cli.call("taskserv", "health", "nobody").code == NOT_FOUND


def test_a_change_without_effect_is_refused(cli: CommandLine, objects: Objects) -> None:
    resources = {"requests": {"cpu": "10m"}}
    objects.create("Taskserv", "auto", {"image": "x:1", "scaling": {"max": 3}, "resources": resources})
    objects.create("AgentPool", "queued", {**AGENT, "scaling": {"max": 3}})
    for words in (
        "taskserv scale auto --replicas 2",
        "taskserv upgrade auto --version 2",
        "agents scale queued --replicas 2",
    ):
        assert cli.call(*shlex.split(words)).code == REFUSED, words
    assert cli.call("taskserv", "upgrade", "auto").code == 2


def test_a_pool_is_sized_and_drained(cli: CommandLine, objects: Objects) -> None:
    objects.create("AgentPool", "amber", {**AGENT, "replicas": 1})
    assert cli.call("agents", "scale", "amber", "--replicas", "4", "--dry-run").code == DONE
    assert objects.get("AgentPool", "amber")["spec"]["replicas"] == 1
    assert cli.call("agents", "scale", "amber", "--replicas", "4").code == DONE
    assert objects.get("AgentPool", "amber")["spec"]["replicas"] == 4

    watching = cli.begin("agents", "drain", "amber", "--watch")
    wait_until(lambda: objects.get("AgentPool", "amber")["spec"].get("paused"), "it is paused")
    generation = objects.get("AgentPool", "amber")["metadata"]["generation"]
    paused = condition(type="Paused", status="True", reason="Paused")
    empty = {"queued": 0, "inFlight": 0, "busy": 0, "conditions": [paused]}
    say(objects, "AgentPool", "amber", observedGeneration=generation, **empty)
    out, err = watching.communicate(timeout=30)
    assert (watching.returncode, out.splitlines()[-1]) == (DONE, "agentpool.vapora.dev/amber has no task left"), err
    assert cli.call("agents", "drain", "amber", "--release").out == "agentpool.vapora.dev/amber released\n"
    assert not objects.get("AgentPool", "amber")["spec"]["paused"]
    [row] = json.loads(cli.call("agents", "top", "-o", "json").out)
    assert (row["pool"], row["queued"], row["busy"]) == ("amber", 0, 0)


def test_a_cluster_is_made_by_a_workflow_with_its_definition(cli: CommandLine, objects: Objects) -> None:
    config = ROOT / "examples" / "vapora-wrksp" / "kcl" / "cluster.k"
    dry = cli.call("cluster", "create", "--config", str(config), "--dry-run")
    assert (dry.code, "would be created (dry run)" in dry.out) == (DONE, True), dry.err
    assert not objects.all("Workflow")
    assert cli.call("cluster", "create", "--config", str(config)).code == DONE
    [made] = objects.all("Workflow")
    params = made["spec"]["steps"][0]["task"]["params"]
    definition = objects.get("ConfigMap", params["config"]["configMap"])["data"]
    assert (params["action"], params["config"]["key"] in definition) == ("create", True)


def test_the_dashboards_are_found_or_it_is_said_how_to_reach_them(cli: CommandLine) -> None:
    missing = cli.call("dashboard", "open", "--print")
    looked_for = f"there is no Service with the label app.kubernetes.io/name=grafana in namespace {cli.namespace}"
    assert (missing.code, looked_for in missing.err) == (NOT_FOUND, True)
    meta = {"name": "grafana", "labels": {"app.kubernetes.io/name": "grafana"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 80}]}}
    create = ("create", "-n", cli.namespace, "-f", "-")
    cli.cluster.kubectl(*create, input=json.dumps(service))
    hidden = cli.call("dashboard", "open", "--print")
    assert (hidden.code, f"kubectl -n {cli.namespace} port-forward" in hidden.err) == (REFUSED, True)
    backend = {"service": {"name": "grafana", "port": {"number": 80}}}
    rules = [{"host": "g.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "grafana"}}
    cli.cluster.kubectl(*create, input=json.dumps({**ingress, "spec": {"rules": rules}}))
    assert cli.call("dashboard", "open", "--print").out == "http://g.example/dashboards?tag=vapora\n"


def test_it_is_a_plug_in_of_kubectl(cli: CommandLine, objects: Objects, tmp_path: Path) -> None:
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["kubectl-vapora"]
    module, _, name = entry.partition(":")
    script = tmp_path / "kubectl-vapora"  # as pip writes it
    script.write_text(f"#!{sys.executable}\nfrom {module} import {name}\n{name}()\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    objects.workflow("one", run("a"))
    environment = {**cli.environment, "PATH": f"{tmp_path}{os.pathsep}{cli.environment['PATH']}"}
    command = [str(locate_tool("kubectl")), "vapora", "workflow", "list", "-n", cli.namespace, "-o", "name"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (DONE, "workflow.vapora.dev/one\n"), done.stderr


def test_no_colour_is_printed_where_none_is_wanted(cli: CommandLine, objects: Objects) -> None:
    objects.workflow("one", run("a"))
    say(objects, "Workflow", "one", phase="Running")
    forced = cli.call("workflow", "get", "one", "--tree", FORCE_COLOR="1")
    plain = cli.call("workflow", "get", "one", "--tree", FORCE_COLOR="1", NO_COLOR="1")
    assert ("\x1b[3" in forced.out, "\x1b[3" in plain.out) == (True, False)


@pytest.fixture(scope="module")
def kubelet(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    with kubelet_of(cluster, tmp_path_factory.mktemp("kubelet")) as started:
        yield started


def start_pod(objects: Objects, name: str, labels: Json, *, duration: str = "forever") -> None:
    meta = {"name": name, "labels": labels, "annotations": {"sim.vapora.dev/duration": duration}}
    spec = {"containers": [{"name": "main", "image": "x"}], "restartPolicy": "Never"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    objects.cluster.kubectl("create", "-n", objects.namespace, "-f", "-", input=json.dumps(pod))
    wait_until(lambda: objects.get("Pod", name)["status"]["phase"] != "Pending", f"{name} runs")


def test_the_logs_of_all_steps_are_followed_to_the_end(cli: CommandLine, objects: Objects, kubelet: Kubelet) -> None:
    uid = objects.workflow("talk", run("a"), run("b"))["metadata"]["uid"]
    say(objects, "Workflow", "talk", phase="Running")
    kubelet.lines |= {"talk-a": ["one", "END"], "talk-b": ["\x1b[31mred\x1b[0m"]}
    start_pod(
        objects, "talk-a", {"vapora.dev/workflow": uid, "vapora.dev/step": "a", "vapora.dev/try": "1"}, duration="0s"
    )
    following = cli.begin("workflow", "logs", "talk", "-f")
    start_pod(objects, "talk-b", {"vapora.dev/workflow": uid, "vapora.dev/step": "b", "vapora.dev/try": "2"})
    assert following.stdout is not None
    heard = {following.stdout.readline().strip() for _ in range(2)}
    assert heard == {"a one", "b try 2 red"}
    kubelet.lines["talk-b"].append("late")
    assert following.stdout.readline().strip() == "b try 2 late"
    say(objects, "Workflow", "talk", phase="Succeeded")
    rest, err = following.communicate(timeout=30)
    assert (following.returncode, rest, err) == (DONE, "", "")
    only = cli.call("workflow", "logs", "talk", "--step", "b", "--tail", "1")
    assert only.out == "b try 2 late\n"


def test_the_logs_of_agents_say_what_they_did_for_the_workflow(
    cli: CommandLine, objects: Objects, kubelet: Kubelet
) -> None:
    asked = {"name": "review", "agent": {"pool": "developer", "title": "review"}}
    uid = objects.workflow("asked", asked)["metadata"]["uid"]
    say(objects, "Workflow", "asked", phase="Running")
    kubelet.lines["developer-0"] = [
        json.dumps({"message": said, "task": task})
        for said, task in (("one", f"{uid}/review/0/1"), ("two", f"{uid}/review/0/1"), ("other", "v/review/0/1"))
    ]
    start_pod(objects, "developer-0", {"vapora.dev/pool": "developer"})
    heard = cli.call("workflow", "logs", "asked")
    assert (heard.out, heard.err) == ("review developer-0 one\nreview developer-0 two\n", "")
    assert cli.call("workflow", "logs", "asked", "--tail", "1").out == "review developer-0 two\n"
    nothing = cli.call("workflow", "logs", "asked", "--step", "fix")
    assert (nothing.code, nothing.out, "no agent has said anything" in nothing.err) == (DONE, "", True)
    following = cli.begin("workflow", "logs", "asked", "-f", "--tail", "1")
    assert following.stdout is not None
    assert following.stdout.readline() == "review developer-0 two\n"
    kubelet.lines["developer-0"].append(json.dumps({"message": "late", "task": f"{uid}/review/0/2"}))
    assert following.stdout.readline() == "review developer-0 late\n"
    say(objects, "Workflow", "asked", phase="Succeeded")
    rest, err = following.communicate(timeout=30)
    assert (following.returncode, rest, err) == (DONE, "", "")


def test_the_last_lines_of_a_service_are_read(cli: CommandLine, objects: Objects, kubelet: Kubelet) -> None:
    build_service(objects, "web")
    kubelet.lines["web-1"] = ["one", "two", "three"]
    start_pod(objects, "web-1", {"vapora.dev/taskserv": "web"})
    assert cli.call("logs", "tail", "web", "--lines", "2").out == "web-1 two\nweb-1 three\n"
    missing = cli.call("logs", "tail", "nobody")
    assert (missing.code, "no Taskserv and no AgentPool nobody" in missing.err) == (NOT_FOUND, True)
