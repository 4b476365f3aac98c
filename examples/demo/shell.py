"""What the demo does where everybody can see it: commands with their output, and judgements of how things ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from examples.demo.screen import Screen
from tests.cluster import EmbeddedCluster

AGENTS, SYSTEM = "vapora-agents", "vapora-system"


class DemoFailed(Exception):
    """Something did not end as it should, and what."""


def kubectl(screen: Screen, cluster: EmbeddedCluster, *args: str, given: str | None = None) -> str:
    """Runs kubectl where everybody can see it, perhaps with something on its standard input."""
    done = cluster.kubectl(*args, input=given, check=False)
    screen.output(f"kubectl {' '.join(args)}", done.stdout + done.stderr)
    if done.returncode != 0:
        raise DemoFailed(f"kubectl {args[0]} failed")
    return done.stdout


def vapora(screen: Screen, cluster: EmbeddedCluster, *args: str) -> str:
    """Runs `vapora workflow` as the cluster's administrator; returns what it printed."""
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "COLUMNS": "120"}
    command = [sys.executable, "-m", "vapora", "workflow", *args]
    done = subprocess.run(  # noqa: S603  # its words are the demo's own
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    screen.output(f"vapora workflow {' '.join(args)}", done.stdout + done.stderr)
    if done.returncode != 0:
        raise DemoFailed(f"vapora workflow {args[0]} ended with {done.returncode}")
    return done.stdout


def import_files(screen: Screen, *args: str) -> str:
    """Runs `vapora import` and returns what it prints, which is long: only what it tells is shown."""
    command = [sys.executable, "-m", "vapora", "import", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  # the same
    screen.output(f"vapora import {' '.join(args)}", done.stderr)
    if done.returncode != 0:
        raise DemoFailed(f"vapora import ended with {done.returncode}")
    return done.stdout


def judge(screen: Screen, findings: Mapping[str, bool]) -> None:
    """Says of each finding whether it is as it should be; raises DemoFailed where one is not."""
    for text, is_good in findings.items():
        screen.verdict(is_good=is_good, text=text)
    if not all(findings.values()):
        raise DemoFailed("not everything ended as it should")
