"""The cluster that the operator runs in against a definition: which nodes are which, what differs, what can be set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vapora.api.cluster import ClusterDefinition, ClusterNodes
from vapora.core.quantities import parse_quantity
from vapora.core.views import child, rows, text

Manifest = Mapping[str, object]
Taint = Mapping[str, str]
_ROLE_LABEL = "node-role.kubernetes.io/"
_MASTERS = frozenset({"control-plane", "master"})
_NUMBERS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Is what one node lacks: labels to set, taints to add."""

    node: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Is what differs and cannot be adapted, in sentences, and what each node lacks that can be."""

    differences: tuple[str, ...]
    adaptations: tuple[Adaptation, ...]


def compare_nodes(definition: ClusterDefinition, nodes: Sequence[Manifest]) -> Comparison:
    """Gives each group of the definition nodes of its role that are as large; those that lack least go first.

    Counts, resources and the version are minimums. Every node belongs to one group at most.
    """
    differences = list(_find_old(definition, nodes))
    free = {text(child(node, "metadata"), "name"): node for node in nodes}
    adaptations: list[Adaptation] = []
    # A group that asks for more labels and taints has fewer nodes to choose from.
    groups = sorted(enumerate(definition.nodes), key=lambda pair: -(len(pair[1].labels) + len(pair[1].taints)))
    for place, group in groups:
        fitting = sorted(
            (lack for name in sorted(free) if (lack := _find_lack(group, name, free[name])) is not None),
            key=lambda lack: len(lack.labels) + len(lack.taints),
        )[: group.count]
        if len(fitting) < group.count:
            differences.append(_tell_missing(place, group, len(fitting)))
        for lack in fitting:
            del free[lack.node]
        adaptations += [lack for lack in fitting if lack.labels or lack.taints]
    return Comparison(tuple(differences), tuple(adaptations))


def find_missing_classes(definition: ClusterDefinition, classes: Sequence[Manifest]) -> Iterator[str]:
    """Yields a sentence for each storage class that is not there."""
    there = {text(child(found, "metadata"), "name") for found in classes}
    for place, wanted in enumerate(definition.storage.storage_classes):
        if wanted.name not in there:
            known = ", ".join(sorted(there)) or "none"
            yield f"storage.storageClasses[{place}]: there is no storage class {wanted.name}; there are {known}"


def read_taints(node: Manifest) -> list[Taint]:
    """Returns a node's taints, without when they were put there."""
    return [
        {name: text(row, name) for name in ("key", "value", "effect") if text(row, name)}
        for row in rows(child(node, "spec"), "taints")
    ]


def _find_old(definition: ClusterDefinition, nodes: Sequence[Manifest]) -> Iterator[str]:
    wanted = _read_version(definition.version)
    found = [text(child(node, "status", "nodeInfo"), "kubeletVersion") for node in nodes]
    known = [version for version in found if _NUMBERS.search(version)]
    oldest = min(known, key=_read_version, default="")
    if oldest and _read_version(oldest) < wanted:
        yield f"version: {definition.version} is the least, but the oldest node has {oldest}"


def _read_version(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in _NUMBERS.findall(version.partition("+")[0])[:3])


def _find_lack(group: ClusterNodes, name: str, node: Manifest) -> Adaptation | None:
    """Returns what a node lacks to be one of a group; None where it cannot be."""
    labels = child(node, "metadata", "labels")
    roles = {label.removeprefix(_ROLE_LABEL) for label in labels if label.startswith(_ROLE_LABEL)}
    if not _plays(group.role, roles) or not _is_large_enough(group, child(node, "status", "capacity")):
        return None
    if any(label in labels and labels[label] != value for label, value in group.labels.items()):
        return None
    there = read_taints(node)
    wanted = [taint.model_dump(exclude_none=True) for taint in group.taints]
    missing = {label: value for label, value in group.labels.items() if label not in labels}
    return Adaptation(name, missing, tuple(taint for taint in wanted if taint not in there))


def _plays(role: str, roles: set[str]) -> bool:
    if role in _MASTERS:
        return bool(roles & _MASTERS)
    return role in roles or (role == "worker" and not roles & _MASTERS)


def _is_large_enough(group: ClusterNodes, capacity: Manifest) -> bool:
    return all(
        parse_quantity(str(capacity.get(_name_resource(name), 0))) >= parse_quantity(wanted)
        for name, wanted in group.resources.items()
    )


def _name_resource(name: str) -> str:
    return {"disk": "ephemeral-storage", "gpu": "nvidia.com/gpu"}.get(name, name)


def _tell_missing(place: int, group: ClusterNodes, count: int) -> str:
    size = ", ".join(f"{name} {quantity}" for name, quantity in group.resources.items())
    labels = ", ".join(f"{name}={value}" for name, value in group.labels.items())
    what = f" of {size}" * bool(size) + f" that are or can be labelled {labels}" * bool(labels)
    return f"nodes[{place}]: {group.count} {group.role} nodes{what} are needed, there are {count}"
