"""What the operator keeps beside an object: its metadata, and whether the newest form was applied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Protocol

from vapora.api.kinds import API_VERSION
from vapora.core import naming
from vapora.core.plan import Apply, Delete, Manifest
from vapora.core.views import ANNOTATION_APPLIED, Meta, PlainView, RouteView, WorkloadView, child

KeptView = WorkloadView | PlainView | RouteView


class Made(Protocol):
    """Is whatever was made for an owner."""

    @property
    def meta(self) -> Meta:
        """Says which object it is."""
        ...


LEFTOVER_POLL = 1.0  # seconds; what belongs to another owner tells that one, not us, when it goes


def build_labels(owner: Meta) -> dict[str, str]:
    """Builds the labels of everything made for a pool or a service: who manages it, and whose it is."""
    named = naming.LABEL_POOL if owner.key.kind == "AgentPool" else naming.LABEL_TASKSERV
    return {naming.LABEL_MANAGED_BY: naming.FIELD_MANAGER, naming.LABEL_OWNER: owner.uid, named: owner.key.name}


def build_selector(owner: Meta) -> dict[str, str]:
    """Builds the labels that select the owner's pods and no namesake's."""
    return {naming.LABEL_OWNER: owner.uid}


def build_metadata(owner: Meta, name: str) -> dict[str, object]:
    """Builds the metadata of a child that goes when its owner goes."""
    return {
        "name": name,
        "namespace": owner.key.namespace,
        "labels": build_labels(owner),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": owner.key.kind,
                "name": owner.key.name,
                "uid": owner.uid,
                "controller": True,
            }
        ],
    }


def describe_leftovers(leftovers: Iterable[Meta]) -> str:
    """Says what still has the names that are needed: mostly what a deleted namesake has left for a moment."""
    return f"waits until what others own is gone: {', '.join(f'{m.key.kind} {m.key.name}' for m in leftovers)}"


def plan_apply(manifest: Manifest, existing: KeptView | None) -> tuple[Apply, ...]:
    """Applies a child that is absent, whose newest form was not applied, or whose replicas someone else has set.

    One that is going away is let go first.
    """
    digest = compute_digest(manifest)
    if existing is not None and (existing.meta.is_deleting or _is_as_applied(manifest, digest, existing)):
        return ()
    metadata = child(manifest, "metadata")
    annotations = {**child(metadata, "annotations"), ANNOTATION_APPLIED: digest}
    return (Apply({**manifest, "metadata": {**metadata, "annotations": annotations}}),)


def _is_as_applied(manifest: Manifest, digest: str, existing: KeptView) -> bool:
    wanted = child(manifest, "spec").get("replicas")
    is_sized = not isinstance(existing, WorkloadView) or wanted in {None, existing.replicas}
    return is_sized and existing.applied == digest


def plan_removal(existing: Iterable[Made], wanted: Iterable[Manifest]) -> tuple[Delete, ...]:
    """Deletes the children that are not wanted any more."""
    kept = {(str(manifest["kind"]), str(child(manifest, "metadata")["name"])) for manifest in wanted}
    return tuple(
        Delete(view.meta.key, view.meta.uid)
        for view in existing
        if (view.meta.key.kind, view.meta.key.name) not in kept and not view.meta.is_deleting
    )


def plan_size(view: WorkloadView | None, replicas: int | None, *, force: bool = False) -> tuple[Apply, ...]:
    """Sets the size of a workload that is there; None leaves it to whoever owns it.

    The size has a field manager of its own. Whoever else takes it holds up nothing but the size, and to leave it to an
    HPA is to do nothing: a field that its only manager drops falls back to 1.
    """
    if view is None or view.meta.is_deleting or replicas is None or view.replicas == replicas:
        return ()
    key = view.meta.key
    manifest = {
        "apiVersion": "apps/v1",
        "kind": key.kind,
        "metadata": {"namespace": key.namespace, "name": key.name, "uid": view.meta.uid},
        "spec": {"replicas": replicas},
    }
    return (Apply(manifest, manager=naming.SIZE_MANAGER, force=force),)


def compute_digest(manifest: Mapping[str, object]) -> str:
    """Identifies a manifest by its content."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
