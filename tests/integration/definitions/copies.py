"""Copies of definition files in which something is corrected or changed; the files are read where they lie."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.integration.engine import ROOT

INPUTS = ROOT.parent / "shared" / "inputs"
WORKSPACE = ROOT / "examples" / "vapora-wrksp"
BACKEND = "vapora-wrksp/taskservs/vapora-backend.toml"
DEPLOYMENT = "vapora-wrksp/workflows/deploy-full-stack.yaml"
MARK = "Write instead:\n"

needs_inputs = pytest.mark.skipif(
    not INPUTS.is_dir(), reason="the published definition files are not beside the checkout"
)


def call_vapora(*arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Call the command as a person does, who may be the administrator of a cluster."""
    command = [sys.executable, "-m", "vapora", *arguments]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig or os.devnull)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def copy_published(folder: Path) -> Path:
    """Copy the published files and correct what the import refuses, as its own words say.

    The migrations that the deployment names were not published; those of the example stand for them.
    """
    copy = folder / "inputs"
    shutil.copytree(INPUTS, copy)
    shutil.copytree(WORKSPACE / "migrations", copy / "vapora-wrksp" / "migrations")
    said = call_vapora("import", str(copy), "--catalog").stderr
    assert f"{BACKEND}:41:3: error: " in said, said
    block = said.partition(MARK)[2].splitlines()
    header, *corrected = [line.strip() for line in block if line.startswith("    ")]
    path = copy / BACKEND
    lines = [line for line in path.read_text().splitlines() if not line.startswith("- ")]
    at = lines.index(header) + 1
    path.write_text("\n".join([*lines[:at], *corrected, *lines[at:]]))
    return copy


def copy_changed(source: Path, folder: Path, changes: Mapping[str, Mapping[str, str]]) -> Path:
    """Copy a folder and put texts for others, by file; each text must stand there."""
    copy = folder / source.name
    shutil.copytree(source, copy)
    for name, texts in changes.items():
        path = copy / name
        content = path.read_text()
        for former, latter in texts.items():
            assert former in content, f"{name}: no {former!r}"
            content = content.replace(former, latter)
        path.write_text(content)
    return copy
