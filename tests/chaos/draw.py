"""Which of many faults strike in this run."""

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """Draws faults by the commit, so that each commit tries others and any draw can be repeated."""

    def __init__(self, *, everything: bool, seed: str) -> None:
        self._everything = everything
        self._seed = seed

    def choose(self, faults: Sequence[T], most: int) -> list[T]:
        """Return as many of the faults, in their order; all of them where that is asked for."""
        if self._everything or len(faults) <= most:
            return list(faults)
        chosen = random.Random(self._seed).sample(range(len(faults)), most)
        return [faults[place] for place in sorted(chosen)]


def read_commit() -> str:
    """Return the commit of the checkout; a constant where there is none."""
    try:
        command = ["git", "rev-parse", "HEAD"]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return done.stdout.strip()
