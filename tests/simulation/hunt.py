"""Finds a planted bug: plays seeds over a copy of the package with one patch in it until one of them fails."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MUTANTS = Path(__file__).parent / "mutants"
_HUNT = "import sys, json; from tests.simulation.report import play_range; first, last = map(int, sys.argv[1:]); "
_HUNT += "print(json.dumps(play_range(range(first, last), stops_at_first=True).to_json()))"


@dataclass(frozen=True, slots=True)
class Mutant:
    """Is a planted bug: the file it is in, and the lines before and after."""

    name: str
    path: str
    before: str
    after: str


def list_mutants() -> list[Mutant]:
    return [_read(file) for file in sorted(MUTANTS.glob("*.patch"))]


def _read(file: Path) -> Mutant:
    """Reads a unified diff of one hunk."""
    head, _, hunk = file.read_text().partition("\n@@")
    path = re.search(r"^\+\+\+ b/(\S+)$", head, re.MULTILINE)
    if path is None:
        raise ValueError(f"{file.name} names no file")
    lines = hunk.splitlines(keepends=True)[1:]
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    return Mutant(file.stem, path[1], before, after)


def plant(mutant: Mutant, folder: Path) -> Path:
    """Copies the package and plants the bug in the copy; returns the copy's source root."""
    root = folder / "operator"
    shutil.copytree(ROOT / "operator", root, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    target = folder / mutant.path
    text = target.read_text()
    if text.count(mutant.before) != 1:
        raise ValueError(f"{mutant.name} does not fit {mutant.path} any more")
    target.write_text(text.replace(mutant.before, mutant.after))
    return root


def hunt(mutant: Mutant, folder: Path, seeds: range) -> tuple[int, str] | None:
    """Returns the first seed that finds the bug, and in which words; None where none does."""
    paths = os.pathsep.join([str(plant(mutant, folder)), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", _HUNT, str(seeds.start), str(seeds.stop)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        return seeds.start, (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    failures = json.loads(done.stdout)["failures"]
    return next(((int(seed), words) for seed, words in failures.items()), None)
