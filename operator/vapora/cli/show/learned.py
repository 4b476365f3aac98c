"""What is known of pools, as people and programs look at it: read from pools and workflows as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table

from vapora.cli.show.spans import describe_between
from vapora.cli.show.steps import tidy
from vapora.core.learning.profile import read_profile
from vapora.core.learning.ranking import Candidate, rank_agents_with_recency
from vapora.core.learning.scoring import compute_load
from vapora.core.views import child, number, parse_time, rows, text

Object = Mapping[str, object]
Row = dict[str, object]
_GOOD, _BAD = frozenset({"Succeeded", "Improving"}), frozenset({"Failed", "Declining"})


@dataclass(frozen=True, slots=True)
class Column:
    """Is a column of a table: its title, and the field of a row that it shows; a share has two decimals."""

    title: str
    name: str
    is_wide: bool = False
    is_share: bool = False


NAMESPACE = Column("NAMESPACE", "namespace")
LOADS = (
    Column("POOL", "pool"),
    Column("READY", "ready"),
    Column("BUSY", "busy"),
    Column("QUEUED", "queued"),
    Column("IN-FLIGHT", "inFlight"),
    Column("LOAD", "load", is_share=True),
    Column("SUCCESS", "successRate", is_share=True),
    Column("NOTE", "note"),
    Column("ROLE", "role", is_wide=True),
    Column("LAST-DECISION", "decision", is_wide=True),
)
RANK = (
    Column("POOL", "pool"),
    Column("SCORE", "score", is_share=True),
    Column("BASE", "base", is_share=True),
    Column("EXPERTISE", "expertise", is_share=True),
    Column("CONFIDENCE", "confidence", is_share=True),
    Column("EXECUTIONS", "executions"),
    Column("LOAD", "load", is_share=True),
    Column("NOTE", "note"),
    Column("ROLE", "role", is_wide=True),
)
EXPERTISE = (
    Column("POOL", "pool"),
    Column("TASK-TYPE", "taskType"),
    Column("EXECUTIONS", "executions"),
    Column("SUCCESS", "recentSuccessRate", is_share=True),
    Column("EXPERTISE", "expertise", is_share=True),
    Column("CONFIDENCE", "confidence", is_share=True),
    Column("TREND", "trend"),
)
HISTORY = (
    Column("AGO", "ago"),
    Column("WORKFLOW", "workflow"),
    Column("STEP", "step"),
    Column("TASK-TYPE", "taskType"),
    Column("STATE", "state"),
    Column("TOOK", "took"),
    Column("TRIES", "tries"),
    Column("CENTS", "costCents"),
    Column("WHY", "why", is_wide=True),
)


def list_loads(pools: Sequence[Object]) -> list[Row]:
    """Returns how busy pools are, the busiest first, then those of which it is not known."""
    found = [(_find_load(pool), pool) for pool in pools]
    found.sort(key=lambda entry: (entry[0] is None, -(entry[0] or 0.0), _name(entry[1])))
    return [_tell_load(pool, load) for load, pool in found]


def _tell_load(pool: Object, load: float | None) -> Row:
    meta, spec, status = child(pool, "metadata"), child(pool, "spec"), child(pool, "status")
    return {
        "namespace": text(meta, "namespace"),
        "pool": _name(pool),
        "role": text(spec, "role"),
        "ready": f"{number(status, 'readyReplicas')}/{number(status, 'desiredReplicas')}",
        "busy": status.get("busy"),
        "queued": status.get("queued"),
        "inFlight": status.get("inFlight"),
        "load": None if load is None else round(load, 4),
        "successRate": status.get("successRate"),
        "note": _find_note(pool, load),
        "decision": text(child(status, "lastDecision"), "reason"),
    }


def rank_pools(pools: Sequence[Object], task_type: str, role: str) -> list[Row]:
    """Ranks pools for a task type, the best first, as an assignment would; a note says what keeps one from tasks."""
    found = {_name(pool): pool for pool in pools if not role or text(child(pool, "spec"), "role") == role}
    candidates = [Candidate(name, _find_load(pool)) for name, pool in found.items()]
    profiles = {name: read_profile(name, child(pool, "status")) for name, pool in found.items()}
    return [
        {
            "pool": rank.name,
            "role": text(child(found[rank.name], "spec"), "role"),
            "score": round(rank.score.total, 4),
            "base": round(rank.score.base, 4),
            "expertise": round(rank.score.expertise, 4),
            "confidence": round(rank.score.confidence, 4),
            "executions": rank.score.executions,
            "load": None if rank.candidate.load is None else round(rank.candidate.load, 4),
            "note": _find_note(found[rank.name], rank.candidate.load),
        }
        for rank in rank_agents_with_recency(candidates, task_type, profiles)
    ]


def list_expertise(pools: Sequence[Object]) -> list[Row]:
    """Returns a row for each pool and task type, those with the most executions of a pool first."""
    return [{"pool": _name(pool), **row} for pool in pools for row in rows(child(pool, "status"), "expertise")]


def list_history(workflows: Sequence[Object], pool: str, now: datetime) -> list[Row]:
    """Returns the tasks that workflows gave to a pool, the latest first."""
    found = [row for workflow in workflows for row in _list_tasks(workflow, pool, now)]
    return sorted(found, key=lambda row: (str(row["startedAt"]), str(row["workflow"]), str(row["step"])), reverse=True)


def _list_tasks(workflow: Object, pool: str, now: datetime) -> Iterator[Row]:
    for step, row in child(workflow, "status", "steps").items():
        task = row if isinstance(row, Mapping) else {}
        yield from _read_task(workflow, step, task, pool, now)
        for item in rows(child(task, "items"), "active"):
            active = {**item, "startedAt": item.get("at"), "tries": item.get("try")}
            yield from _read_task(workflow, f"{step}[{number(item, 'i')}]", active, pool, now)


def _read_task(workflow: Object, step: str, task: Object, pool: str, now: datetime) -> Iterator[Row]:
    assignment = child(task, "assignment")
    if text(assignment, "pool") != pool:
        return
    started, finished = parse_time(task.get("startedAt")), parse_time(task.get("finishedAt"))
    yield {
        "startedAt": text(task, "startedAt"),
        "ago": describe_between(started, now),
        "workflow": _name(workflow),
        "step": step,
        "taskType": text(assignment, "taskType"),
        "state": text(task, "state") or "Running",
        "took": describe_between(started, finished or now),
        "tries": number(task, "tries"),
        "costCents": number(task, "costCents"),
        "why": text(assignment, "reason"),
    }


def build_rows(found: Sequence[Row], columns: Sequence[Column], *, is_wide: bool) -> Table:
    """Builds the table; a row keeps to one line but for the sentence that says why."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    shown = [column for column in columns if is_wide or not column.is_wide]
    for column in shown:
        table.add_column(column.title, no_wrap=column.name != "why")
    for row in found:
        words = {str(row.get("state", "")), str(row.get("trend", ""))}
        style = "green" if words & _GOOD else "red" if words & _BAD else ""
        table.add_row(*(_write(row.get(column.name), column) for column in shown), style=style)
    return table


def _write(value: object, column: Column) -> str:
    if value is None:
        return "unknown"
    # The API gives back 1 for 1.0.
    return f"{value:.2f}" if column.is_share and isinstance(value, int | float) else tidy(str(value))


def _name(obj: Object) -> str:
    return text(child(obj, "metadata"), "name")


def _find_load(pool: Object) -> float | None:
    spec, status = child(pool, "spec"), child(pool, "status")
    if "queued" not in status or "inFlight" not in status:
        return None
    tasks = number(status, "queued") + number(status, "inFlight")
    return compute_load(tasks, number(spec, "maxConcurrent") or 1, number(status, "readyReplicas"))


def _find_note(pool: Object, load: float | None) -> str:
    ready = next((row for row in rows(child(pool, "status"), "conditions") if row.get("type") == "Ready"), {})
    if child(pool, "spec").get("paused") is True:
        return "paused"
    if ready.get("status") != "True":
        return "not ready"
    if text(child(pool, "status", "spend"), "tier") == "held":
        return "over its budget"
    return "full" if load is not None and load >= 1.0 else ""
