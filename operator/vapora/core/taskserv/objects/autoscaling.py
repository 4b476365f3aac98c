"""The HPA that owns a service's size, and the budget that a drain keeps to."""

from __future__ import annotations

from collections.abc import Iterator

from vapora.api.taskserv import TaskservSpec
from vapora.core.owned import build_metadata, build_selector
from vapora.core.plan import Manifest
from vapora.core.taskserv.objects.workload import name_workload, name_workload_kind
from vapora.core.views import Meta

_DEFAULT_CPU_PERCENT = 80  # Kubernetes' own, where a spec names no target


def build_autoscaler(owner: Meta, spec: TaskservSpec, track: str) -> Iterator[Manifest]:
    """Yields the HPA of the workload that is served."""
    scaling = spec.scaling
    if scaling is None:
        return
    cpu, memory = scaling.target_cpu_percent, scaling.target_memory_percent
    targets = {"cpu": cpu if cpu or memory else _DEFAULT_CPU_PERCENT, "memory": memory}
    yield {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": build_metadata(owner, owner.key.name),
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": name_workload_kind(spec),
                "name": name_workload(owner, track),
            },
            "minReplicas": scaling.min,
            "maxReplicas": scaling.max,
            "metrics": [_build_metric(name, percent) for name, percent in targets.items() if percent],
        },
    }


def build_budget(owner: Meta, spec: TaskservSpec) -> Iterator[Manifest]:
    """Yields the PodDisruptionBudget."""
    budget = spec.disruption_budget
    if budget is None:
        return
    yield {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": build_metadata(owner, owner.key.name),
        "spec": {
            "selector": {"matchLabels": build_selector(owner)},
            **budget.model_dump(mode="json", by_alias=True, exclude_none=True),
        },
    }


def _build_metric(resource: str, percent: int) -> Manifest:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}
