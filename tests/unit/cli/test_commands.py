"""The commands, as far as they go without a cluster."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from vapora.cli.exits import Exit
from vapora.cli.workflow import workflow

SNAPSHOTS = Path(__file__).parent / "snapshots"
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
        *((verb, "x") for verb in VERBS),
    ],
    ids=lambda a: a[0],
)
def test_without_any_cluster_every_command_says_so(call: Call, arguments: tuple[str, ...]) -> None:
    result = call(*arguments)
    assert (result.exit_code, result.stderr.startswith("vapora: cannot reach a cluster")) == (Exit.USAGE, True)


def test_a_tree_is_no_json(call: Call) -> None:
    assert call("get", "x", "--tree", "-o", "json").exit_code == Exit.USAGE


@pytest.mark.parametrize("command", ["run", "list", "get", "watch", "approve", "reject", "retry", *VERBS])
def test_every_command_explains_itself_with_an_example(call: Call, command: str) -> None:
    result = call(command, "--help")
    assert (result.exit_code, f"Example: vapora workflow {command}" in result.stdout) == (0, True)


@pytest.mark.parametrize("width", [80, 160])
def test_the_help_looks_as_it_did(call: Call, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set UPDATE_SNAPSHOTS=1 to accept what is printed now."""
    monkeypatch.setenv("TERMINAL_WIDTH", str(width))
    monkeypatch.setenv("COLUMNS", str(width))
    printed = "".join(call(*words, "--help").stdout for words in ((), ("retry",), ("rollback",), ("approve",)))
    drawn = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    path = SNAPSHOTS / f"help-{width}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(drawn)
    assert drawn == path.read_text()
