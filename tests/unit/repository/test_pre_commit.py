"""What `pre-commit run` does: the same as `make lint`, with the tools of this environment and no others."""

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
HOOKS: list[dict[str, Any]] = [
    hook for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"] for hook in repo["hooks"]
]


def name_check(command: str) -> str:
    """A command without its options and paths: `ruff check`, `mypy`."""
    return " ".join(word for word in command.removeprefix(".venv/bin/").split() if re.fullmatch(r"[a-z][a-z-]*", word))


def test_nothing_is_fetched() -> None:
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    assert {hook["language"] for hook in HOOKS} == {"system"}


def test_every_tool_comes_with_make_setup() -> None:
    for hook in HOOKS:
        program = hook["entry"].split()[0]
        assert program.startswith(".venv/bin/")
        assert shutil.which(program.removeprefix(".venv/bin/")), program


def test_it_checks_what_make_lint_checks() -> None:
    [recipe] = re.findall(r"^lint: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    linted = {name_check(line) for line in recipe.splitlines()}
    assert {name_check(hook["entry"]) for hook in HOOKS} == linted
