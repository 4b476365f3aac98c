"""What runs the pods of a service: a Deployment, a StatefulSet or a Job."""

from __future__ import annotations

import math

from vapora.api.durations import parse_duration
from vapora.api.taskserv import Storage, TaskservSpec
from vapora.core import naming
from vapora.core.owned import build_metadata, build_selector
from vapora.core.plan import Manifest
from vapora.core.taskserv.objects.template import VOLUME, build_template
from vapora.core.views import Meta, child

# Said in full, so that a change to another strategy takes all of it away.
_ROLLING: Manifest = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
_KINDS = {"service": "Deployment", "stateful": "StatefulSet", "job": "Job"}
_JOB_RETRIES = 3


def name_workload_kind(spec: TaskservSpec) -> str:
    """Names the kind that runs the pods."""
    return _KINDS[spec.type]


def name_workload(owner: Meta, track: str) -> str:
    """Names the Deployment of a track; the first one has the service's name."""
    return owner.key.name if track == "blue" else f"{owner.key.name}-{track}"


def build_deployment(owner: Meta, spec: TaskservSpec, revision: str, track: str, config: str) -> Manifest:
    """Builds the Deployment of a track, but for its size."""
    strategy = {"type": "Recreate"} if spec.upgrade.strategy == "recreate" else _ROLLING
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": build_metadata(owner, name_workload(owner, track)),
        "spec": {
            "revisionHistoryLimit": 1,  # the operator keeps the revisions
            "selector": {"matchLabels": build_track_selector(owner, track)},
            "template": build_template(owner, spec, revision, config, track),
            "strategy": strategy,
            "progressDeadlineSeconds": max(1, math.ceil(parse_duration(spec.upgrade.progress_deadline))),
        },
    }


def build_stateful_set(owner: Meta, spec: TaskservSpec, revision: str, config: str) -> Manifest:
    """Builds the StatefulSet, but for its size.

    All replicas start at once: one by one, a first image that fails would have to be cleared away by hand.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": build_metadata(owner, owner.key.name),
        "spec": {
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": build_selector(owner)},
            "template": build_template(owner, spec, revision, config),
            "serviceName": owner.key.name,
            "podManagementPolicy": "Parallel",
            **({"volumeClaimTemplates": [_build_claim(spec.storage)]} if spec.storage else {}),
        },
    }


def build_job(owner: Meta, spec: TaskservSpec, revision: str) -> Manifest:
    """Builds the Job of a revision: another revision is another Job, as a Job's template never changes."""
    metadata = build_metadata(owner, f"{owner.key.name}-{naming.hash10(owner.uid, revision)}")
    labels = {**child(metadata, "labels"), naming.LABEL_REVISION: revision}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**metadata, "labels": labels},
        "spec": {"backoffLimit": _JOB_RETRIES, "template": build_template(owner, spec, revision)},
    }


def build_track_selector(owner: Meta, track: str) -> dict[str, str]:
    """Builds the labels that select the pods of one Deployment."""
    return {**build_selector(owner), naming.LABEL_TRACK: track}


def _build_claim(storage: Storage) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": VOLUME},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": storage.size}},
            **({"storageClassName": storage.storage_class} if storage.storage_class else {}),
        },
    }
