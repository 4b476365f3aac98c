"""Runs of `python -m vapora.migrate`, as their container runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run:
    """How a run ended."""

    code: int
    out: str
    problem: str

    @property
    def outcome(self) -> Any:
        assert self.code == 0, self.problem
        return json.loads(self.out.splitlines()[-1])

    @property
    def applied(self) -> list[str]:
        return list(self.outcome["applied"])

    @property
    def refusal(self) -> str:
        """What it said in the end; it must have failed."""
        assert self.code == 1, self.out
        return self.problem.strip()


def write(folder: Path, **files: str) -> list[str]:
    """Write files; their names are those of the arguments, with the extension that a `_sql` at the end stands for."""
    names = {name: name.replace("_sql", ".sql") for name in files}
    for name, text in files.items():
        (folder / names[name]).write_text(text)
    return list(names.values())


def begin(folder: Path, files: list[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "vapora.migrate", str(folder), *files]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=_inherit(environment), stdout=pipe, stderr=pipe, text=True)


def end(process: "subprocess.Popen[str]") -> Run:
    out, problem = process.communicate(timeout=60)
    return Run(process.returncode, out, problem)


def migrate(folder: Path, files: list[str], environment: Mapping[str, str]) -> Run:
    return end(begin(folder, files, environment))


def _inherit(environment: Mapping[str, str]) -> dict[str, str]:
    """The paths by which Python finds its modules, and nothing that a database's client would read."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "HOME"}}
    return {**kept, **environment}
