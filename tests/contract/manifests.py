"""What is rendered and shipped, read for the tests."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.binaries import locate_tool

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "kustomize" / "overlays"
SAMPLES = ROOT / "manifests" / "samples"
DEMO = ROOT / "examples" / "demo"
_EXAMPLE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def render(folder: Path) -> str:
    """The text that `kubectl kustomize` makes of a folder."""
    command = [str(locate_tool("kubectl")), "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def render_objects(folder: Path) -> list[Json]:
    """The objects that `kubectl kustomize` makes of a folder."""
    return load_objects(render(folder))


def load_objects(text: str) -> list[Json]:
    """The objects in a text of YAML documents."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def find(objects: list[Json], kind: str, name: str) -> Json:
    """The object of that kind and name."""
    return next(obj for obj in objects if obj["kind"] == kind and obj["metadata"]["name"] == name)


def list_samples() -> Iterator[tuple[Path, Json]]:
    """Every object of the samples, with its file."""
    for path in sorted(SAMPLES.rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from ((path, obj) for obj in load_objects(path.read_text()))


def list_documented() -> Iterator[tuple[Path, Json]]:
    """Every object of the examples in the documentation, with its page."""
    for path in sorted((ROOT / "docs").glob("*.md")):
        for block in _EXAMPLE.findall(path.read_text()):
            yield from ((path, obj) for obj in load_objects(block) if isinstance(obj, dict) and "apiVersion" in obj)


def name_object(obj: Json) -> str:
    """Kind and name, for the names of tests."""
    meta = obj["metadata"]
    return f"{obj['kind']}/{meta.get('name') or meta['generateName']}"


def list_pod_templates(objects: list[Json]) -> list[Json]:
    """The specs of the pods that objects make."""
    return [obj["spec"]["template"]["spec"] for obj in objects if obj["kind"] in {"Deployment", "StatefulSet"}]
