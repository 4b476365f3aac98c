"""What this version does of an AgentPool's spec."""

from __future__ import annotations

from vapora.api.agentpool import AgentPoolSpec
from vapora.api.reasons import Reason
from vapora.core.agentpool.autoscaler import find_autoscaler_problem
from vapora.core.agentpool.triggers import find_trigger_problem
from vapora.core.pods import find_template_problem
from vapora.core.supported import SpecProblem, Support, read_spec

SUPPORTED = Support(
    fields=frozenset(
        {
            "role",
            "capabilities",
            "replicas",
            "maxConcurrent",
            "template",
            "drain",
            "budget",
            "providers",
            "paused",
            "scaling.mode",
            "scaling.min",
            "scaling.max",
            "scaling.scaleUpAbove",
            "scaling.scaleDownBelow",
            "scaling.upStep",
            "scaling.downStep",
            "scaling.rule",
            "scaling.targetPerReplica",
            "scaling.interval",
            "scaling.scaleDownStabilization",
            "scaling.triggers",
            "scaling.onUnknown",
            "scaling.onUnknownReplicas",
            "scaling.warm",
            "scaling.predict",
            "scaling.cpuTargetPercent",
        }
    ),
)


def read_pool_spec(raw: object) -> AgentPoolSpec | SpecProblem:
    """Returns the parsed spec, or why it is refused."""
    spec = read_spec(AgentPoolSpec, raw, SUPPORTED)
    if isinstance(spec, SpecProblem):
        return spec
    problem = find_template_problem(spec.template.pod_template)
    problem = f"template.{problem}" if problem else find_trigger_problem(spec) or find_autoscaler_problem(spec)
    return SpecProblem(Reason.InvalidSpec, f"spec.{problem}") if problem else spec
