"""The commands, as far as they go without a cluster."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from vapora.cli.exits import Exit
from vapora.cli.workflow.commands import workflow

Call = Callable[..., Result]
VERBS = ("pause", "resume", "cancel", "stop", "terminate", "rollback")
GOOD = """
apiVersion: vapora.dev/v1alpha1
kind: Workflow
metadata: {name: w}
spec: {steps: [{name: a, run: {image: "tool:1"}}]}
"""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def call(*arguments: str, source: str = GOOD) -> Result:
        return CliRunner().invoke(workflow, list(arguments), input=source)

    return call


def test_a_file_that_cannot_be_read_is_a_mistake_of_use(call: Call) -> None:
    result = call("run", "/nowhere.yaml")
    assert (result.exit_code, result.stderr.startswith("vapora: /nowhere.yaml cannot be read: ")) == (Exit.USAGE, True)


def test_a_file_without_a_workflow_is_a_mistake_of_use(call: Call) -> None:
    result = call("run", "-", source="kind: Pod")
    assert (result.exit_code, "- is no Workflow" in result.stderr) == (Exit.USAGE, True)


def test_a_wrong_param_is_a_mistake_of_use(call: Call) -> None:
    result = call("run", "-", "--param", "x")
    assert (result.exit_code, result.stderr) == (Exit.USAGE, "vapora: --param x: must be KEY=VALUE\n")


def test_a_cycle_is_refused_before_any_cluster_is_asked(call: Call) -> None:
    result = call("run", "-", source=GOOD.replace("name: a, ", "name: a, dependsOn: [a], "))
    assert (result.exit_code, result.stderr) == (
        Exit.REFUSED,
        "vapora: -: InvalidSpec: spec.steps: a -> a is a cycle; a step cannot wait for itself\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "-"),
        ("list",),
        ("get", "x"),
        ("watch", "@latest"),
        ("approve", "x"),
        ("reject", "x", "gate"),
        ("retry", "x", "gate"),
        ("plan", "-"),
        ("logs", "x"),
        ("explain", "x"),
        ("graph", "x"),
        *((verb, "x") for verb in VERBS),
    ],
    ids=lambda a: a[0],
)
def test_without_any_cluster_every_command_says_so(call: Call, arguments: tuple[str, ...]) -> None:
    result = call(*arguments)
    assert (result.exit_code, result.stderr.startswith("vapora: cannot reach a cluster")) == (Exit.USAGE, True)


def test_a_tree_is_no_json(call: Call) -> None:
    assert call("get", "x", "--tree", "-o", "json").exit_code == Exit.USAGE


def test_a_plan_is_of_a_file_or_a_template(call: Call) -> None:
    assert call("plan").exit_code == Exit.USAGE
    assert call("plan", "-", "--template", "t").exit_code == Exit.USAGE


def test_a_workflow_is_validated_without_a_cluster(call: Call) -> None:
    result = call("validate", "-")
    assert (result.exit_code, result.stdout) == (Exit.DONE, "valid: 1 step\n")
    assert (
        call("validate", "-", source=GOOD.replace("name: a, ", "name: a, dependsOn: [b], ")).exit_code == Exit.REFUSED
    )


@pytest.mark.parametrize("language", ["dot", "mermaid"])
def test_a_file_is_drawn_without_a_cluster(call: Call, language: str) -> None:
    result = call("graph", "--file", "-", "-o", language)
    assert (result.exit_code, "run" in result.stdout) == (Exit.DONE, True)


def test_a_drawing_is_of_a_file_or_a_workflow(call: Call) -> None:
    assert call("graph").exit_code == Exit.USAGE
    assert call("graph", "x", "--file", "-").exit_code == Exit.USAGE
