"""Who else an object belongs to: a GitOps tool that tracks it, another field manager that shapes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vapora.core import naming
from vapora.core.views import child, rows, text

Manifest = Mapping[str, object]

# Argo CD tracks by this annotation, or by a label: one of its own, or the common one, which proves nothing alone.
_ARGO = "argocd.argoproj.io/"
_ARGO_ID = f"{_ARGO}tracking-id"
_ARGO_LABEL = f"{_ARGO}instance"
_COMMON_LABEL = "app.kubernetes.io/instance"
_FLUX = {
    "kustomize.toolkit.fluxcd.io/name": "Kustomization",
    "helm.toolkit.fluxcd.io/name": "HelmRelease",
}
# They complete what others ask for: a volume's name, a node's, a size by a HorizontalPodAutoscaler; and ourselves.
_CONTROLLERS = frozenset(
    {"kube-controller-manager", "cloud-controller-manager", "kube-scheduler", "kubelet", naming.FIELD_MANAGER}
)
# Bookkeeping of controllers beside an object's content.
_BOOKKEEPING = frozenset({"f:annotations", "f:finalizers"})
_RUN_MANAGER = re.compile(re.escape(naming.FIELD_MANAGER) + "-[0-9a-f]{8}")


def find_tracker(manifest: Manifest) -> str:
    """Names what tracks an object from Git, such as `Argo CD (app)`; empty where nothing does."""
    annotations, labels = child(manifest, "metadata", "annotations"), child(manifest, "metadata", "labels")
    if tracking := text(annotations, _ARGO_ID):
        return f"Argo CD ({tracking.split(':')[0]})"
    if application := text(labels, _ARGO_LABEL):
        return f"Argo CD ({application})"
    if text(labels, _COMMON_LABEL) and any(name.startswith(_ARGO) for name in (*annotations, *labels)):
        return f"Argo CD ({text(labels, _COMMON_LABEL)})"
    found = next((name for name in _FLUX if text(labels, name)), None)
    return f"Flux ({_FLUX[found]} {text(labels, found)})" if found else ""


def find_claimant(manifest: Manifest, manager: str) -> str:
    """Names another field manager that shapes an object's content; empty where `manager` alone does.

    Writers of the status, of a size through `scale`, of annotations and finalizers claim nothing.
    """
    for entry in _list_entries(manifest):
        name = text(entry, "manager")
        if name == manager or name in _CONTROLLERS or text(entry, "subresource"):
            continue
        fields = child(entry, "fieldsV1")
        inside = set(child(fields, "f:metadata")) - {"."} - _BOOKKEEPING
        if inside or set(fields) - {"f:metadata", "f:status"}:
            return name
    return ""


def is_former_run(manager: str, own: str) -> bool:
    """Says whether a field manager is another run of ours."""
    return manager != own and _RUN_MANAGER.fullmatch(manager) is not None


def read_fields(manifest: Manifest, manager: str) -> Mapping[str, object]:
    """Returns the fields that a manager has applied, as `fieldsV1`; empty where there are none."""
    entries = (entry for entry in _list_entries(manifest) if text(entry, "manager") == manager)
    applied = (entry for entry in entries if text(entry, "operation") == "Apply" and not text(entry, "subresource"))
    return next((child(entry, "fieldsV1") for entry in applied), {})


def _list_entries(manifest: Manifest) -> Iterator[Manifest]:
    yield from rows(child(manifest, "metadata"), "managedFields")
