"""The runs that a schedule makes: how one is named and built, and which of them are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from vapora.api.workflowtemplate import Keep
from vapora.core import naming
from vapora.core.plan import Delete, Key, Manifest
from vapora.core.views import Meta, child, parse_time, project_meta, text

_FINAL = frozenset({"Succeeded", "Failed", "Cancelled", "RolledBack"})
_MINUTE = 60  # seconds


@dataclass(frozen=True, slots=True)
class Run:
    """Is one Workflow that the schedule made."""

    key: Key
    uid: str
    slot: datetime
    phase: str
    started_at: str
    finished_at: str
    is_deleting: bool

    @property
    def is_finished(self) -> bool:
        """Is true once it has ended, however."""
        return self.phase in _FINAL


def name_run(template: str, slot: datetime) -> str:
    """Names the run of a slot by its minute since 1970, so that it is made once, whoever makes it."""
    return f"{template}-{int(slot.timestamp()) // _MINUTE}"


def build_run(template: Meta, author: str, account: str, slot: datetime) -> Manifest:
    """Builds the Workflow of a slot. It is owned by its template and goes with it, as a CronJob's Jobs do.

    It acts for the template's author, who may therefore not approve it, and as the account that they chose.
    """
    return {
        "apiVersion": naming.API_VERSION,
        "kind": "Workflow",
        "metadata": {
            "name": name_run(template.key.name, slot),
            "namespace": template.key.namespace,
            "labels": {
                naming.LABEL_MANAGED_BY: naming.FIELD_MANAGER,
                naming.LABEL_TEMPLATE: template.uid,
                naming.LABEL_SLOT: str(int(slot.timestamp()) // _MINUTE),
            },
            "annotations": {naming.ANNOTATION_AUTHOR: author},  # an empty one proves nothing, and is not stamped
            "ownerReferences": [
                {
                    "apiVersion": naming.API_VERSION,
                    "kind": template.key.kind,
                    "name": template.key.name,
                    "uid": template.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {"templateRef": {"name": template.key.name}, "serviceAccountName": account},
    }


def read_run(obj: Mapping[str, object]) -> Run | None:
    """Reads a Workflow that a template owns; None for one that no schedule made."""
    meta, status = project_meta(obj, "Workflow"), child(obj, "status")
    minute = meta.labels.get(naming.LABEL_SLOT, "")
    if not minute.isdecimal():
        return None
    return Run(
        key=meta.key,
        uid=meta.uid,
        slot=datetime.fromtimestamp(int(minute) * _MINUTE, UTC),
        phase=text(status, "phase"),
        started_at=text(status, "startedAt"),
        finished_at=text(status, "finishedAt"),
        is_deleting=meta.is_deleting,
    )


def plan_history(runs: Iterable[Run], keep: Keep, before: datetime | None) -> tuple[Delete, ...]:
    """Deletes the oldest finished runs that are more than are kept; only ones of slots before an instant.

    The run of a slot that is not noted as decided yet must stay: gone, it would be made again.
    """
    finished = [run for run in sorted(runs, key=lambda run: run.slot, reverse=True) if run.is_finished]
    good = [run for run in finished if run.phase == "Succeeded"][keep.succeeded :]
    bad = [run for run in finished if run.phase != "Succeeded"][keep.failed :]
    return tuple(
        Delete(run.key, run.uid)
        for run in (*good, *bad)
        if not run.is_deleting and (before is None or run.slot < before)
    )


def merge_recent(former: Iterable[Mapping[str, object]], runs: Iterable[Run], limit: int) -> list[dict[str, object]]:
    """Returns the rows of the latest finished runs, the newest first; those that were deleted meanwhile stay."""
    rows = {text(row, "name"): dict(row) for row in former}
    for run in runs:
        if run.is_finished:
            times = {"startedAt": run.started_at, "finishedAt": run.finished_at}
            told = {"name": run.key.name, "outcome": run.phase, **times}
            rows[run.key.name] = {name: value for name, value in told.items() if value}
    return sorted(rows.values(), key=_when, reverse=True)[:limit]


def _when(row: Mapping[str, object]) -> tuple[datetime, str]:
    return parse_time(row.get("finishedAt")) or datetime.min.replace(tzinfo=UTC), text(row, "name")
