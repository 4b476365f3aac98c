"""Finds planted bugs: plays seeds over a copy of the package with one patch in it until an invariant is broken.

`python -m tests.simulation.hunt [NAME ...]` looks for the first seed that finds each, and writes it into its patch.
"""

import argparse
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.judge import judge
from tests.simulation.loop import Violation
from tests.simulation.run import Run, draw_plot

ROOT = Path(__file__).parents[2]
MUTANTS = Path(__file__).parent / "mutants"
SEEDS = range(10_000)
NEAR = 2  # seeds on either side of the one that found it last
TIMEOUT = 1800.0
_HEADER = re.compile(r"\A# found by seed (\d+)\n")
_COLLECT_EVERY = 100


class Misfit(Exception):  # names what is wrong with a patch
    """Says that a patch does not fit the engine any more."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """Is a planted bug: the file it is in, the lines before and after, and the seed that found it last."""

    name: str
    path: str
    before: str
    after: str
    seed: int | None

    @property
    def seeds(self) -> list[int]:
        """Returns the seeds in the order in which they are the likeliest to find it."""
        if self.seed is None:
            return list(SEEDS)
        near = [self.seed, *range(max(0, self.seed - NEAR), self.seed + NEAR + 1)]
        return list(dict.fromkeys((*near, *SEEDS)))


@dataclass(frozen=True, slots=True)
class Find:
    """Is a seed that found a bug, in which words, and how many were played before it."""

    seed: int
    words: str
    played: int


def list_mutants() -> list[Mutant]:
    return [_read(file) for file in sorted(MUTANTS.glob("*.patch"))]


def _read(file: Path) -> Mutant:
    """Reads a unified diff of one hunk, and the line above it that names a seed."""
    text = file.read_text()
    head, _, hunk = text.partition("\n@@")
    path, known = re.search(r"^\+\+\+ b/(\S+)$", head, re.MULTILINE), _HEADER.match(text)
    if path is None:
        raise Misfit(f"{file.name} names no file")
    lines = hunk.splitlines(keepends=True)[1:]
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    return Mutant(file.stem, path[1], before, after, int(known[1]) if known else None)


def note(mutant: Mutant, seed: int) -> None:
    """Writes into the patch which seed finds it."""
    file = MUTANTS / f"{mutant.name}.patch"
    file.write_text(f"# found by seed {seed}\n" + _HEADER.sub("", file.read_text()))


def plant(mutant: Mutant, folder: Path) -> Path:
    """Copies the package, compiled files too, and plants the bug in the copy; returns the copy's source root."""
    root = folder / "operator"
    shutil.copytree(ROOT / "operator", root, ignore=shutil.ignore_patterns("*.egg-info"))
    target = folder / mutant.path
    text = target.read_text()
    if (count := text.count(mutant.before)) != 1:
        raise Misfit(f"{mutant.name}.patch: {mutant.path} has {count} times\n{mutant.before}it must have it once")
    target.write_text(text.replace(mutant.before, mutant.after))
    return root


def hunt(mutant: Mutant, seeds: Sequence[int]) -> Find | None:
    """Returns the first seed that finds the bug, and does not fail without it."""
    with tempfile.TemporaryDirectory() as name:
        root = plant(mutant, Path(name))
        while (found := _play_beside(root, seeds)) is not None and play([found.seed]) is not None:
            seeds = seeds[found.played + 1 :]
    return found


def _play_beside(root: Path, seeds: Sequence[int]) -> Find | None:
    """Plays seeds in a process of its own, with the engine that lies at `root`."""
    paths = os.pathsep.join([str(root), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.hunt", "--play"],
        input=json.dumps(list(seeds)),
        env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=root.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    found = json.loads(done.stdout)
    return Find(**found) if found else None


def play(seeds: Iterable[int]) -> Find | None:
    """Plays seeds until one breaks an invariant, or what the oracle says; that it merely crashes is none."""
    for played, seed in enumerate(seeds):
        run = Run(seed, draw_plot(seed))
        try:
            run.play()
            judge(run)
        except Violation as problem:
            return Find(seed, str(problem), played)
        except Exception:  # noqa: BLE001  # whatever a bug does to the engine
            continue
        if played % _COLLECT_EVERY == 0:
            gc.collect()
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.hunt", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a planted bug (default: all)")
    parser.add_argument("--most", type=int, default=len(SEEDS), help="seeds played for each")
    parser.add_argument("--play", action="store_true", help=argparse.SUPPRESS)  # the process that hunt starts
    given = parser.parse_args()
    if given.play:
        gc.disable()
        found = play(json.loads(sys.stdin.read()))
        print(json.dumps({"seed": found.seed, "words": found.words, "played": found.played} if found else None))
        return 0
    mutants = [mutant for mutant in list_mutants() if not given.names or mutant.name in given.names]
    with ThreadPoolExecutor(2) as pool:
        return max(pool.map(lambda mutant: _hunt_anew(mutant, given.most), mutants), default=0)


def _hunt_anew(mutant: Mutant, most: int) -> int:
    try:
        found = hunt(mutant, list(SEEDS[:most]))
    except (Misfit, RuntimeError, subprocess.TimeoutExpired) as problem:
        print(f"{mutant.name}: {problem}", flush=True)
        return 1
    if found is None:
        print(f"{mutant.name}: no seed finds it", flush=True)
        return 1
    note(mutant, found.seed)
    print(f"{mutant.name}: seed {found.seed}: {found.words[:120]}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
