"""The decision about one Provider: it makes nothing by itself; its status says how it is and what it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from vapora.api.provider import INVENTORY_MAX, ProviderSpec
from vapora.api.reasons import Reason
from vapora.core.calls import Answer
from vapora.core.conditions import Condition, merge_conditions, timestamp
from vapora.core.naming import API_VERSION
from vapora.core.plan import Plan, Problem
from vapora.core.procedures.readiness import Broken, Ready, Unknown, judge_readiness
from vapora.core.provider.types import ProviderType
from vapora.core.supported import SpecProblem
from vapora.core.transitions import tell_transitions
from vapora.core.views import Meta, child, rows, text

Row = Mapping[str, str]
TASKSERV = (API_VERSION, "Taskserv")
_QUIET = frozenset({Reason.InventoryUnread, Reason.ApiUnavailable})


@dataclass(frozen=True, slots=True)
class Reading:
    """Is what was last read: the inventory, or the answer that says why it could not be."""

    at: datetime
    inventory: tuple[Row, ...] = ()
    refusal: Answer | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """Is all that is known of a Provider."""

    meta: Meta
    spec: tuple[ProviderSpec, ProviderType] | SpecProblem
    status: Mapping[str, object]
    reading: Reading | None
    in_use: int
    throttled: int
    problems: tuple[Problem, ...] = ()


def plan_provider(observed: Observed, now: datetime) -> Plan:
    """Decides what is said of a Provider."""
    if observed.meta.is_deleting:
        return Plan()
    former = rows(observed.status, "conditions")
    conditions = _build_conditions(observed)
    generation, reading = observed.meta.generation, observed.reading
    status: dict[str, object] = {
        **{name: observed.status[name] for name in ("inventory", "refreshedAt") if name in observed.status},
        "observedGeneration": generation,
        "conditions": merge_conditions(former, conditions, generation=generation, now=now),
        "inUse": observed.in_use,
        "throttled": observed.throttled,
    }
    if reading is not None and reading.refusal is None:
        inventory = [dict(row) for row in reading.inventory[:INVENTORY_MAX]]
        is_news = inventory != observed.status.get("inventory")
        status["inventory"] = inventory
        # The time alone is no reason to write once a minute.
        status["refreshedAt"] = timestamp(reading.at) if is_news else observed.status.get("refreshedAt")
    turned = tell_transitions(former, conditions, quiet=_QUIET)
    is_urgent = _summarize(former) != _summarize(rows(status, "conditions"))
    return Plan(status=status, events=turned, urgent=is_urgent)


def read_inventory(type_: ProviderType, found: Sequence[Mapping[str, object]]) -> tuple[Row, ...]:
    """Returns the rows of what was found, by kind and name."""
    inventory = []
    for obj in found:
        is_service = text(obj, "kind") == TASKSERV[1]
        kind, name = ("taskserv", text(child(obj, "metadata"), "name")) if is_service else type_.name_item(obj)
        inventory.append({"name": name, "kind": kind, "state": _describe(obj)})
    return tuple(sorted(inventory, key=lambda row: (row["kind"], row["name"])))


def _describe(found: Mapping[str, object]) -> str:
    match judge_readiness(found):
        case Ready():
            return "Ready"
        case Broken():
            return "Failed"
        case Unknown():
            return "Unknown"
    return "Pending"


def _build_conditions(observed: Observed) -> tuple[Condition, ...]:
    if isinstance(observed.spec, SpecProblem):
        reason, message = observed.spec.reason, observed.spec.message
        return Condition("Ready", "False", reason, message), Condition("Stalled", "True", reason, message)
    reading = observed.reading
    if reading is None:
        message = "what it has is being read"
        return (
            Condition("Ready", "Unknown", Reason.InventoryUnread, message),
            Condition("Reconciling", "True", Reason.InventoryUnread, message),
        )
    if reading.refusal is None:
        told = f"{len(reading.inventory)} in its inventory"
        if len(reading.inventory) > INVENTORY_MAX:
            told += f", of which {INVENTORY_MAX} are shown"
        return (Condition("Ready", "True", Reason.InventoryRead, told),)
    reason, message = _explain(reading.refusal, observed.spec)
    return Condition("Ready", "False", reason, message), Condition("Reconciling", "True", reason, message)


def _explain(refusal: Answer, spec: tuple[ProviderSpec, ProviderType]) -> tuple[str, str]:
    """Says why the inventory could not be read, and what would change that; it is tried again by itself."""
    if refusal.reason == "NotFound":
        return Reason.KindMissing, f"{refusal.message}: install what a Provider of type {spec[0].type} works with"
    if refusal.reason == "Forbidden":
        account = spec[0].service_account_name
        return Reason.AccountForbidden, f"its account {account} may not read its inventory: {refusal.message}"
    return Reason.ApiUnavailable, refusal.message


def _summarize(conditions: Sequence[Mapping[str, object]]) -> list[object]:
    return [(row.get("type"), row.get("status"), row.get("reason")) for row in conditions]
