"""`vapora workflow` on a real API server, with an operator."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.command_line import DONE, FAILED, NOT_FOUND, REFUSED, TIMEOUT, CommandHere, CommandLine
from tests.integration.engine import install_definitions, operators_of

Json = dict[str, Any]
SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"


@pytest.fixture(scope="module")
def operator(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[None]:
    install_definitions(cluster)
    with operators_of(cluster, request) as started:
        started.start()
        yield


@pytest.fixture
def cli(cluster: Cluster, namespace: str, operator: None) -> CommandLine:
    return CommandHere(cluster, namespace, group="workflow")


def build(name: str, *steps: Json, **metadata: object) -> Json:
    return {
        "apiVersion": "vapora.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, **metadata},
        "spec": {"steps": list(steps)},
    }


def step(name: str, *needs: str, **simulated: str) -> Json:
    """A step whose pod ends as the annotations say."""
    annotations = {f"sim.vapora.dev/{key.replace('_', '-')}": value for key, value in simulated.items()}
    body = {"image": "tool:1", "podTemplate": {"metadata": {"annotations": annotations}}}
    return {"name": name, "run": body, "dependsOn": list(needs), "retry": {"maxAttempts": 1}}


FOREVER = step("wait", duration="forever")


def test_a_workflow_is_run_watched_and_shown(cli: CommandLine) -> None:
    said = cli.call("run", str(SAMPLES / "hello.yaml"), "--param", "name=you", "--watch")
    assert said.code == DONE, said.err
    assert said.words[0] == ["workflow.vapora.dev/hello", "created"]
    assert said.words[-1][1:] == [f"{cli.namespace}/hello", "Succeeded", "1/1"]

    listed = cli.call("list")
    assert listed.words[0] == ["NAME", "PHASE", "PROGRESS", "STEP", "WAITING-ON", "AGE"]
    assert listed.words[1][:3] == ["hello", "Succeeded", "1/1"]
    assert cli.call("list", "-o", "name").out == "workflow.vapora.dev/hello\n"

    tree = cli.call("get", "@latest", "--tree").out.splitlines()
    assert tree[0].split()[:4] == ["✓", f"{cli.namespace}/hello", "Succeeded", "1/1"]
    assert tree[1].split()[:4] == ["└──", "✓", "hello", "Succeeded"]

    for output, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        found = load(cli.call("get", "hello", "-o", output).out)
        assert (found["kind"], found["spec"]["params"]) == ("Workflow", {"name": "you"})
        assert "managedFields" not in found["metadata"]


def test_outputs_that_lie_in_a_config_map_are_shown_and_where_they_lie(cli: CommandLine) -> None:
    give = step("give", message=json.dumps({"big": "z" * 3000, "more": "y" * 900}))
    steps = [{**give, "name": f"give{number}", "outputs": ["big", "more"]} for number in range(12)]
    assert cli.call("run", "-", "--watch", source=build("gives", *steps)).code == DONE
    shown = cli.call("get", "gives", "--tree").out
    assert shown.count("big = ") == 12


def test_a_failed_workflow_ends_with_1_and_says_why(cli: CommandLine) -> None:
    broken = build("broken", step("bad", exit_code="3", message="no such table"), step("after", "bad"))
    said = cli.call("run", "-", "--watch", source=broken)
    assert said.code == FAILED
    assert "bad" in said.out
    assert "no such table" in said.out
    tree = cli.call("get", "broken", "--tree").out
    assert "no such table" in tree
    assert cli.call("watch", "broken").code == FAILED


def test_a_terminal_gets_a_live_tree_that_stays(cli: CommandLine) -> None:
    cli.call("run", "-", source=build("quick", step("one"), step("two", "one")))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        cli.command("watch", "quick"), env={**cli.environment, "TERM": "xterm", "NO_COLOR": "1"}, stdout=theirs
    )
    os.close(theirs)
    drawn = b""
    try:
        while part := os.read(ours, 4096):
            drawn += part
    except OSError:  # how a pseudo-terminal says that nobody is at the other end any more
        pass
    assert process.wait() == DONE
    text = drawn.decode()
    assert "\x1b[3" not in text, "NO_COLOR is honoured"
    last = text[text.rindex(f"{cli.namespace}/quick") :]
    assert all(word in last for word in ("Succeeded", "one", "two"))


def test_a_workflow_that_does_not_end_in_time_is_5(cli: CommandLine) -> None:
    assert cli.call("run", "-", source=build("slow", FOREVER)).code == DONE
    said = cli.call("watch", "slow", "--timeout", "2")
    assert (said.code, said.err) == (TIMEOUT, "vapora: it has not ended within the time given\n")
    assert cli.call("get", "slow", "-o", "wide").words[1][:2] == ["slow", "Running"]


def test_a_workflow_that_is_deleted_while_it_is_watched_is_3(cli: CommandLine) -> None:
    cli.call("run", "-", source=build("gone", FOREVER))
    watching = cli.begin("watch", "gone")
    assert watching.stdout is not None
    assert "gone" in next(line for line in watching.stdout if "Running" in line and cli.namespace in line)
    cli.cluster.kubectl("delete", "workflow", "gone", "-n", cli.namespace, "--wait=false")
    _, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (NOT_FOUND, "vapora: the Workflow gone was deleted\n")


def test_a_spec_that_only_the_operator_refuses_is_4(cli: CommandLine) -> None:
    circular = build("circular", step("a", "b"), step("b", "a"))
    cli.cluster.kubectl("create", "-n", cli.namespace, "-f", "-", input=json.dumps(circular))
    said = cli.call("watch", "circular")
    assert said.code == REFUSED
    assert "InvalidSpec: spec.steps: a -> b -> a is a cycle" in said.out


def test_a_dry_run_creates_nothing_and_is_checked_by_the_api_server(cli: CommandLine) -> None:
    said = cli.call("run", "-", "--dry-run", source=build("trial", step("a")))
    assert (said.code, said.out) == (DONE, "workflow.vapora.dev/trial would be created (dry run)\n")
    assert cli.call("get", "trial").code == NOT_FOUND
    long = cli.call("run", "-", "--dry-run", source=build("x" * 53, step("a")))
    assert long.code == REFUSED
    assert "metadata.name" in long.err


def await_phase(cli: CommandLine, name: str, phase: str) -> None:
    path = f"/apis/vapora.dev/v1alpha1/namespaces/{cli.namespace}/workflows/{name}"
    wait_until(lambda: cli.cluster.api.get(path).json().get("status", {}).get("phase") == phase, f"{name} is {phase}")


def test_a_workflow_is_paused_resumed_and_cancelled(cli: CommandLine) -> None:
    assert cli.call("run", "-", source=build("long", FOREVER)).code == DONE
    await_phase(cli, "long", "Running")
    assert cli.call("pause", "long").out == "workflow.vapora.dev/long pause requested\n"
    await_phase(cli, "long", "Paused")
    assert "vapora workflow resume long" in cli.call("explain", "long").out
    assert cli.call("retry", "long").code == REFUSED
    assert cli.call("resume", "long", "--dry-run").out.endswith("would be requested (dry run)\n")
    assert cli.call("resume", "long").code == DONE
    await_phase(cli, "long", "Running")
    said = cli.call("cancel", "long", "--watch")
    assert said.code == DONE, said.out + said.err
    await_phase(cli, "long", "Cancelled")
    assert "only retry and rollback are possible" in cli.call("pause", "long").err


def test_a_failed_workflow_is_retried_and_watched_to_its_new_end(cli: CommandLine) -> None:
    assert (
        cli.call("run", "-", "--watch", source=build("again", step("good"), step("bad", exit_code="1"))).code == FAILED
    )
    said = cli.call("retry", "again", "--watch")
    assert said.code == FAILED, said.err
    assert any(line[1:3] == ["bad", "Failed"] and "try 2" in " ".join(line) for line in said.words), said.out
    assert not any(line[1:3] == ["good", "Running"] for line in said.words)


def test_what_is_not_there_is_3(cli: CommandLine) -> None:
    assert cli.call("get", "nobody").code == NOT_FOUND
    assert cli.call("watch", "nobody").code == NOT_FOUND
    said = cli.call("get", "@latest")
    assert (said.code, said.err) == (NOT_FOUND, f"vapora: there is no workflow in namespace {cli.namespace}\n")
    assert cli.call("list").err == f"No workflows in namespace {cli.namespace}.\n"


def test_a_second_run_of_a_name_is_refused_and_the_beginning_of_a_name_is_enough(cli: CommandLine) -> None:
    assert cli.call("run", "-", source=build("once", FOREVER)).code == DONE
    again = cli.call("run", "-", source=build("once", FOREVER))
    assert (again.code, "generateName" in again.err) == (REFUSED, True)
    many = build("", FOREVER, generateName="many-")
    del many["metadata"]["name"]
    names = {cli.call("run", "-", source=many).words[0][0] for _ in range(2)}
    assert len(names) == 2


def test_lists_are_chosen_by_label_and_span_namespaces(cli: CommandLine) -> None:
    for name, team in (("one", "red"), ("two", "blue")):
        cli.call("run", "-", source=build(name, FOREVER, labels={"team": team, "test": cli.namespace}))
    assert cli.call("list", "-l", "team=blue", "-o", "name").out == "workflow.vapora.dev/two\n"
    everywhere = cli.call("list", "-A", "-l", f"test={cli.namespace}")
    assert [row[:2] for row in everywhere.words] == [
        ["NAMESPACE", "NAME"],
        *[[cli.namespace, n] for n in ("one", "two")],
    ]
    assert len(json.loads(cli.call("list", "-o", "json").out)["items"]) == 2


def test_who_has_rights_in_one_namespace_only_can_do_everything_there(cli: CommandLine) -> None:
    verbs = "create,get,list,watch"
    kubectl = cli.cluster.kubectl
    where = ("-n", cli.namespace)
    kubectl("create", "serviceaccount", "someone", *where)
    kubectl("create", "role", "runner", f"--verb={verbs}", "--resource=workflows.vapora.dev", *where)
    kubectl("create", "rolebinding", "runner", "--role=runner", f"--serviceaccount={cli.namespace}:someone", *where)
    kubeconfig = cli.cluster.user_kubeconfig(cli.namespace, "someone")
    theirs = CommandHere(cli.cluster, cli.namespace, kubeconfig, group="workflow")
    wait_until(lambda: theirs.call("list").code == DONE, "the role is in force")
    assert theirs.call("run", "-", "--watch", source=build("mine", step("a"))).code == DONE
    assert theirs.call("get", "@latest", "-o", "name").out == "workflow.vapora.dev/mine\n"
    said = theirs.call("list", "-A")
    assert (said.code, "forbidden" in said.err) == (REFUSED, True)


def test_a_context_is_chosen_by_name(cli: CommandLine) -> None:
    assert cli.call("list", "--context", "vapora").code == DONE
    said = cli.call("list", "--context", "other")
    assert (said.code, said.err) == (2, "vapora: the kubeconfig has no context other\n")


def test_an_api_server_that_is_away_is_said(cli: CommandLine, tmp_path: Path) -> None:
    config = json.loads(cli.cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "config").write_text(json.dumps(config))
    said = cli.call("list", KUBECONFIG=str(tmp_path / "config"))
    assert (said.code, "no answer from the API server" in said.err) == (TIMEOUT, True)
