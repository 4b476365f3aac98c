"""The ControllerRevision that pins a run to the spec it began with."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.core import naming
from vapora.core.plan import Key
from vapora.core.views import child
from vapora.core.workflow.definition import compute_digest
from vapora.core.workflow.status import Identity


def revision_key(identity: Identity, digest: str) -> Key:
    """Names the revision of a spec by its digest: the same spec of the same object has the same name."""
    name = naming.child_name(identity.name, identity.uid, f"revision {digest}", naming.NO_ITEM, 0)
    return Key("ControllerRevision", identity.namespace, name)


def build_revision(identity: Identity, raw: Mapping[str, object], generation: int) -> dict[str, object]:
    """Builds the revision; the API server keeps its data immutable."""
    key = revision_key(identity, compute_digest(raw))
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": {naming.LABEL_MANAGED_BY: naming.FIELD_MANAGER, naming.LABEL_WORKFLOW: identity.uid},
            "ownerReferences": [identity.owner_reference],
        },
        "revision": generation,
        "data": {"spec": raw},
    }


def read_revision(revision: Mapping[str, object]) -> Mapping[str, object]:
    """Returns the spec that a revision holds."""
    return child(revision, "data", "spec")
