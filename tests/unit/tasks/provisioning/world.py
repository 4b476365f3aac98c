"""A cluster of services and pools that are healthy as soon as they are there, and tasks that are driven through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any

from tests.unit.procedures.cluster import Cluster, Json
from tests.unit.procedures.course import Course, drive, situation

from vapora.core.catalog import build_entry
from vapora.core.procedures.task import build_task, build_undo_task
from vapora.core.tasks.builtin import BUILT_IN

run_task, undo_task = build_task(BUILT_IN), build_undo_task(BUILT_IN)
SERVICE: Json = {"image": "service:${version}", "version": "0.1.0"}
POOL: Json = {"role": "worker", "template": {"image": "team/agents:worker-0.1.0"}}


def said(type_: str, status: str, message: str = "", since: str = "2026-01-01T00:00:00Z") -> Json:
    """A condition."""
    return {"type": type_, "status": status, "reason": "R", "message": message, "lastTransitionTime": since}


READY: Json = {"observedGeneration": 1, "phase": "Healthy", "conditions": [said("Ready", "True")]}
STARTING: Json = {
    "observedGeneration": 1,
    "conditions": [said("Ready", "False", "1 of 2"), said("Reconciling", "True", "1 of 2")],
}
DEGRADED: Json = {
    "observedGeneration": 1,
    "conditions": [said("Ready", "False", "ImagePullBackOff: no"), said("Degraded", "True", "ImagePullBackOff: no")],
}
STALLED: Json = {"observedGeneration": 1, "conditions": [said("Stalled", "True", "needs itself: a -> a")]}


def build(kind: str, name: str, spec: Mapping[str, object], namespace: str = "default") -> Json:
    """An object of ours."""
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "vapora.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": dict(spec)}


def define(kind: str, name: str, spec: Mapping[str, object], namespace: str = "default") -> Json:
    """An entry of the catalogue."""
    entry = dict(build_entry(build(kind, name, spec, namespace), "default"))
    return {**entry, "metadata": dict(entry["metadata"])}


def healthy(*objects: Json) -> Cluster:
    """A cluster where everything is healthy at once."""
    cluster = Cluster(*objects)
    cluster.statuses = {kind: _forever(READY) for kind in ("Taskserv", "AgentPool")}
    return cluster


def _forever(status: Json) -> Iterator[Json]:
    return repeat(status)


def body(type_: str, params: Mapping[str, object]) -> Json:
    return {"type": f"provisioning.{type_}", "params": dict(params)}


def run(cluster: Cluster, type_: str, params: Mapping[str, object], **fields: Any) -> Course:
    """Drives a task to its end; `crash_at` and `is_made` say where the operator dies."""
    crash = {name: fields.pop(name) for name in ("crash_at", "is_made") if name in fields}
    return drive(run_task, situation(body(type_, params), **fields), cluster, **crash)


def undo(cluster: Cluster, type_: str, params: Mapping[str, object], memory: Mapping[str, object]) -> Course:
    """Drives the undoing of a task to its end."""
    return drive(undo_task, situation(body(type_, params), undoes=memory), cluster)
