"""The workspace: a volume of a run's own, mounted in its run steps to hand files on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vapora.api.stepbodies import RunBody
from vapora.api.workflow import Workspace
from vapora.core import naming
from vapora.core.pods import MAIN_CONTAINER, RESTRICTED_POD
from vapora.core.views import child, rows, text
from vapora.core.workflow.status import Identity

VOLUME = "vapora-workspace"
PATH = "/workspace"
GROUP = 65532  # that the volume belongs to, as steps run as users that are not root

Json = dict[str, object]


def build_claim(identity: Identity, workspace: Workspace) -> Json:
    """Builds the claim of the volume; it goes with its Workflow."""
    spec: Json = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": workspace.size}},
    }
    if workspace.storage_class is not None:
        spec["storageClassName"] = workspace.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name_claim(identity),
            "namespace": identity.namespace,
            "labels": {naming.LABEL_MANAGED_BY: naming.FIELD_MANAGER, naming.LABEL_WORKFLOW: identity.uid},
            "ownerReferences": [identity.owner_reference],
        },
        "spec": spec,
    }


def name_claim(identity: Identity) -> str:
    """Names the claim: one of each run."""
    return naming.child_name(identity.name, identity.uid, "workspace claim", naming.NO_ITEM, 0)


def build_volume(claim: str) -> Json:
    """Builds the volume of a pod."""
    return {"name": VOLUME, "persistentVolumeClaim": {"claimName": claim}}


def build_mount() -> Json:
    """Builds the mount of the main container."""
    return {"name": VOLUME, "mountPath": PATH}


def build_pod_fields() -> Json:
    """Builds what lets the steps write to the volume, which is root's at first."""
    group = {"fsGroup": GROUP, "fsGroupChangePolicy": "OnRootMismatch"}
    return {"securityContext": {**RESTRICTED_POD, **group}}


def find_clash(body: RunBody) -> str | None:
    """Says what of a run step stands where the workspace is to be; None where nothing does."""
    for place, volume in _list_volumes(body):
        if text(volume, "name") == VOLUME:
            return f"{place}: the name {VOLUME!r} is the workspace's; give the volume another"
    for place, mount in _list_mounts(body):
        if text(mount, "mountPath").rstrip("/") == PATH:
            return f"{place}: {PATH} is where the workspace is mounted; mount it elsewhere"
    return None


def _list_volumes(body: RunBody) -> Iterator[tuple[str, Mapping[str, object]]]:
    yield from (("volumes", volume) for volume in body.volumes)
    yield from (("podTemplate.spec.volumes", row) for row in rows(child(body.pod_template or {}, "spec"), "volumes"))


def _list_mounts(body: RunBody) -> Iterator[tuple[str, Mapping[str, object]]]:
    yield from (("volumeMounts", mount) for mount in body.volume_mounts)
    for container in rows(child(body.pod_template or {}, "spec"), "containers"):
        if text(container, "name") == MAIN_CONTAINER:
            yield from (
                ("podTemplate.spec.containers[main].volumeMounts", row) for row in rows(container, "volumeMounts")
            )
