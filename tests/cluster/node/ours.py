"""The images of this repository, on a base of Debian's: what its manifests and samples name."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.cluster.binaries import cache_folder, ensure_binaries, locate_tool
from tests.cluster.node.images import Image
from tests.cluster.node.settings import PAUSE_IMAGE

_ROOT = Path(__file__).parents[3]
_RELEASE, _PYTHON = "bookworm", "3.11"
_MEMBERS = ("requirements.lock", "pyproject.toml", "README.md", "LICENSE", "operator")
_LEFT_OUT = (
    "dev/*",
    "proc/*",
    "sys/*",
    "var/cache/*",
    "var/lib/apt/lists/*",
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/locale/*",
)
_BASE = """\
FROM scratch
ADD rootfs.tar /
RUN ln -s /usr/bin/python3 /usr/local/bin/python \\
    && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED \\
    && PYTHONPATH="$(echo /wheels/pip-*.whl)" python -m pip install --quiet --no-index --find-links /wheels pip
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""
_PIP_CONF = "[global]\nno-index = true\nfind-links = /wheels\nroot-user-action = ignore\n"
_NATS = 'FROM scratch\nCOPY nats-server /nats-server\nENTRYPOINT ["/nats-server"]\n'
_PAUSE = 'ARG BASE\nFROM ${BASE}\nENTRYPOINT ["sleep", "infinity"]\n'
_AGENT = 'ARG BASE\nFROM ${BASE}\nCOPY agent.py /agent.py\nENTRYPOINT ["python", "/agent.py"]\n'
_ETCD = "FROM scratch\nCOPY etcd /usr/local/bin/etcd\nENV PATH=/usr/local/bin\n"
_AGENTS = {"echo": "echo.py", "developer": "worker.py", "trainer": "trainer.py"}
_WEB = 'ARG BASE\nFROM ${BASE}\nUSER 1000\nENTRYPOINT ["python", "-m", "http.server", "8080", "--directory", "/tmp"]\n'
_STAND_IN = "ARG BASE\nFROM ${BASE}\n"


def describe_base() -> Image:
    """Describe Debian with Python, on which the other images stand; it is fetched first where it is not there."""
    wheels = _ensure(f"tools-{_PYTHON}", lambda folder: _fetch(folder, "pip", "setuptools>=77", "wheel"))
    system = _ensure(f"debian-{_RELEASE}", _bootstrap)
    context = {"rootfs.tar": system / "rootfs.tar"}
    return Image("docker.io/vapora/base:1", _BASE, context, mounts={"/wheels": wheels})


def describe_operator(base: Image) -> Image:
    """Describe what the Dockerfile makes; its wheels are fetched first, as the build has no network."""
    lock = _ROOT / "requirements.lock"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    wheels = _ensure(f"wheels-{wanted}", lambda folder: _fetch_locked(folder, lock))
    return Image(
        "docker.io/vapora/operator:0.1.0",
        (_ROOT / "Dockerfile").read_text(),
        {name: _ROOT / name for name in _MEMBERS},
        base=base,
        mounts={"/wheels": wheels, "/etc/pip.conf": wheels / "pip.conf"},
    )


def describe_images() -> list[Image]:
    """Describe all that a cluster with a real node begins with."""
    base = describe_base()
    operator = describe_operator(base)
    return [
        Image(PAUSE_IMAGE, _PAUSE, base=base),
        operator,
        *(
            Image(
                f"docker.io/vapora/agents:{role}-0.1.0",
                _AGENT,
                {"agent.py": _ROOT / "examples/agents" / file},
                operator,
            )
            for role, file in _AGENTS.items()
        ),
        Image("docker.io/library/nats:2.11.4-alpine", _NATS, {"nats-server": locate_tool("nats-server")}),
        Image("gcr.io/etcd-development/etcd:v3.6.16", _ETCD, {"etcd": ensure_binaries().etcd}),
        Image("docker.io/nginxinc/nginx-unprivileged:1.27-alpine", _WEB, base=base),
        # What the samples' steps need of it, a shell and the usual programs, the base has as well.
        Image("docker.io/library/busybox:1.37", _STAND_IN, base=base),
    ]


def _ensure(name: str, fill: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, filled whole or not there; of two that want it one waits."""
    parent = cache_folder().parent / "images"
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / "fetch.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (parent / name).exists():
            sys.stderr.write(f"fetching {name} into {parent}, once\n")
            partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
            try:
                fill(partial)
                partial.chmod(0o755)
                partial.rename(parent / name)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return parent / name


def _bootstrap(folder: Path) -> None:
    root = folder / "root"
    _call("debootstrap", "--variant=minbase", "--include=python3,ca-certificates", _RELEASE, str(root))
    leave_out = [f"--exclude=./{name}" for name in _LEFT_OUT]
    _call("tar", "--create", f"--file={folder / 'rootfs.tar'}", f"--directory={root}", *leave_out, ".")
    shutil.rmtree(root)


def _fetch_locked(folder: Path, lock: Path) -> None:
    # Markers are left out: they would be judged for this machine's Python, not for the image's.
    plain = folder / "requirements.txt"
    plain.write_text(re.sub(r" ; [^\\\n]+", " ", lock.read_text()))
    _fetch(folder, "--require-hashes", "--no-deps", "-r", str(plain))
    # What the build itself needs stands in pyproject.toml.
    _fetch(folder, "setuptools>=77", "wheel")
    (folder / "pip.conf").write_text(_PIP_CONF)


def _fetch(folder: Path, *wanted: str) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    _call(*pip, "--only-binary=:all:", f"--python-version={_PYTHON}", f"--dest={folder}", *wanted)


def _call(*argv: str) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
