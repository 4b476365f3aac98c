"""What the operator says about a Taskserv."""

from __future__ import annotations

from datetime import datetime

from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.conditions import Condition, cut, merge_conditions, timestamp
from vapora.core.plan import Manifest
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.dependencies import HEALTHY
from vapora.core.taskserv.health import DEGRADED, DEPLOYING, FAILED, PENDING, WAITING, Health
from vapora.core.taskserv.manifests import name_workload_kind
from vapora.core.taskserv.observed import Observed
from vapora.core.views import rows

QUIET = frozenset({Reason.Deploying, Reason.WaitingForDependency, Reason.ReplicasNotReady, Reason.ApiUnavailable})
_MAX_LINE = 256


def build_conditions(health: Health, refusal: Condition | None, *, has_needs: bool) -> tuple[Condition, ...]:
    """Builds what there is to say about a service whose spec is sound."""
    said = [Condition("Ready", "True" if health.is_ready else "False", health.reason, health.message)]
    if health.phase == DEGRADED:
        said.append(Condition("Degraded", "True", health.reason, health.message))
    if refusal:
        said.append(refusal)
    elif health.phase in {PENDING, WAITING, DEPLOYING}:
        said.append(Condition("Reconciling", "True", health.reason, health.message))
    if has_needs:
        said.append(_describe_needs(health))
    return tuple(said)


def build_refused_conditions(problem: SpecProblem) -> tuple[Condition, ...]:
    """Builds what there is to say about a service whose spec cannot be carried out."""
    return (
        Condition("Ready", "False", problem.reason, problem.message),
        Condition("Stalled", "True", problem.reason, problem.message),
    )


def build_status(
    observed: Observed, spec: TaskservSpec, health: Health, conditions: tuple[Condition, ...], now: datetime
) -> Manifest:
    """Builds the whole status."""
    workload = observed.find_workload(name_workload_kind(spec))
    former = observed.status
    is_good = health.phase == HEALTHY
    status = {
        "phase": health.phase,
        "version": spec.version if is_good or "version" not in former else former["version"],
        "lastGoodVersion": spec.version if is_good else former.get("lastGoodVersion"),
        "replicas": workload.existing if workload else 0,
        "readyReplicas": workload.ready if workload else 0,
        "waitingOn": cut(", ".join(health.waiting_on), _MAX_LINE) or None,
        "message": None if is_good else cut(health.message),
        "deployingSince": timestamp(health.deploying_since) if health.deploying_since else None,
        **_build_common(observed, conditions, now),
    }
    if health.phase == WAITING:
        status["version"] = None
    return {name: value for name, value in status.items() if value is not None}


def build_refused_status(observed: Observed, problem: SpecProblem, now: datetime) -> Manifest:
    """Builds the status of a refused spec; what was said about running replicas stays."""
    kept = {name: value for name, value in observed.status.items() if name not in {"waitingOn", "deployingSince"}}
    conditions = build_refused_conditions(problem)
    return {**kept, "phase": FAILED, "message": cut(problem.message), **_build_common(observed, conditions, now)}


def is_urgent(former: Manifest, status: Manifest) -> bool:
    """Is true where more than numbers changed."""
    return _summarize(former) != _summarize(status)


def _build_common(observed: Observed, conditions: tuple[Condition, ...], now: datetime) -> dict[str, object]:
    generation = observed.meta.generation
    before = rows(observed.status, "conditions")
    return {
        "observedGeneration": generation,
        "conditions": merge_conditions(before, conditions, generation=generation, now=now),
    }


def _describe_needs(health: Health) -> Condition:
    if not health.waiting_on:
        return Condition("DependenciesReady", "True", Reason.DependenciesHealthy, "every required service is healthy")
    return Condition("DependenciesReady", "False", health.reason, health.message)


def _summarize(status: Manifest) -> object:
    turned = [(row.get("type"), row.get("status"), row.get("reason")) for row in rows(status, "conditions")]
    return turned, status.get("observedGeneration"), status.get("phase"), status.get("waitingOn")
