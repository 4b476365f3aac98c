"""The catalogue: definitions that a run may create, kept in ConfigMaps that the workflow's account can read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from vapora.core.naming import GROUP, hash10
from vapora.core.views import child, text

LABEL_CATALOG = f"{GROUP}/catalog"  # the kind of what is defined, in lower case
DEFINITION = "definition"  # the key under which it stands, as JSON
_MAX_NAME = 253


def name_entry(kind: str, name: str) -> str:
    """Names the ConfigMap that holds the definition of an object."""
    return f"vapora-catalog-{kind.lower()}-{name}"


def build_entry(manifest: Mapping[str, object], namespace: str) -> Mapping[str, object]:
    """Returns the ConfigMap that holds an object to be created later; it stands in the workflow's namespace."""
    kind, name = text(manifest, "kind"), text(child(manifest, "metadata"), "name")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name_entry(kind, name),
            "namespace": namespace,
            "labels": {LABEL_CATALOG: kind.lower()},
        },
        "data": {DEFINITION: _write(manifest)},
    }


def read_entry(found: Mapping[str, object]) -> Mapping[str, object] | None:
    """Returns the object that a ConfigMap of the catalogue holds; None where it holds none."""
    try:
        manifest = json.loads(text(child(found, "data"), DEFINITION))
    except ValueError:
        return None
    return manifest if isinstance(manifest, dict) and child(manifest, "metadata") else None


def build_files(
    prefix: str, namespace: str, data: Mapping[str, str], *, catalog: str = ""
) -> tuple[Mapping[str, object], str]:
    """Returns an immutable ConfigMap named by the digest of what it holds, and that name."""
    name = f"{prefix[: _MAX_NAME - 11]}-{hash10(*(part for pair in sorted(data.items()) for part in pair))}"
    metadata: dict[str, object] = {"name": name, "namespace": namespace}
    if catalog:
        metadata["labels"] = {LABEL_CATALOG: catalog}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True, "data": dict(data)}
    return manifest, name


def build_cluster(definition: Mapping[str, object], namespace: str) -> tuple[Mapping[str, object], Mapping[str, str]]:
    """Returns the ConfigMap of a cluster's definition, and how a task's param refers to it."""
    prefix = f"vapora-cluster-{text(definition, 'name')}".lower()
    manifest, name = build_files(prefix, namespace, {DEFINITION: _write(definition)}, catalog="cluster")
    return manifest, {"configMap": name, "key": DEFINITION}


def build_file_reference(name: str, keys: Sequence[str]) -> Mapping[str, object]:
    """Says how a task's param refers to files: the ConfigMap, and its keys in order."""
    return {"configMap": name, "keys": list(keys)}


def _write(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
