"""The task `provisioning.query`: its language, its sources, and what is refused."""

import pytest
from tests.unit.procedures.cluster import Cluster, Json
from tests.unit.procedures.course import failed, finished, situation
from tests.unit.tasks.provisioning.world import body, build, run, run_task, undo

from vapora.core.calls import Answer, GraphCall
from vapora.core.tasks.provisioning.asking.querying import MAX_QUERY_BYTES, Query, QueryError, parse_query
from vapora.core.workflow.procedure import Ask, Finished, Next

READ: dict[str, Query] = {
    "SELECT queue_depth FROM agent_health WHERE role = 'developer'": Query(
        ("queue_depth",), "agent_health", "role", "developer"
    ),
    "select ready , replicas from agent_health": Query(("ready", "replicas"), "agent_health"),
    "SELECT name\nFROM workflows\nWHERE phase='it''s'  ": Query(("name",), "workflows", "phase", "it's"),
}


@pytest.mark.parametrize("source", READ)
def test_a_query_is_read(source: str) -> None:
    assert parse_query(source) == READ[source]


REFUSED = {
    "": "column 1: SELECT is needed, found the end",
    "DELETE FROM agent_health": "column 1: SELECT is needed, found 'DELETE'",
    "SELECT * FROM agent_health": "column 8: an unknown sign '*'",
    "SELECT role, FROM agent_health": "column 19: FROM is needed, found 'agent_health'",
    "SELECT role FROM pods": "column 18: there is no source 'pods'; there are agent_health, workflows, executions",
    "SELECT rol FROM agent_health": "column 8: agent_health has no column 'rol'; near is role",
    "SELECT zzz FROM workflows": "column 8: workflows has no column 'zzz'; there are name, phase",
    "SELECT role FROM agent_health WHERE role": "column 41: = is needed, found the end",
    "SELECT role FROM agent_health WHERE role = x": "column 44: a text in single quotes is needed, found 'x'",
    "SELECT role FROM agent_health WHERE role = 'x": "column 44: a text without its closing '",
    "SELECT role FROM agent_health WHERE role = 'x' OR a": "column 48: the end is needed, found 'OR'",
    "SELECT role FROM agent_health; DROP TABLE x": "column 30: an unknown sign ';'",
    "SELECT name FROM workflows WHERE started_at = '1'": "column 34: started_at cannot be compared",
    "SELECT " + "a" * MAX_QUERY_BYTES: f"a query has at most {MAX_QUERY_BYTES} bytes",
}


@pytest.mark.parametrize("source", REFUSED)
def test_what_is_no_query_is_refused_with_its_column(source: str) -> None:
    with pytest.raises(QueryError) as refused:
        parse_query(source)
    assert str(refused.value).startswith(REFUSED[source])


def ask(cluster: Cluster, query: str) -> Next | None:
    return run(cluster, "query", {"query": query}).end


def pool(name: str, role: str, namespace: str = "default", **status: object) -> Json:
    return {**build("AgentPool", name, {"role": role}, namespace), "status": status}


POOLS = (
    pool("developer", "coder", queued=11, inFlight=2, replicas=5, readyReplicas=4),
    pool("tester", "tester", replicas=1),
)
ANSWERS: dict[str, Json] = {
    "SELECT queue_depth, in_flight FROM agent_health WHERE role = 'coder'": {"queue_depth": 11, "in_flight": 2},
    "SELECT ready FROM agent_health WHERE role = 'developer'": {"ready": 4},
    "SELECT replicas, ready FROM agent_health WHERE name = 'tester'": {"replicas": 1, "ready": 0},
    "SELECT role FROM agent_health WHERE queue_depth = '11'": {"role": "coder"},
    "SELECT name FROM agent_health": {"name": "developer"},
}


@pytest.mark.parametrize("query", ANSWERS)
def test_pools_are_read(query: str) -> None:
    end = ask(Cluster(*POOLS), query)
    assert isinstance(end, Finished)
    assert end.result == ANSWERS[query]


def test_pools_stand_in_their_own_namespace_where_the_workflows_has_none() -> None:
    end = ask(Cluster(pool("dev", "coder", "vapora-agents")), "SELECT name FROM agent_health WHERE role = 'coder'")
    assert isinstance(end, Finished)
    assert end.result == {"name": "dev"}


FAILED: dict[str, tuple[str, tuple[str, str]]] = {
    "a depth that nobody knows": (
        "SELECT queue_depth FROM agent_health WHERE role = 'tester'",
        ("MetricsUnavailable", "queue_depth of pool tester is not known now"),
    ),
    "a role that nobody has": (
        "SELECT ready FROM agent_health WHERE role = 'x'",
        ("NotFound", "agent_health has no row with role 'x'"),
    ),
    "no workflow at all": ("SELECT name FROM workflows", ("NotFound", "workflows has no row")),
}


@pytest.mark.parametrize(("query", "want"), FAILED.values(), ids=FAILED)
def test_what_is_not_there_is_told(query: str, want: tuple[str, str]) -> None:
    reason, message = failed(ask(Cluster(*POOLS), query))
    assert (reason, message.startswith(want[1])) == (want[0], True)


def test_workflows_are_read_the_latest_first() -> None:
    old, new = (build("Workflow", name, {}) for name in ("z-old", "a-new"))
    cluster = Cluster({**old, "status": {"phase": "Failed"}}, {**new, "status": {"phase": "Failed", "progress": "1/2"}})
    for name, at in (("z-old", "2026-01-01T00:00:00Z"), ("a-new", "2026-01-02T00:00:00Z")):
        cluster.objects["Workflow", name]["metadata"]["creationTimestamp"] = at
    end = ask(cluster, "SELECT name, progress FROM workflows WHERE phase = 'Failed'")
    assert isinstance(end, Finished)
    assert end.result == {"name": "a-new", "progress": "1/2"}


def test_executions_are_those_of_the_graph() -> None:
    asked = body("query", {"query": "SELECT outcome, tokens FROM executions WHERE step = 'build'"})
    assert run_task(situation(asked)) == Ask(GraphCall("step", "build"))
    answer = Answer([{"outcome": "success", "tokens": 7, "step": "build"}])
    assert run_task(situation(asked, answer)) == Finished({"outcome": "success", "tokens": 7})
    away = Answer(reason="GraphUnavailable", message="the operator runs without a knowledge graph")
    assert failed(run_task(situation(asked, away)))[0] == "GraphUnavailable"


def test_a_query_changes_nothing_that_could_be_undone() -> None:
    assert finished(undo(Cluster(), "query", {"query": "SELECT name FROM workflows"}, {})) == {
        "note": "a query changes nothing"
    }
