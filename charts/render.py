"""Writes what is rendered from kustomize: manifests/install.yaml, and the objects of the chart that no value changes.

`--check` only compares, and ends with 1 where a file is not current.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
KUSTOMIZE = ROOT / "kustomize"
OBJECTS = ROOT / "charts" / "vapora" / "objects"
NOTE = "# Rendered from kustomize/{} by `make generate`. Do not edit.\n"
Json = dict[str, Any]

# By file: the kinds that are in it.
FROM_DEFAULT = {
    "definitions.yaml": {"CustomResourceDefinition"},
    "policies.yaml": {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
    "roles.yaml": {"ClusterRole"},
}
# Helm removes what a release holds when the release goes; all our users' objects would go with their definitions.
KEEP = {"helm.sh/resource-policy": "keep"}


def render(folder: str) -> str:
    """Returns what kubectl makes of a folder of kustomize's."""
    kubectl = Path(sys.executable).with_name("kubectl")
    command = [str(kubectl) if kubectl.exists() else "kubectl", "kustomize", str(KUSTOMIZE / folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def dump(objects: Sequence[Mapping[str, object]]) -> str:
    """Returns objects as documents of YAML."""
    return yaml.dump_all(objects, Dumper=yaml.CSafeDumper, sort_keys=False, width=120)


def build_files() -> Iterator[tuple[Path, str]]:
    """Yields every file with the text that it must have."""
    everything = render("overlays/default")
    yield ROOT / "manifests" / "install.yaml", NOTE.format("overlays/default") + everything
    objects: list[Json] = list(yaml.load_all(everything, Loader=yaml.CSafeLoader))
    for name, kinds in FROM_DEFAULT.items():
        chosen = [_keep(obj) for obj in objects if obj["kind"] in kinds]
        yield OBJECTS / name, NOTE.format("overlays/default") + dump(chosen)
    network = [o for o in objects if o["kind"] == "NetworkPolicy" and o["metadata"]["name"] != "vapora-nats"]
    yield OBJECTS / "network.yaml", NOTE.format("overlays/default") + dump(network)
    yield OBJECTS / "author.yaml", NOTE.format("components/author") + render("components/author")
    yield OBJECTS / "prometheus.yaml", NOTE.format("components/prometheus") + render("components/prometheus")
    yield OBJECTS / "gpu.json", (KUSTOMIZE / "base" / "operator" / "gpu.json").read_text()
    yield OBJECTS / "nats.conf", (KUSTOMIZE / "components" / "nats" / "nats.conf").read_text()


def _keep(obj: Json) -> Json:
    if obj["kind"] == "CustomResourceDefinition":
        obj["metadata"].setdefault("annotations", {}).update(KEEP)
    return obj


def main() -> int:
    """Writes the files, or says which are not current."""
    is_check = sys.argv[1:] == ["--check"]
    stale = [(path, text) for path, text in build_files() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        if not is_check:
            path.write_text(text)
        print(f"{path.relative_to(ROOT)} {'is not current: run make generate' if is_check else 'written'}")
    return 1 if stale and is_check else 0


if __name__ == "__main__":
    sys.exit(main())
