"""The control groups of a real node: all that no namespace takes along when it goes."""

import contextlib
import os
import re
from pathlib import Path

from tests.cluster.waiting import wait_until

_ROOT = Path("/sys/fs/cgroup")
_NAME = re.compile(r"vapora-node-(\d+)")
_SECONDS_TO_DIE = 5.0


def claim_cgroup() -> str:
    """Make a group for the node of this process, and return its name."""
    remove_stale()
    name = f"vapora-node-{os.getpid()}"
    for parent in _find_tops():
        (parent / name).mkdir(exist_ok=True)
    return name


def remove_stale() -> None:
    """Remove the groups whose process is gone."""
    for name in {path.name for path in _find("vapora-node-*")}:
        match = _NAME.fullmatch(name)
        if match and not Path(f"/proc/{match[1]}").exists():
            remove_cgroup(name)


def remove_cgroup(name: str) -> None:
    """Remove the group with all below it, as soon as its processes have ended."""
    with contextlib.suppress(TimeoutError):  # the next node's beginning removes it
        wait_until(lambda: _try_to_remove(name), "the control group is gone", within=_SECONDS_TO_DIE)


def _try_to_remove(name: str) -> bool:
    for top in _find(name):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):  # it is busy, or gone
                Path(folder).rmdir()
    return not _find(name)


def _find(pattern: str) -> list[Path]:
    return [path for top in _find_tops() for path in top.glob(pattern)]


def _find_tops() -> list[Path]:
    """Return where groups stand: below each controller in version 1, in one place in version 2."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [path for path in _ROOT.iterdir() if path.is_dir() and not path.is_symlink()]
