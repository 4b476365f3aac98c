"""How services and pools do, as their own status says, and waiting until all of them do well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from vapora.core.calls import ObjectRef
from vapora.core.procedures.answers import fail, name_object
from vapora.core.procedures.apply import FIRST_PAUSE, GROWTH, LONGEST_PAUSE
from vapora.core.procedures.readiness import Broken, NotYet, Readiness, Unknown, judge_readiness
from vapora.core.views import child, number, parse_time, rows, text
from vapora.core.workflow.procedure import Failed, Json, Rest, Situation

Manifest = Mapping[str, object]
Judge = Callable[[Manifest], Readiness]
MAX_TOLD = 3
GRACE = timedelta(seconds=15)  # that something which is degraded may have to come right by itself


def judge_health(found: Manifest) -> Readiness:
    """Says how a Taskserv or an AgentPool does; Broken is one that does not come right by itself."""
    readiness = judge_readiness(found)
    if isinstance(readiness, Unknown):
        return NotYet("the operator has not looked at it yet")
    return readiness


def is_degraded(found: Manifest, now: datetime) -> bool:
    """Says whether it has been degraded for some time and nothing is on its way."""
    conditions = {text(row, "type"): row for row in rows(child(found, "status"), "conditions")}
    is_true = {name for name, row in conditions.items() if row.get("status") == "True"}
    since = parse_time(conditions.get("Degraded", {}).get("lastTransitionTime"))
    return "Degraded" in is_true and "Reconciling" not in is_true and since is not None and now - since >= GRACE


def await_health(
    situation: Situation,
    observed: Sequence[tuple[ObjectRef, object]],
    memory: Json,
    judge: Judge = judge_health,
    *,
    bears_degraded: bool,
) -> Rest | Failed | None:
    """Returns None where all do well, else what is waited for; or who will not come right, with the cause.

    What is degraded may come right, as a service does whose image is pushed late: a deployment bears that until its
    time is over.
    """
    broken: list[str] = []
    waits: list[str] = []
    for ref, found in observed:
        readiness = judge(found) if isinstance(found, Mapping) else Broken("it is gone")
        if isinstance(readiness, Broken):
            broken.append(f"{name_object(ref)}: {readiness.why}")
        elif isinstance(readiness, NotYet):
            is_lost = not bears_degraded and isinstance(found, Mapping) and is_degraded(found, situation.now)
            (broken if is_lost else waits).append(f"{name_object(ref)} ({readiness.why})")
    if broken:
        return fail("ObjectFailed", _shorten(broken))
    if not waits:
        return None
    looks = number(memory, "looks")
    pause = timedelta(seconds=min(FIRST_PAUSE * GROWTH ** min(looks, 8), LONGEST_PAUSE))
    return Rest(situation.now + pause, f"waits for {_shorten(waits)}", {**memory, "looks": looks + 1})


def _shorten(told: Sequence[str]) -> str:
    more = len(told) - MAX_TOLD
    return "; ".join(told[:MAX_TOLD]) + (f" and {more} more" if more > 0 else "")
