"""What the operator says about a Taskserv."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.conditions import Condition, cut, merge_conditions, timestamp
from vapora.core.plan import Manifest
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.children import has_autoscaler
from vapora.core.taskserv.dependencies import HEALTHY
from vapora.core.taskserv.health import DEGRADED, DEPLOYING, FAILED, PENDING, ROLLING_BACK, WAITING, Health
from vapora.core.taskserv.observed import Observed
from vapora.core.taskserv.upgrade.layout import Layout
from vapora.core.taskserv.upgrade.revisions import History, build_rows
from vapora.core.taskserv.upgrade.target import Target
from vapora.core.views import WorkloadView, child, rows, text

QUIET = frozenset(
    {
        Reason.Deploying,
        Reason.RollingBack,
        Reason.WaitingForDependency,
        Reason.ReplicasNotReady,
        Reason.ApiUnavailable,
        Reason.RolledBack,  # told when it begins
    }
)
_IN_PROGRESS = frozenset({PENDING, WAITING, DEPLOYING, ROLLING_BACK})
_MAX_LINE = 256
_DECIDED = (
    "observedGeneration",
    "phase",
    "waitingOn",
    "pinnedRevision",
    "rollback",
    "track",
    "retiring",
    "autoscaled",
    "lastGoodRevision",
    "handledRequest",
    "handledRollbackTo",
)


def build_conditions(
    health: Health, refusals: Sequence[Condition], more: Sequence[Condition], *, has_needs: bool
) -> tuple[Condition, ...]:
    """Builds what there is to say about a service whose spec is sound; of several of one type the first counts."""
    said = [Condition("Ready", "True" if health.is_ready else "False", health.reason, health.message)]
    if health.phase == DEGRADED:
        said.append(Condition("Degraded", "True", health.reason, health.message))
    said += [*refusals, *more]
    if health.phase == FAILED and not refusals:
        said.append(Condition("Stalled", "True", health.reason, health.message))
    if any(condition.type == "Stalled" for condition in said):  # what is stuck is not on its way
        said = [condition for condition in said if condition.type != "Reconciling"]
    elif health.phase in _IN_PROGRESS:
        said.append(Condition("Reconciling", "True", health.reason, health.message))
    if has_needs:
        said.append(_describe_needs(health))
    return tuple({condition.type: condition for condition in reversed(said)}.values())


def build_refused_conditions(problem: SpecProblem) -> tuple[Condition, ...]:
    """Builds what there is to say about a service whose spec cannot be carried out."""
    return (
        Condition("Ready", "False", problem.reason, problem.message),
        Condition("Stalled", "True", problem.reason, problem.message),
    )


def build_status(
    observed: Observed, health: Health, conditions: tuple[Condition, ...], now: datetime, more: Manifest
) -> Manifest:
    """Builds the whole status; `more` is what belongs to the revisions."""
    workloads = [view for view in observed.children if isinstance(view, WorkloadView)]
    status = {
        "phase": health.phase,
        "replicas": sum(view.existing for view in workloads),
        "readyReplicas": sum(view.ready for view in workloads),
        "waitingOn": cut(", ".join(health.waiting_on), _MAX_LINE) or None,
        "message": None if health.phase == HEALTHY else cut(health.message),
        "deployingSince": timestamp(health.deploying_since) if health.deploying_since else None,
        **more,
        **_build_common(observed, conditions, now),
    }
    return {name: value for name, value in status.items() if value is not None}


def describe_revisions(
    observed: Observed,
    spec: TaskservSpec,
    health: Health,
    history: History,
    target: Target,
    layout: Layout,
    now: datetime,
) -> Manifest:
    """Builds the part of the status that tells of revisions, and what the next look must know of them."""
    former, revision, pin = observed.status, target.revision, target.pin
    if health.phase == WAITING:
        return {}
    is_good = health.is_good
    good = revision if is_good else history.find(text(former, "lastGoodRevision"))
    outcomes = {revision.id: HEALTHY} if is_good else {}
    if pin and target.failed:
        outcomes[pin.instead] = target.failed
        good = revision
    return {
        "version": _choose_version(former, revision.version, is_good=is_good),
        "lastGoodVersion": good.version or None if good else former.get("lastGoodVersion"),
        "lastGoodRevision": good.id if good else None,
        "revisions": build_rows(history, outcomes, now),
        "pinnedRevision": pin.revision if pin else None,
        "rollback": pin.write() if pin else None,
        "handledRollbackTo": target.handled_rollback_to or None,
        "handledRequest": cut(target.handled_request) or None,
        "autoscaled": _is_autoscaled(observed, spec) or None,
        **layout.write(),
    }


def build_refused_status(observed: Observed, problem: SpecProblem, now: datetime) -> Manifest:
    """Builds the status of a refused spec; what was said about running replicas stays."""
    kept = {name: value for name, value in observed.status.items() if name not in {"waitingOn", "deployingSince"}}
    conditions = build_refused_conditions(problem)
    return {**kept, "phase": FAILED, "message": cut(problem.message), **_build_common(observed, conditions, now)}


def is_urgent(former: Manifest, status: Manifest) -> bool:
    """Is true where more than numbers changed: also what the next look goes on from, or it would begin anew."""
    return _summarize(former) != _summarize(status)


def _is_autoscaled(observed: Observed, spec: TaskservSpec) -> bool:
    """Is true until the size is taken back from the HPA that owned it."""
    was = observed.status.get("autoscaled") is True
    return spec.scaling is not None or (was and (has_autoscaler(observed) or bool(observed.problems)))


def _choose_version(former: Manifest, version: str, *, is_good: bool) -> str | None:
    """The version that runs is a new one's as soon as that is healthy; until something ran it is the one to come."""
    return version or None if is_good or "version" not in former else text(former, "version")


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
    rollout = child(status, "rollout")
    steps = [rollout.get(name) for name in ("revision", "step", "heldAt", "healthyAt")]
    return turned, steps, [status.get(name) for name in _DECIDED]
