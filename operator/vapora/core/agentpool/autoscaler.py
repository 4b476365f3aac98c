"""The HPA that owns the size of a pool with `mode: hpa`, and autoscalers of others that are aimed at a pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vapora.api.agentpool import AgentPoolSpec, Scaling
from vapora.core.agentpool.manifests import name_deployment
from vapora.core.owned import build_metadata
from vapora.core.plan import Manifest
from vapora.core.views import Meta, child, text

KIND = "HorizontalPodAutoscaler"
_DEFAULT_CPU_PERCENT = 80  # Kubernetes' own, where a spec names no target


@dataclass(frozen=True, slots=True)
class Aim:
    """Is what an autoscaler sets the size of."""

    namespace: str
    kind: str
    name: str


def build_autoscaler(owner: Meta, scaling: Scaling) -> Manifest:
    """Builds the HPA; its least size is 1, as Kubernetes takes 0 only behind a feature gate."""
    target = {"type": "Utilization", "averageUtilization": scaling.cpu_target_percent or _DEFAULT_CPU_PERCENT}
    name = name_deployment(owner.key.name)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": KIND,
        "metadata": build_metadata(owner, name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": max(scaling.min, 1),
            "maxReplicas": scaling.max,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def find_autoscaler_problem(spec: AgentPoolSpec) -> str | None:
    """An HPA reckons in percent of what is requested: without a request it would never do anything."""
    if spec.scaling is None or spec.scaling.mode != "hpa":
        return None
    resources = spec.template.resources
    if "cpu" in resources.requests or "cpu" in resources.limits:
        return None
    return "template.resources.requests: scaling.mode hpa needs a request of cpu"


def read_aim(autoscaler: Mapping[str, object]) -> Aim:
    """Reads what an HPA is aimed at; a ScaledObject of KEDA makes one with the same target."""
    target = child(autoscaler, "spec", "scaleTargetRef")
    return Aim(text(child(autoscaler, "metadata"), "namespace"), text(target, "kind"), text(target, "name"))


def list_aims(owner: Meta, scaling: Scaling | None) -> tuple[Aim, ...]:
    """Returns where an autoscaler of somebody else is in the way; with mode none it may be aimed at the pool."""
    key = owner.key
    deployment = Aim(key.namespace, "Deployment", name_deployment(key.name))
    is_open = scaling is None or scaling.mode == "none"
    return (deployment,) if is_open else (deployment, Aim(key.namespace, "AgentPool", key.name))
