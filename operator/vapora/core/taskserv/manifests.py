"""What a Taskserv is made of: a Deployment or a StatefulSet, and a Service."""

from __future__ import annotations

import math

from vapora.api.durations import parse_duration
from vapora.api.taskserv import Storage, TaskservSpec, TopologySpread
from vapora.core.owned import build_labels, build_metadata, build_selector
from vapora.core.plan import Manifest
from vapora.core.pods import PodParts, build_pod_template
from vapora.core.taskserv.probes import build_probes
from vapora.core.taskserv.supported import VERSION_PLACE
from vapora.core.views import Meta

_VOLUME = "data"
# Said in full, so that a change to another strategy takes all of it away.
_ROLLING: Manifest = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


def build_manifests(owner: Meta, spec: TaskservSpec) -> tuple[Manifest, ...]:
    """Builds the workload first, then the Service where there is something to serve."""
    workload = _build_stateful_set(owner, spec) if spec.type == "stateful" else _build_deployment(owner, spec)
    has_service = bool(spec.ports) or spec.type == "stateful"
    return (workload, _build_service(owner, spec)) if has_service else (workload,)


def name_workload_kind(spec: TaskservSpec) -> str:
    """Names the kind that runs the pods."""
    return "StatefulSet" if spec.type == "stateful" else "Deployment"


def count_replicas(spec: TaskservSpec) -> int:
    """Returns how many replicas are wanted."""
    return 1 if spec.replicas is None else spec.replicas


def resolve_image(spec: TaskservSpec) -> str:
    """Returns the image with the version put in."""
    return spec.image.replace(VERSION_PLACE, spec.version or "")


def _build_deployment(owner: Meta, spec: TaskservSpec) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": build_metadata(owner, owner.key.name),
        "spec": {
            **_build_common(owner, spec),
            "strategy": _ROLLING if spec.upgrade.strategy == "rolling" else {"type": "Recreate"},
            "progressDeadlineSeconds": max(1, math.ceil(parse_duration(spec.upgrade.progress_deadline))),
        },
    }


def _build_stateful_set(owner: Meta, spec: TaskservSpec) -> Manifest:
    """All replicas start at once: one by one, a first image that fails would have to be cleared away by hand."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": build_metadata(owner, owner.key.name),
        "spec": {
            **_build_common(owner, spec),
            "serviceName": owner.key.name,
            "podManagementPolicy": "Parallel",
            **({"volumeClaimTemplates": [_build_claim(spec.storage)]} if spec.storage else {}),
        },
    }


def _build_claim(storage: Storage) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": _VOLUME},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": storage.size}},
            **({"storageClassName": storage.storage_class} if storage.storage_class else {}),
        },
    }


def _build_service(owner: Meta, spec: TaskservSpec) -> Manifest:
    ports = [{"name": name, "port": port, "targetPort": port, "protocol": "TCP"} for name, port in spec.ports.items()]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(owner, owner.key.name),
        "spec": {
            "selector": build_selector(owner),
            **({"clusterIP": "None"} if spec.type == "stateful" else {}),
            **({"ports": ports} if ports else {}),
        },
    }


def _build_common(owner: Meta, spec: TaskservSpec) -> Manifest:
    return {
        "replicas": count_replicas(spec),
        "revisionHistoryLimit": spec.revision_history,
        "selector": {"matchLabels": build_selector(owner)},
        "template": _build_template(owner, spec),
    }


def _build_template(owner: Meta, spec: TaskservSpec) -> Manifest:
    mounts = [{"name": _VOLUME, "mountPath": spec.storage.mount_path}] if spec.storage else []
    spread = [_build_spread(owner, row) for row in spec.topology_spread]
    return build_pod_template(
        PodParts(
            image=resolve_image(spec),
            image_pull_policy=spec.image_pull_policy,
            command=spec.command,
            args=spec.args,
            env=spec.environment,
            env_sources={name: {"secretKeyRef": ref.model_dump()} for name, ref in spec.secrets.items()},
            env_from=spec.env_from,
            resources=spec.resources.model_dump(exclude_defaults=True),
            ports=spec.ports,
            volume_mounts=mounts,
            # The last log lines say why a container ended.
            container={"terminationMessagePolicy": "FallbackToLogsOnError", **build_probes(spec)},
            pod={"topologySpreadConstraints": spread} if spread else {},
            labels=build_labels(owner),
            pod_template=spec.pod_template,
        )
    )


def _build_spread(owner: Meta, spread: TopologySpread) -> Manifest:
    return {
        "topologyKey": spread.topology_key,
        "maxSkew": spread.max_skew,
        "whenUnsatisfiable": spread.when_unsatisfiable,
        "labelSelector": {"matchLabels": build_selector(owner)},
    }
