"""What becomes of a finished run when its time is over: ours to make are deleted, all others become small."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from vapora.api.durations import parse_duration
from vapora.core import naming
from vapora.core.procedures.ownership import find_tracker
from vapora.core.supported import SpecProblem
from vapora.core.views import child, parse_time, project_meta, rows, text
from vapora.core.workflow.codec import encode_time
from vapora.core.workflow.observed import Observed
from vapora.core.workflow.status import WorkflowStatus

_ROW = frozenset(
    {
        "state",
        "tries",
        "attempt",
        "infrastructureAttempt",
        "startedAt",
        "finishedAt",
        "reason",
        "exitCode",
        "effect",
        "calls",
        "costCents",
        "items",
    }
)
_ITEMS = frozenset({"total", "formerTries", "succeeded", "failedIndices", "cancelled"})

Json = dict[str, object]


def find_expiry(observed: Observed, status: WorkflowStatus) -> datetime | None:
    """Returns when a finished run expires; None for one that stays for ever."""
    if status.finished_at is None or isinstance(observed.definition, SpecProblem):
        return None
    ttl = observed.definition.spec.ttl_after_finished
    return None if ttl is None else status.finished_at + timedelta(seconds=parse_duration(ttl))


def read_expiry(status: Mapping[str, object]) -> datetime | None:
    """Returns when something is to be done about a finished run; None where nothing is, or all is done."""
    return None if "shrunkAt" in status else parse_time(status.get("expiresAt"))


def is_disposable(obj: Mapping[str, object]) -> bool:
    """Returns whether a Workflow may be deleted: it was made for once, and Git has it not.

    A schedule, a step or the command line made it, or its name is a generated one. What somebody applies would be made
    again by the next apply, and run again; nothing can be applied that has no name.
    """
    meta = project_meta(obj, "Workflow")
    makers = {meta.labels.get(naming.LABEL_TEMPLATE), meta.labels.get(naming.LABEL_WORKFLOW)}
    is_ours = bool(meta.controller_uid) and meta.controller_uid in makers
    is_submitted = meta.labels.get(naming.LABEL_CREATED_BY) == naming.CREATED_BY_CLI
    is_nameless = bool(text(child(obj, "metadata"), "generateName"))
    return (is_ours or is_submitted or is_nameless) and not find_tracker(obj)


def is_slot_noted(obj: Mapping[str, object], template: Mapping[str, object] | None) -> bool:
    """Returns whether its template would not make the run of a slot again, were it gone."""
    minute = text(child(obj, "metadata", "labels"), naming.LABEL_SLOT)
    if template is None or not minute.isdecimal():
        return True
    noted = parse_time(child(template, "status").get("lastScheduledAt"))
    return noted is not None and noted.timestamp() >= int(minute) * 60


def shrink(status: Mapping[str, object], now: datetime) -> Json:
    """Returns a status without what its rows say, hold and refer to: states, times and counts stay."""
    small: Json = {name: value for name, value in status.items() if name not in {"revision", "keepsakes"}}
    small["steps"] = _shrink_rows(child(status, "steps"))
    if rollback := child(status, "rollback"):
        small["rollback"] = {**rollback, "steps": _shrink_rows(child(rollback, "steps"))}
    if approvals := rows(status, "approvals"):
        small["approvals"] = [{name: word[name] for name in word if name != "comment"} for word in approvals]
    return {**small, "shrunkAt": encode_time(now)}


def _shrink_rows(table: Mapping[str, object]) -> Json:
    return {name: _shrink_row(row) for name, row in table.items() if isinstance(row, Mapping)}


def _shrink_row(row: Mapping[str, object]) -> Json:
    small = {name: value for name, value in row.items() if name in _ROW}
    if items := child(row, "items"):
        small["items"] = {name: value for name, value in items.items() if name in _ITEMS}
    return small
