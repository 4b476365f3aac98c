"""The statements over the tables in SurrealDB; they use nothing that version 2 and version 3 have otherwise."""

# ruff: noqa: S608 - the statements are put together of the names in this file and of no value

from __future__ import annotations

from vapora.adapters.sql_rows import DAY_KEY, DAY_MICROSECONDS, DAY_SUMS, EXECUTION_COLUMNS
from vapora.adapters.sql_statements import KEPT, OF_FAILURE, RECENT_FAILURES, WORDS

_EMPTY = {"''": "''", "0": "0", "NULL": "NONE"}


def _is_empty(name: str, empty: str) -> str:
    return f"{name} = {_EMPTY[empty]} OR {name} = NULL" if empty == "NULL" else f"{name} = {_EMPTY[empty]}"


def _update(name: str) -> str:
    new = f"$input.{name}"
    if name in KEPT:
        return f"{name} = IF {_is_empty(new, KEPT[name])} {{ {name} }} ELSE {{ {new} }}"
    if name in OF_FAILURE:
        is_known = f"$input.outcome = outcome AND $input.reason = reason AND !({_is_empty(name, OF_FAILURE[name])})"
        return f"{name} = IF {is_known} {{ {name} }} ELSE {{ {new} }}"
    return f"{name} = {new}"


# In this order: what goes with a failure is decided by the outcome and reason of before.
_UPDATES = [*OF_FAILURE, *(name for name in EXECUTION_COLUMNS if name != "id" and name not in OF_FAILURE)]
_SELECT = "SELECT *, record::id(id) AS id FROM executions"
_LATEST = "ORDER BY finished DESC, id DESC LIMIT"

UPSERT = f"INSERT INTO executions $rows ON DUPLICATE KEY UPDATE {', '.join(map(_update, _UPDATES))} RETURN NONE"
SELECT_BY_NAMESPACE = f"{_SELECT} WHERE namespace = $namespace {_LATEST} $limit"
SELECT_BY_COLUMN = {
    name: f"{_SELECT} WHERE namespace = $namespace AND "
    + (
        f"string::split({name}, ' ') CONTAINS $value"
        if name in WORDS
        else f"{name} != NONE AND <string> {name} = $value"
    )
    + f" {_LATEST} $limit"
    for name in EXECUTION_COLUMNS
    if name not in {"id", "namespace", "started", "finished"}
}
COUNT = "RETURN count(SELECT VALUE 1 FROM executions)"
SPEND = (
    "RETURN math::sum(SELECT VALUE cost_cents FROM executions WHERE pool = $pool AND finished >= $since)"
    " + math::sum(SELECT VALUE cost_cents FROM days WHERE pool = $pool AND day >= $day)"
)
_OF_ERROR = "error_signature = $signature AND ($namespace = '' OR namespace = $namespace)"
SEEN = f"SELECT count() AS seen, math::min(finished) AS first FROM executions WHERE {_OF_ERROR} GROUP ALL"
LATEST_OF_ERROR = f"{_SELECT} WHERE {_OF_ERROR} {_LATEST} {RECENT_FAILURES}"
SOLVED_BY = f"{_SELECT} WHERE unit IN $units AND outcome = 'success' {_LATEST} {RECENT_FAILURES}"

BOUND_OF_COUNT = f"{_SELECT} {_LATEST} 1 START $keep"
OLDEST = (
    f"{_SELECT} WHERE finished < $finished OR (finished = $finished AND id <= $id) ORDER BY finished, id LIMIT $limit"
)
FOLD = (
    "INSERT INTO days $days ON DUPLICATE KEY UPDATE "
    + ", ".join(f"{name} += $input.{name}" for name in DAY_SUMS)
    + " RETURN NONE"
)
DELETE = "DELETE $ids RETURN NONE"

PAGE = f"{_SELECT} WHERE id > $after ORDER BY id LIMIT $limit"
SELECT_DAYS = f"SELECT {', '.join((*DAY_KEY, *DAY_SUMS))} FROM days ORDER BY pool, task_type, day, namespace"
PUT_DAY = (
    "INSERT INTO days $days ON DUPLICATE KEY UPDATE "
    + ", ".join(f"{name} = $input.{name}" for name in DAY_SUMS)
    + " RETURN NONE"
)
READ_VERSION = "SELECT VALUE version FROM ONLY schema_version:current"
WRITE_VERSION = "UPSERT schema_version:current SET version = $version RETURN NONE"

_SUMS = (
    "count(outcome != 'cancelled') AS executions, count(outcome = 'success') AS successes, "
    "count(outcome = 'cancelled') AS cancelled, math::sum(quality ?? 0) AS quality_sum, "
    "count(quality != NONE AND quality != NULL) AS quality_count, math::sum(finished - started) AS latency, "
    "math::sum(tokens) AS tokens, math::sum(cost_cents) AS cost_cents"
)


def select_latest(number: int, *, has_task_type: bool) -> str:
    """Returns the statement for the pool of that number."""
    of_type = " AND task_type = $task_type" if has_task_type else ""
    return f"{_SELECT} WHERE pool = $pool{number}{of_type} {_LATEST} $limit"


def select_days(*, has_pool: bool, has_task_type: bool) -> str:
    """Returns two statements: for the days of what is gone, and for those of what is kept."""
    names = [name for name, is_there in (("pool", has_pool), ("task_type", has_task_type)) if is_there]
    where = "".join(f" AND {name} = ${name}" for name in names)
    return (
        f"SELECT {', '.join((*DAY_KEY, *DAY_SUMS))} FROM days WHERE day >= $day{where}; "
        f"SELECT math::floor(finished / {DAY_MICROSECONDS}) AS day, namespace, pool, task_type, {_SUMS} "
        f"FROM executions WHERE finished >= $since{where} GROUP BY day, namespace, pool, task_type"
    )
