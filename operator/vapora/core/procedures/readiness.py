"""When an applied object is ready, by the rules that kstatus reads of its own status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vapora.core.views import child, number, rows, text

Manifest = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Ready:
    """The object is as its spec wants it."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """The object is on its way; `why` says how far."""

    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The object's controller has not written a status, which may mean that it never does."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The object has failed, or is stuck."""

    why: str


Readiness = Ready | NotYet | Unknown | Broken
_READY = ("Ready", "Available", "Succeeded")  # the first of them that an object has decides


def judge_readiness(found: Manifest) -> Readiness:
    """Says how an object stands, of any kind."""
    if (pending := _find_pending(found)) is not None:
        return pending
    group, kind = text(found, "apiVersion").rpartition("/")[0], text(found, "kind")
    if rule := _RULES.get((group, kind)):
        return rule(found)
    if _is_custom(group) and not child(found, "status"):
        return Unknown()
    return _judge_conditions(found)


def _find_pending(found: Manifest) -> Readiness | None:
    """Returns what every kind may say of being on its way, or stuck."""
    meta, observed = child(found, "metadata"), child(found, "status").get("observedGeneration")
    if "deletionTimestamp" in meta:
        return NotYet("it is being deleted")
    if observed is not None and observed != meta.get("generation"):
        return NotYet("its controller has not seen the change yet")
    if stalled := _find_condition(found, "Stalled", "True"):
        return Broken(_describe(stalled))
    reconciling = _find_condition(found, "Reconciling", "True")
    return NotYet(_describe(reconciling)) if reconciling else None


def _is_custom(group: str) -> bool:
    """Is true for groups of custom resources: the built-in ones have no dot or end with k8s.io."""
    return "." in group and not group.endswith(".k8s.io")


def _judge_conditions(found: Manifest) -> Readiness:
    if failed := _find_condition(found, "Failed", "True"):
        return Broken(_describe(failed))
    conditions = {text(row, "type"): row for row in rows(child(found, "status"), "conditions")}
    row = next((conditions[type_] for type_ in _READY if type_ in conditions), None)
    if row is None:
        return Ready()
    seen = row.get("observedGeneration")
    if isinstance(seen, int) and seen != number(child(found, "metadata"), "generation"):
        return NotYet("its controller has not seen the change yet")
    return Ready() if row.get("status") == "True" else NotYet(_describe(row))


def _judge_deployment(found: Manifest) -> Readiness:
    progressing = _find_condition(found, "Progressing", "False")
    if progressing and text(progressing, "reason") == "ProgressDeadlineExceeded":
        return Broken(_describe(progressing))
    status, wanted = child(found, "status"), _count_wanted(found)
    updated, total = number(status, "updatedReplicas"), number(status, "replicas")
    if updated < wanted:
        return NotYet(f"{updated} of {wanted} replicas are updated")
    if total > updated:
        return NotYet(f"{total - updated} old replicas are still there")
    return _compare(number(status, "availableReplicas"), wanted, status)


def _judge_stateful_set(found: Manifest) -> Readiness:
    status, wanted, strategy = child(found, "status"), _count_wanted(found), child(found, "spec", "updateStrategy")
    if text(strategy, "type") == "OnDelete":
        return Ready()
    partition = number(child(strategy, "rollingUpdate"), "partition")
    updated = number(status, "updatedReplicas")
    if updated < wanted - partition:
        return NotYet(f"{updated} of {wanted - partition} replicas are updated")
    if number(status, "replicas") > wanted:
        return NotYet(f"{number(status, 'replicas') - wanted} replicas are yet to go")
    return _compare(number(status, "readyReplicas"), wanted, status)


def _judge_daemon_set(found: Manifest) -> Readiness:
    status = child(found, "status")
    wanted, updated = number(status, "desiredNumberScheduled"), number(status, "updatedNumberScheduled")
    if updated < wanted:
        return NotYet(f"{updated} of {wanted} replicas are updated")
    return _compare(number(status, "numberAvailable"), wanted, status)


def _judge_job(found: Manifest) -> Readiness:
    if failed := _find_condition(found, "Failed", "True"):
        return Broken(_describe(failed))
    if _find_condition(found, "Complete", "True"):
        return Ready()
    return NotYet("it is suspended" if child(found, "spec").get("suspend") is True else "it runs")


def _judge_claim(found: Manifest) -> Readiness:
    phase = text(child(found, "status"), "phase")
    if phase == "Lost":
        return Broken("its volume is lost")
    if phase == "Bound":
        return Ready()
    return NotYet(f"it is {phase or 'new'}; some storage classes bind a claim only when a pod uses it")


def _judge_pod(found: Manifest) -> Readiness:
    phase = text(child(found, "status"), "phase")
    if phase == "Failed":
        return Broken(text(child(found, "status"), "message") or "it failed")
    if phase == "Succeeded" or _find_condition(found, "Ready", "True"):
        return Ready()
    return NotYet(f"it is {phase or 'not scheduled'}")


def _judge_definition(found: Manifest) -> Readiness:
    refused = _find_condition(found, "NamesAccepted", "False")
    if refused:
        return Broken(_describe(refused))
    return Ready() if _find_condition(found, "Established", "True") else NotYet("it is not established")


def _judge_application(found: Manifest) -> Readiness:
    """Judges an Application of Argo CD by its last comparison, once that was with the present source."""
    status = child(found, "status")
    compared = child(status, "sync", "comparedTo", "source")
    if compared and compared != child(found, "spec", "source"):
        return NotYet("Argo CD has not seen the change yet")
    sync, health = text(child(status, "sync"), "status"), text(child(status, "health"), "status")
    if (sync, health) == ("Synced", "Healthy"):
        return Ready()
    words = text(child(status, "operationState"), "message") or text(child(status, "health"), "message")
    told = f"it is {sync or 'not compared'} and {health or 'of unknown health'}"
    return NotYet(f"{told}: {words}" if words else told)


def _judge_release(found: Manifest) -> Readiness:
    """Judges a HelmRelease of Flux, which is never ready without saying so."""
    has_said = any(row.get("type") == "Ready" for row in rows(child(found, "status"), "conditions"))
    return _judge_conditions(found) if has_said else NotYet("Flux has not looked at it yet")


_RULES: Mapping[tuple[str, str], Callable[[Manifest], Readiness]] = {
    ("apps", "Deployment"): _judge_deployment,
    ("apps", "StatefulSet"): _judge_stateful_set,
    ("apps", "DaemonSet"): _judge_daemon_set,
    ("batch", "Job"): _judge_job,
    ("", "PersistentVolumeClaim"): _judge_claim,
    ("", "Pod"): _judge_pod,
    ("argoproj.io", "Application"): _judge_application,
    ("helm.toolkit.fluxcd.io", "HelmRelease"): _judge_release,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _judge_definition,
}


def _count_wanted(found: Manifest) -> int:
    spec = child(found, "spec")
    return number(spec, "replicas") if "replicas" in spec else 1


def _compare(have: int, wanted: int, status: Manifest) -> Readiness:
    """Says whether enough are there; without a status the controller has not looked, even where none are wanted."""
    if have >= wanted and "observedGeneration" in status:
        return Ready()
    return NotYet(f"{have} of {wanted} replicas are ready")


def _find_condition(found: Manifest, type_: str, status: str) -> Manifest | None:
    conditions = rows(child(found, "status"), "conditions")
    return next((row for row in conditions if row.get("type") == type_ and row.get("status") == status), None)


def _describe(row: Manifest) -> str:
    return text(row, "message") or text(row, "reason") or text(row, "type")
