"""Disks that cannot be written, and disks that are full."""

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.unit.learning.builders import an_execution


@contextlib.contextmanager
def read_only(folder: Path):
    """Makes a folder that cannot be written; yields what changes that. The superuser needs a mount for it."""
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
        try:
            yield lambda: folder.chmod(stat.S_IRWXU)
        finally:
            folder.chmod(stat.S_IRWXU)
        return
    with mounted(folder, "ro,size=16m"):
        yield lambda: subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


@contextlib.contextmanager
def small_disk(folder: Path, *, mebibytes: int = 1):
    """Makes a folder on a small disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("a full disk needs the right to mount one")
    folder.mkdir()
    with mounted(folder, f"size={mebibytes}m"):
        yield folder


@contextlib.contextmanager
def small_tablespace(*, mebibytes: int):
    """Makes an empty folder on a small disk that belongs to whom the database server runs as."""
    folder = Path(tempfile.mkdtemp(prefix="vapora-disk-"))
    folder.chmod(0o755)
    try:
        with small_disk(folder / "volume", mebibytes=mebibytes) as volume:
            volume.chmod(0o755)
            space = volume / "space"
            space.mkdir(0o700)
            shutil.chown(space, "nobody")
            yield space
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def mounted(folder: Path, options: str):
    mount = shutil.which("mount")
    done = mount and subprocess.run([mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False)
    if not done or done.returncode:
        pytest.skip("this machine does not let a test mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def record_while_filling(graph, file):
    for number in range(2, 200):
        fill_up(file)
        await graph.record([an_execution(row, uid=f"u{number}") for row in range(100)])


def fill_up(file: Path) -> None:
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as handle:
        while True:
            handle.write(b"x" * 4096)
