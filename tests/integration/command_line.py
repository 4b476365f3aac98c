"""The command line as a process, the way a person or a script calls it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.cluster.access import Cluster
from typer.testing import CliRunner

from vapora.cli import main

VAPORA = (sys.executable, "-m", "vapora")
DONE, FAILED, USAGE, NOT_FOUND, REFUSED, TIMEOUT = range(6)


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> list[list[str]]:
        return [line.split() for line in self.out.splitlines()]


class CommandLine:
    """Calls the commands in one namespace, as one user."""

    def __init__(self, cluster: Cluster, namespace: str, kubeconfig: Path | None = None, *, group: str = "") -> None:
        self.cluster = cluster
        self.group = [group] if group else []
        self.namespace = namespace
        self.environment = {
            "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HOME": str(cluster.folder),
            "LANG": "C.UTF-8",
        }

    def call(self, *arguments: str, source: object = "", **environment: str) -> Said:
        """Call a command; `source` goes to its input, objects as YAML."""
        done = subprocess.run(
            self.command(*arguments),
            input=source if isinstance(source, str) else yaml.safe_dump(source),
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Call a command and go on without it."""
        return subprocess.Popen(
            self.command(*arguments), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def command(self, *arguments: str) -> list[str]:
        where = () if "-A" in arguments else ("-n", self.namespace)
        return [*VAPORA, *self.group, *arguments, *where]


class CommandHere(CommandLine):
    """Calls the commands within this process, which saves a second each; those that go on are still processes."""

    def call(self, *arguments: str, source: object = "", **environment: str) -> Said:
        """Call a command; `source` goes to its input, objects as YAML."""
        if {"watch", "--watch", "--follow", "-f"} & set(arguments):  # its connection ends with its process
            return super().call(*arguments, source=source, **environment)
        words = self.command(*arguments)[len(VAPORA) :]
        given = source if isinstance(source, str) else yaml.safe_dump(source)
        done = CliRunner().invoke(main, words, input=given, env={**self.environment, **environment})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return Said(done.exit_code, done.stdout, done.stderr)
