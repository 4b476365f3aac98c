"""The images that run on a real node: built here without a registry, and kept outside the checkout by their content."""

import dataclasses
import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.cluster.binaries import cache_folder

_KEPT_SECONDS = 2 * 86400
_ACCEPT_ANYTHING = {"default": [{"type": "insecureAcceptAnything"}]}


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """What an image is made of: a Dockerfile whose `ARG BASE` is another image, and the files of its context.

    `context` has each file or folder by its name there; `mounts` are folders that only the build sees.
    """

    name: str
    dockerfile: str
    context: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    base: "Image | None" = None
    mounts: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells this content from another's."""
        digest = hashlib.sha256(f"{self.name}\n{self.dockerfile}\n{self.base and self.base.key}\n".encode())
        for place, path in sorted({**self.context, **self.mounts}.items()):
            for file in _find_files(path):
                digest.update(f"{place}/{file.relative_to(path)}\n".encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def short(self) -> str:
        """Its name without registry and tag, as a file may have it."""
        return self.name.rpartition("/")[2].partition(":")[0]


def build_images(*images: Image) -> Path:
    """Return an archive of the images in docker's format, building those that are not there yet.

    It has each layer once: archives of one image each would bring the base with every one of them.
    """
    folder = cache_folder().parent / "images"
    for name in ("bundles", "built"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    together = hashlib.sha256(" ".join(image.key for image in images).encode()).hexdigest()[:16]
    bundle = folder / "bundles" / f"{together}.tar"
    with (folder / "build.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for image in images:
            _ensure(folder, image)
        if not bundle.exists():
            with tempfile.TemporaryDirectory(prefix="vapora-image-", dir=folder) as scratch:
                _bundle(folder, Path(scratch), images, bundle)
        os.utime(bundle)
        _forget_old(folder)
    return bundle


def _bundle(folder: Path, scratch: Path, images: Sequence[Image], bundle: Path) -> None:
    partial = scratch / "bundle.tar"
    manifest: list[object] = []
    written = {"manifest.json", "repositories"}
    with tarfile.open(partial, "w") as whole:
        for image in images:
            archive = scratch / "image.tar"
            _buildah(folder, scratch, "push", _tag(image), f"docker-archive:{archive}:{image.name}")
            with tarfile.open(archive) as part:
                manifest += json.load(part.extractfile("manifest.json") or io.BytesIO(b"[]"))
                for member in part:
                    if member.name not in written:
                        written.add(member.name)
                        whole.addfile(member, part.extractfile(member) if member.isreg() else None)
            archive.unlink()
        body = json.dumps(manifest).encode()
        member = tarfile.TarInfo("manifest.json")
        member.size = len(body)
        whole.addfile(member, io.BytesIO(body))
    partial.rename(bundle)


def _ensure(folder: Path, image: Image) -> None:
    if image.base is not None:
        _ensure(folder, image.base)
    mark = folder / "built" / f"{image.short}-{image.key}"
    if not mark.exists():
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="vapora-image-") as scratch:
            _build(folder, image, Path(scratch))
        sys.stderr.write(f"  image {image.name}: built in {time.monotonic() - started:.0f} s\n")
    mark.touch()


def _build(folder: Path, image: Image, scratch: Path) -> None:
    context = scratch / "context"
    context.mkdir()
    for place, path in image.context.items():
        (context / place).parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, context / place, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(path, context / place)
    (scratch / "Dockerfile").write_text(image.dockerfile)
    flags = ["--isolation", "chroot", "--format", "docker", "--file", str(scratch / "Dockerfile")]
    flags += [f"--volume={path}:{place}:ro" for place, path in image.mounts.items()]
    if image.base is not None:
        flags += ["--build-arg", f"BASE={_tag(image.base)}", "--pull-never"]
    _buildah(folder, scratch, "build", *flags, "--tag", _tag(image), str(context))


def _tag(image: Image) -> str:
    return f"localhost/{image.short}:{image.key}"


def _buildah(folder: Path, scratch: Path, command: str, *words: str) -> None:
    policy = scratch / "policy.json"
    policy.write_text(json.dumps(_ACCEPT_ANYTHING))
    done = _call_buildah(folder, scratch, command, "--signature-policy", str(policy), *words)
    if done.returncode:
        raise RuntimeError(f"buildah {command} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def _call_buildah(folder: Path, scratch: Path, *words: str) -> subprocess.CompletedProcess[str]:
    storage = ["--root", str(folder / "storage"), "--runroot", str(scratch / "run"), "--storage-driver", "overlay"]
    return subprocess.run(["buildah", *storage, *words], check=False, capture_output=True, text=True)


def _forget_old(folder: Path) -> None:
    """Remove what no cluster has used for two days: each change of the operator costs 0.8 GB."""
    oldest = time.time() - _KEPT_SECONDS
    for bundle in (folder / "bundles").glob("*.tar"):
        if bundle.stat().st_mtime < oldest:
            bundle.unlink()
    for mark in (folder / "built").iterdir():
        if mark.stat().st_mtime < oldest:
            name, _, key = mark.name.rpartition("-")
            with tempfile.TemporaryDirectory(prefix="vapora-image-") as scratch:
                _call_buildah(folder, Path(scratch), "rmi", f"localhost/{name}:{key}")  # it may be gone
            mark.unlink()


def _find_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file.parent):
            yield file
