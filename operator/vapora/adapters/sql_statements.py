"""The statements over the tables, in the SQL that SQLite and PostgreSQL share; parameters are `?1`, `?2` and so on."""

# ruff: noqa: S608 - the statements are put together of the names in this file and of no value

from __future__ import annotations

import re
from importlib import resources

from vapora.adapters.sql_rows import DAY_KEY, DAY_MICROSECONDS, DAY_SUMS, EXECUTION_COLUMNS

# What a later record of the same try may not know any more, since a status keeps less than an agent's answer held, and
# of an item that has ended nothing but that.
KEPT = {
    "pool": "''", "role": "''", "task_type": "''", "quality": "NULL", "tokens": "0", "model": "''", "provider": "''",
    "cost_cents": "0", "trace_id": "''", "runner_up": "''", "depends_on": "''", "produced": "''", "deployed": "''",
}  # fmt: skip
# What who saw a failure first knew best: a status cuts messages. It goes with the failure.
OF_FAILURE = {"error_signature": "''", "exit_code": "NULL", "message": "''"}
WORDS = frozenset({"depends_on", "produced", "deployed"})
RECENT_FAILURES = 200


def _update(name: str) -> str:
    new, old = f"excluded.{name}", f"executions.{name}"
    if name in KEPT:
        return f"{name} = coalesce(nullif({new}, {KEPT[name]}), {old})"
    if name in OF_FAILURE:
        is_same = "excluded.outcome = executions.outcome AND excluded.reason = executions.reason"
        return f"{name} = CASE WHEN {is_same} THEN coalesce(nullif({old}, {OF_FAILURE[name]}), {new}) ELSE {new} END"
    return f"{name} = {new}"


def _mark(count: int, first: int = 1) -> str:
    return ", ".join(f"?{number}" for number in range(first, first + count))


_COLUMNS = ", ".join(EXECUTION_COLUMNS)
_DAY_COLUMNS = ", ".join((*DAY_KEY, *DAY_SUMS))
_SELECT = f"SELECT {_COLUMNS} FROM executions"
_LATEST = "ORDER BY finished DESC, id DESC LIMIT"

UPSERT = (
    f"INSERT INTO executions ({_COLUMNS}) VALUES ({_mark(len(EXECUTION_COLUMNS))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(_update(name) for name in EXECUTION_COLUMNS if name != 'id')}"
)
SELECT_BY_TASK_TYPE = f"{_SELECT} WHERE pool = ?1 AND pool <> '' AND task_type = ?2 {_LATEST} ?3"
SELECT_BY_POOL = f"{_SELECT} WHERE pool = ?1 AND pool <> '' {_LATEST} ?2"
SELECT_BY_NAMESPACE = f"{_SELECT} WHERE namespace = ?1 {_LATEST} ?2"
# What a query may ask for, each as text: `'3'` finds the third item; of words any.
SELECT_BY_COLUMN = {
    name: f"{_SELECT} WHERE namespace = ?1 AND "
    + (
        f"replace(' ' || {name} || ' ', ' ' || ?2 || ' ', '') <> ' ' || {name} || ' '"
        if name in WORDS
        else f"CAST({name} AS TEXT) = ?2"
    )
    + f" {_LATEST} ?3"
    for name in EXECUTION_COLUMNS
    if name not in {"id", "namespace", "started", "finished"}
}
COUNT = "SELECT count(*) FROM executions"
SPEND = (
    "SELECT (SELECT coalesce(sum(cost_cents), 0) FROM executions WHERE pool = ?1 AND pool <> '' AND finished >= ?2)"
    " + (SELECT coalesce(sum(cost_cents), 0) FROM days WHERE pool = ?1 AND day >= ?3)"
)

_OF_ERROR = "FROM executions WHERE error_signature = ?1 AND error_signature <> '' AND (?2 = '' OR namespace = ?2)"
SEEN = f"SELECT count(*), min(finished) {_OF_ERROR}"
LATEST_OF_ERROR = f"SELECT {_COLUMNS} {_OF_ERROR} {_LATEST} 1"
_UNIT = "substr(failed.id, 1, length(failed.id) - length(CAST(failed.try AS TEXT)) - 1)"  # the id without `/<try>`
# For each failure a range of the primary key; that its order is by `try` keeps PostgreSQL from walking another index.
_SOLVER = (
    f"SELECT solver.id FROM executions AS solver WHERE solver.id > {_UNIT} || '/' AND solver.id < {_UNIT} || '0' "
    "AND solver.try > failed.try AND solver.outcome = 'success' ORDER BY solver.try DESC LIMIT 1"  # '0' follows '/'
)
SOLVED_BY = (
    f"{_SELECT} WHERE id = (SELECT solved_by FROM (SELECT failed.finished, ({_SOLVER}) AS solved_by "
    f"FROM (SELECT id, try, finished {_OF_ERROR} {_LATEST} {RECENT_FAILURES}) AS failed) AS cases "
    "WHERE solved_by IS NOT NULL ORDER BY finished DESC LIMIT 1)"
)

# What a batch of retention adds to its days and deletes; both in one transaction.
BOUND_OF_COUNT = "SELECT finished, id FROM executions ORDER BY finished DESC, id DESC LIMIT 1 OFFSET ?1"
_OLDEST = "SELECT finished, id FROM executions WHERE (finished, id) <= (?1, ?2) ORDER BY finished, id LIMIT ?3"
LAST_OF_BATCH = (
    f"SELECT finished, id, count(*) OVER () FROM ({_OLDEST}) AS oldest ORDER BY finished DESC, id DESC LIMIT 1"
)
_DAY = f"finished / {DAY_MICROSECONDS}"
_SUMS = (
    "sum(CASE WHEN outcome = 'cancelled' THEN 0 ELSE 1 END), sum(CASE WHEN outcome = 'success' THEN 1 ELSE 0 END), "
    "sum(CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END), coalesce(sum(quality), 0), count(quality), "
    "sum(finished - started), sum(tokens), sum(cost_cents)"
)
FOLD = (
    f"INSERT INTO days ({_DAY_COLUMNS}) SELECT {_DAY}, namespace, pool, task_type, {_SUMS} FROM executions "
    f"WHERE (finished, id) <= (?1, ?2) GROUP BY {_DAY}, namespace, pool, task_type "
    "ON CONFLICT (pool, task_type, day, namespace) DO UPDATE SET "
    + ", ".join(f"{name} = days.{name} + excluded.{name}" for name in DAY_SUMS)
)
DELETE = "DELETE FROM executions WHERE (finished, id) <= (?1, ?2)"

PAGE = f"{_SELECT} WHERE id > ?1 ORDER BY id LIMIT ?2"
SELECT_DAYS = f"SELECT {_DAY_COLUMNS} FROM days ORDER BY pool, task_type, day, namespace"
PUT_DAY = (
    f"INSERT INTO days ({_DAY_COLUMNS}) VALUES ({_mark(len(DAY_KEY) + len(DAY_SUMS))}) "
    "ON CONFLICT (pool, task_type, day, namespace) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in DAY_SUMS)
)


# The same for PostgreSQL, which would plan so many parts for longer than it takes to answer: ?1 is the limit, ?2 the
# pools, ?3 the task type.
LATEST_OF_POOLS, LATEST_OF_TASK_TYPE = (
    "SELECT latest.* FROM unnest(?2::text[]) AS wanted (name) CROSS JOIN LATERAL "
    f"({_SELECT} WHERE pool = wanted.name AND pool <> ''{of_type} {_LATEST} ?1) AS latest"
    for of_type in ("", " AND task_type = ?3")
)


def select_latest(pools: int, *, has_task_type: bool) -> str:
    """Returns SQLite's statement for many pools: ?1 is the limit, ?2 the task type if there is one, then the pools."""
    first = 3 if has_task_type else 2
    of_type = " AND task_type = ?2" if has_task_type else ""
    parts = (
        f"SELECT * FROM ({_SELECT} WHERE pool = ?{first + number} AND pool <> ''{of_type} {_LATEST} ?1) AS p{number}"
        for number in range(pools)
    )
    return " UNION ALL ".join(parts)


def select_days(*, has_pool: bool, has_task_type: bool) -> str:
    """Returns the statement for days: ?1 the first day, ?2 its first moment, then pool and task type as there are."""
    names = [name for name, is_there in (("pool", has_pool), ("task_type", has_task_type)) if is_there]
    where = "".join(f" AND {name} = ?{number}" for number, name in enumerate(names, 3))
    where += " AND pool <> ''" if has_pool else ""
    sums = ", ".join(f"sum({name})" for name in DAY_SUMS)
    return (
        f"SELECT {', '.join(DAY_KEY)}, {sums} FROM ("
        f"SELECT {_DAY_COLUMNS} FROM days WHERE day >= ?1{where} UNION ALL "
        f"SELECT {_DAY}, namespace, pool, task_type, {_SUMS} FROM executions WHERE finished >= ?2{where} "
        f"GROUP BY {_DAY}, namespace, pool, task_type) AS parts "
        f"GROUP BY {', '.join(DAY_KEY)} ORDER BY day, namespace, pool, task_type"
    )


def read_migrations() -> list[list[str]]:
    """Returns the statements of each migration, in order: forward only, a released file is never changed."""
    folder = resources.files("vapora.adapters").joinpath("migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    texts = (re.sub(r"--[^\n]*", "", file.read_text("utf-8")) for file in files)
    return [[statement.strip() for statement in text.split(";") if statement.strip()] for text in texts]
