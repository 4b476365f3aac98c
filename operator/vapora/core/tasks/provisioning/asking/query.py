"""The task `provisioning.query`: columns of pools, workflows or executions, read and never written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from vapora.core.calls import GraphCall, ListCall, Listing
from vapora.core.naming import API_VERSION
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.tasks.provisioning.asking.pools import Pools, find_pools
from vapora.core.tasks.provisioning.asking.querying import MAX_QUERY_BYTES, Query, parse_query
from vapora.core.tasks.registry import TaskType
from vapora.core.views import child, text
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Situation

MAX_TOLD = 20


def _check_query(value: str) -> str:
    parse_query(value)
    return value


class RunQuery(TaskType):
    """Reads the columns of the first row; the result is {column: value}."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_BYTES), AfterValidator(_check_query)]
    """`SELECT columns FROM agent_health|workflows|executions WHERE column = 'value'`."""

    def plan(self, situation: Situation) -> Next:
        """Asks for the rows."""
        return self._read(situation)

    def observe(self, situation: Situation) -> Next:
        """Takes the first row."""
        return self._read(situation)

    def compensate(self, situation: Situation) -> Next:  # noqa: ARG002  # nothing depends on it
        """Has nothing to do."""
        return Finished({"note": "a query changes nothing"})

    def _read(self, situation: Situation) -> Next:
        query = parse_query(self.query)
        if query.source == "executions":
            return _read_executions(situation, query)
        if query.source == "workflows":
            return _read_workflows(situation, query)
        pools = find_pools(situation, lambda pool: _find([_read_pool(pool)], query) is not None)
        if not isinstance(pools, Pools):
            return pools
        rows = [_read_pool(item) for item in pools.known]
        return _finish(_find(rows, query), rows, query)


def _read_workflows(situation: Situation, query: Query) -> Next:
    answer = situation.answer
    if answer is None:
        return Ask(ListCall((Listing(API_VERSION, "Workflow", situation.namespace),)))
    if answer.is_failure:
        return fail_call(answer)
    items = answer.value[0] if isinstance(answer.value, list) else []
    rows = [_read_workflow(item) for item in sorted(items, key=_tell_age, reverse=True)]
    return _finish(_find(rows, query), rows, query)


def _read_executions(situation: Situation, query: Query) -> Next:
    answer = situation.answer
    if answer is None:
        return Ask(GraphCall(query.where_column, query.where_value))
    if answer.is_failure:
        return fail_call(answer)
    rows = [row for row in answer.value if isinstance(row, Mapping)] if isinstance(answer.value, list) else []
    return _finish(rows[0] if rows else None, rows, query)


def _tell_age(item: Json) -> str:
    return text(child(item, "metadata"), "creationTimestamp")


def _read_pool(item: Json) -> Json:
    """Returns a pool's row; a depth that nobody knows is absent."""
    status = child(item, "status")
    row = {
        "name": text(child(item, "metadata"), "name"),
        "role": text(child(item, "spec"), "role"),
        "queue_depth": status.get("queued"),
        "in_flight": status.get("inFlight"),
        "replicas": status.get("replicas", 0),
        "ready": status.get("readyReplicas", 0),
    }
    return {name: value for name, value in row.items() if value is not None}


def _read_workflow(item: Json) -> Json:
    status = child(item, "status")
    return {
        "name": text(child(item, "metadata"), "name"),
        "phase": text(status, "phase") or "Pending",
        "progress": text(status, "progress"),
        "started_at": status.get("startedAt"),
        "finished_at": status.get("finishedAt"),
    }


def _find(rows: Sequence[Json], query: Query) -> Json | None:
    """Returns the first row with the value; a role may also be given by the name of its pool."""
    named = ("role", "name") if query.where_column == "role" else (query.where_column,)
    for column in named:
        for row in rows:
            if not column or str(row.get(column, "")) == query.where_value:
                return row
    return None


def _finish(row: Json | None, rows: Sequence[Json], query: Query) -> Finished | Failed:
    if row is None:
        where = f" with {query.where_column} {query.where_value!r}" if query.where_column else ""
        known = dict.fromkeys(str(row[query.where_column]) for row in rows if row.get(query.where_column))
        told = f"; there are {', '.join(list(known)[:MAX_TOLD])}" if known else ""
        return fail("NotFound", f"{query.source} has no row{where}{told}")
    unknown = next((name for name in query.columns if name not in row), None)
    if unknown:
        return fail("MetricsUnavailable", f"{unknown} of pool {text(row, 'name')} is not known now")
    return Finished({name: row[name] for name in query.columns})
