"""What the commands say of themselves: each with examples that work, on terminals of two widths, and in docs/cli.md."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import Command
from tests.unit.cli.snapshots import compare
from typer import rich_utils
from typer.main import get_command
from typer.testing import CliRunner

from vapora.cli import main

ROOT = Path(__file__).parents[3]
EXAMPLE = "Example: vapora "
SHOWN = ((), ("workflow",), ("workflow", "retry"), ("batch", "submit"), ("agents", "scale"), ("taskserv", "upgrade"))
TREE = get_command(main)


def list_leaves(command: object = TREE, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path
    for name, below in (inner or {}).items():
        yield from list_leaves(below, (*path, name))


def find_command(path: tuple[str, ...]) -> Command:
    command = TREE
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]  # a group
    return command


def list_examples(path: tuple[str, ...]) -> list[str]:
    lines = (find_command(path).epilog or "").splitlines()
    return [line.removeprefix(EXAMPLE) for line in lines if line.startswith(EXAMPLE)]


LEAVES = {" ".join(path): path for path in list_leaves()}
# What changes nothing in a cluster or a store.
READING = {
    *("agent dev", "agent exec", "agent http", "agent run", "operator"),
    *("agents expertise", "agents get", "agents history", "agents rank", "agents top"),
    *("batch status", "budget", "cluster health-check", "dashboard open", "import", "lint", "logs tail", "version"),
    *("graph export", "graph query cause", "graph query cost", "graph query executions", "graph query trend"),
    *("ml evaluate", "ml explain", "ml refit"),
    *("taskserv get", "taskserv health", "taskserv list"),
    *(f"workflow {verb}" for verb in ("explain", "get", "graph", "list", "logs", "plan", "validate", "watch")),
}


@pytest.mark.parametrize("path", LEAVES.values(), ids=LEAVES)
def test_every_command_explains_itself_with_examples_of_it(path: tuple[str, ...]) -> None:
    examples = list_examples(path)
    assert examples
    assert all(shlex.split(example)[: len(path)] == list(path) for example in examples)


def test_whatever_changes_something_can_be_tried_first() -> None:
    options = {name: find_command(path).params for name, path in LEAVES.items()}
    without = {name for name, found in options.items() if not any("--dry-run" in option.opts for option in found)}
    assert without == READING


@pytest.mark.parametrize("path", LEAVES.values(), ids=LEAVES)
def test_every_example_can_be_typed(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAPORA_GRAPH_URL", "sqlite:///graph.db")  # which is there where the examples are typed
    for example in list_examples(path):
        words = shlex.split(example.partition(" | ")[0].partition(" > ")[0])
        context, command = None, TREE
        for name in path:
            context = command.make_context("vapora", [], parent=context, resilient_parsing=True)
            command = command.commands[name]  # type: ignore[attr-defined]  # a group
        command.make_context(path[-1], words[len(path) :], parent=context)  # raises for what is no option or argument


@pytest.mark.parametrize("width", [80, 160])
def test_the_help_looks_as_it_did(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set UPDATE_SNAPSHOTS=1 to accept what is printed now."""
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", width)  # it reads TERMINAL_WIDTH once, when it is imported
    monkeypatch.setenv("COLUMNS", str(width))
    printed = "".join(CliRunner().invoke(main, [*words, "--help"]).stdout for words in SHOWN)
    drawn = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    compare(drawn, f"help-{width}")
    assert max(map(len, drawn.splitlines())) <= width


def test_the_reference_is_current() -> None:
    typer = Path(sys.executable).with_name("typer")
    command = [str(typer), "vapora.cli", "utils", "docs", "--name", "vapora"]
    written = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert (ROOT / "docs" / "cli.md").read_text().strip() == written.strip(), "run make generate"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("vapora work", "workflow"), ("vapora workflow exp", "explain"), ("vapora taskserv upgrade --im", "--image")],
)
def test_a_shell_completes_commands_and_options(typed: str, offered: str) -> None:
    environment = {
        **os.environ,
        "_VAPORA_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    program = "from vapora.cli import main; main(prog_name='vapora')"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == [offered]
