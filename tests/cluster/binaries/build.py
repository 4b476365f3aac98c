"""Building the programs with `go build`, once for each set of sources and toolchain."""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.cluster.binaries.toolchain import ensure_go, go_version

KUBERNETES_VERSION = "v1.36.3"
_MODULES = Path(__file__).parent.parent / "modules"
_GIB = 2**30
# Measured on two cores: 400 MB of programs, 3.4 GB of Go's build cache, 1.1 GB of sources.
_DISK_NEEDED = 6 * _GIB
_MEMORY_NEEDED = 2 * _GIB
_STRIP = "-s -w"
_VERSION_FLAGS = " ".join(
    f"-X k8s.io/component-base/version.{field}={value}"
    for field, value in (
        ("gitVersion", KUBERNETES_VERSION),
        ("gitMajor", KUBERNETES_VERSION.lstrip("v").split(".")[0]),
        ("gitMinor", KUBERNETES_VERSION.split(".")[1]),
    )
)


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """A command of a Go module, with the seconds its first build takes on two cores."""

    name: str
    module: str
    package: str
    linker_flags: str
    seconds: int


PROGRAMS = (
    Program(
        "kube-apiserver",
        "kubernetes",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        f"{_STRIP} {_VERSION_FLAGS}",
        400,
    ),
    Program(
        "kube-controller-manager",
        "kubernetes",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        f"{_STRIP} {_VERSION_FLAGS}",
        90,
    ),
    Program(
        "kube-scheduler",
        "kubernetes",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        f"{_STRIP} {_VERSION_FLAGS}",
        10,
    ),
    Program("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", f"{_STRIP} {_VERSION_FLAGS}", 60),
    Program("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", f"{_STRIP} {_VERSION_FLAGS}", 10),
    Program("coredns", "coredns", "github.com/coredns/coredns", _STRIP, 165),
    Program("etcd", "tools", "go.etcd.io/etcd/server/v3", _STRIP, 35),
    Program("kwok", "tools", "sigs.k8s.io/kwok/cmd/kwok", _STRIP, 90),
    Program("helm", "helm", "helm.sh/helm/v3/cmd/helm", _STRIP, 140),
)


def build_binaries(cache: Path, names: Sequence[str], say: Callable[[str], None]) -> dict[str, Path]:
    """Return the path of each of the named programs, building those that are not there yet.

    Two builders wait for each other; a program appears under its name only when it is whole.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "build.lock", say):
        go = ensure_go(cache, _wanted_go(), say)
        version = go_version(go)
        found = {p: cache / _key(version, p) / p.name for p in PROGRAMS if p.name in names}
        missing = [program for program, path in found.items() if not path.exists()]
        if missing:
            _check_room(cache, missing, say)
        for program in missing:
            _build(go, program, found[program], say)
    return {program.name: path for program, path in found.items()}


def _wanted_go() -> str:
    directives = [re.search(r"^go (\S+)", path.read_text(), re.MULTILINE) for path in _MODULES.glob("*/go.mod")]
    return max(match.group(1) for match in directives if match)


def _key(version: str, program: Program) -> str:
    digest = hashlib.sha256()
    for path in sorted((_MODULES / program.module).glob("go.*")):
        digest.update(path.read_bytes())
    digest.update(repr(program).encode())
    return f"{program.module}-{version}-{digest.hexdigest()[:12]}"


def _check_room(cache: Path, missing: Sequence[Program], say: Callable[[str], None]) -> None:
    minutes = max(1, round(sum(program.seconds for program in missing) / 60))
    names = ", ".join(program.name for program in missing)
    say(f"building {names} into {cache}: about {minutes} min on two cores if nothing is in Go's cache, once")
    say("it takes up to 5 GB of disk (sources, Go's build cache, 400 MB of programs) and 2 GB of memory")
    free = shutil.disk_usage(cache).free
    if free < _DISK_NEEDED:
        raise OSError(f"{free / _GIB:.1f} GiB are free under {cache}; the build needs {_DISK_NEEDED / _GIB:.0f} GiB")
    available = available_memory()
    if available is not None and available < _MEMORY_NEEDED:
        raise OSError(f"{available / _GIB:.1f} GiB of memory are free; the build needs {_MEMORY_NEEDED / _GIB:.0f} GiB")


def available_memory() -> int | None:
    """Return the bytes that programs can still have; None where the system does not say."""
    with contextlib.suppress(OSError):
        match = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        return int(match.group(1)) * 1024 if match else None
    return None


def _build(go: Path, program: Program, path: Path, say: Callable[[str], None]) -> None:
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{program.name}.partial")
    command = [str(go), "build", "-trimpath", "-ldflags", program.linker_flags, "-o", str(partial), program.package]
    # Without a terminal there is no use in a line a second.
    interval = 1.0 if sys.stderr.isatty() else 30.0
    started = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=_MODULES / program.module,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as build:
        while True:
            try:
                output, _ = build.communicate(timeout=interval)
                break
            except subprocess.TimeoutExpired:
                _progress(f"  {program.name}: {time.monotonic() - started:.0f} s of about {program.seconds} s", say)
            except BaseException:
                build.kill()
                raise
    if build.returncode != 0:
        raise RuntimeError(f"go build {program.package} failed:\n{output}")
    partial.rename(path)
    _progress(f"  {program.name}: built in {time.monotonic() - started:.0f} s", say, last=True)


def _progress(line: str, say: Callable[[str], None], *, last: bool = False) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}\033[K" + ("\n" if last else ""))
        sys.stderr.flush()
    else:
        say(line)


@contextlib.contextmanager
def _locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process builds the programs of the cluster: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
