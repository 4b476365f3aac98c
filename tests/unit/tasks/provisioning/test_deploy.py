"""Deployments by name: where objects come from, what is kept, what is changed, what is undone."""

from itertools import chain, repeat

import pytest
from tests.unit.procedures.cluster import Cluster, Json
from tests.unit.procedures.course import Course, failed, finished
from tests.unit.tasks.provisioning.world import (
    DEGRADED,
    POOL,
    READY,
    SERVICE,
    STALLED,
    STARTING,
    build,
    define,
    healthy,
    run,
    undo,
)

from vapora.core.workflow.procedure import Failed, Finished


def deploy(cluster: Cluster, *names: str, version: str | None = None, **fields: object) -> Course:
    params = {"taskservs": list(names), **({"version": version} if version else {})}
    return run(cluster, "deploy-taskservs", params, **fields)


def agents(cluster: Cluster, *names: str, **params: object) -> Course:
    return run(cluster, "deploy-agents", {"agents": list(names), **params})


def memory(course: Course) -> Json:
    assert isinstance(course.end, Finished | Failed)
    return dict(course.end.memory)


def need(*names: str) -> Json:
    return {**SERVICE, "dependencies": [{"name": name} for name in names]}


def test_what_is_missing_is_made_in_the_order_of_the_needs() -> None:
    cluster = healthy(
        define("Taskserv", "web", need("api")),
        define("Taskserv", "api", need("db", "elsewhere")),
        define("Taskserv", "db", SERVICE),
    )
    result = finished(deploy(cluster, "web", "api", "db"))
    assert cluster.log == ["apply db", "apply api", "apply web"]
    assert isinstance(result, dict)
    assert [row["name"] for row in result["objects"]] == ["db", "api", "web"]


def test_services_that_need_each_other_are_left_for_the_operator_to_refuse() -> None:
    cluster = healthy(define("Taskserv", "a", need("b")), define("Taskserv", "b", need("a")))
    finished(deploy(cluster, "a", "b"))
    assert cluster.log == ["apply a", "apply b"]


def test_what_is_there_is_neither_written_nor_undone() -> None:
    cluster = healthy(build("Taskserv", "db", SERVICE), define("Taskserv", "db", {**SERVICE, "replicas": 9}))
    course = deploy(cluster, "db")
    assert finished(course) == {"objects": [], "kept": ["Taskserv db"]}
    finished(undo(cluster, "deploy-taskservs", {"taskservs": ["db"]}, memory(course)))
    assert cluster.log == []


def test_a_version_is_all_that_changes_and_comes_back() -> None:
    cluster = healthy(define("Taskserv", "db", {**SERVICE, "replicas": 2}))
    finished(deploy(cluster, "db"))
    course = deploy(cluster, "db", version="0.2.0", uid="22222222-0000")
    finished(course)
    found = cluster.get("Taskserv", "db")
    assert found is not None
    assert found["spec"] == {"image": "service:${version}", "version": "0.2.0", "replicas": 2}


def test_the_version_of_a_service_that_somebody_else_applied_is_theirs() -> None:
    cluster = healthy(build("Taskserv", "db", SERVICE))
    assert failed(deploy(cluster, "db", version="0.2.0").end)[0] == "FieldConflict"


def test_a_version_that_it_has_already_is_not_written() -> None:
    cluster = healthy(build("Taskserv", "db", SERVICE))
    finished(deploy(cluster, "db", version="0.1.0"))
    assert cluster.log == []


def test_a_try_after_one_that_failed_writes_the_same_again_and_can_be_undone() -> None:
    cluster = healthy(define("Taskserv", "db", SERVICE))
    cluster.statuses["Taskserv"] = chain([STALLED], repeat(READY))
    first = deploy(cluster, "db")
    assert failed(first.end)[0] == "ObjectFailed"
    second = deploy(cluster, "db", memory=memory(first))
    finished(second)
    finished(undo(cluster, "deploy-taskservs", {"taskservs": ["db"]}, memory(second)))
    assert cluster.get("Taskserv", "db") is None


@pytest.mark.parametrize("is_made", [True, False], ids=["after the call", "before the call"])
@pytest.mark.parametrize("crash_at", range(8))
def test_a_crash_anywhere_ends_the_same(crash_at: int, is_made: bool) -> None:
    cluster = healthy(
        define("Taskserv", "web", need("db"), "front"),
        define("Taskserv", "db", SERVICE),
        build("Taskserv", "old", SERVICE),
    )
    course = deploy(cluster, "web", "db", "old", crash_at=crash_at, is_made=is_made)
    finished(course)
    finished(undo(cluster, "deploy-taskservs", {"taskservs": ["web", "db", "old"]}, memory(course)))
    assert [cluster.get("Taskserv", name) is None for name in ("web", "db", "old")] == [True, True, False]


def test_it_is_waited_for_in_the_services_own_words() -> None:
    cluster = healthy(define("Taskserv", "db", SERVICE))
    cluster.statuses["Taskserv"] = chain([STARTING, DEGRADED], repeat(READY))
    course = deploy(cluster, "db")
    finished(course)
    assert [rest.why for rest in course.rests][-2:] == [
        "waits for Taskserv db (1 of 2)",
        "waits for Taskserv db (ImagePullBackOff: no)",
    ]


def test_what_has_failed_for_good_fails_the_step_at_once() -> None:
    cluster = healthy(define("Taskserv", "a", SERVICE))
    cluster.statuses["Taskserv"] = chain([STARTING], repeat(STALLED))
    assert failed(deploy(cluster, "a").end) == ("ObjectFailed", "Taskserv a: needs itself: a -> a")


def test_a_definition_says_its_namespace_and_an_object_there_counts() -> None:
    cluster = healthy(
        define("Taskserv", "far", SERVICE, "there"),
        define("Taskserv", "new", SERVICE, "there"),
        build("Taskserv", "far", SERVICE, "there"),
    )
    assert finished(deploy(cluster, "far", "new")) == {
        "objects": [{"kind": "Taskserv", "name": "new", "uid": "uid-4"}],
        "kept": ["Taskserv far"],
    }
    assert cluster.places["Taskserv", "new"] == "there"


def test_a_pool_is_an_object_a_definition_or_a_preset() -> None:
    cluster = healthy(
        build("AgentPool", "developer", {"replicas": 7}, "vapora-agents"), define("AgentPool", "tester", POOL)
    )
    finished(agents(cluster, "developer", "tester", "marketer", initialReplicas={"developer": 3, "marketer": 2}))
    assert cluster.log == ["apply tester", "apply presenter"]
    made = cluster.get("AgentPool", "presenter")
    kept = cluster.get("AgentPool", "developer")
    assert made is not None
    assert kept is not None
    assert (made["spec"]["replicas"], kept["spec"]["replicas"]) == (2, 7)


def test_pools_that_may_not_be_looked_for_elsewhere_are_made_here() -> None:
    cluster = healthy()
    cluster.forbidden.add("vapora-agents")
    finished(agents(cluster, "reviewer"))
    assert cluster.places["AgentPool", "reviewer"] == "default"


TAGS = {
    "team/agents:worker-0.1.0": "team/agents:worker-0.2.0",
    "localhost:5000/agents:v1.2": "localhost:5000/agents:v0.2.0",
    "agents:1.0-rc1": "agents:0.2.0",
}


@pytest.mark.parametrize("image", TAGS)
def test_a_version_stands_in_the_tag_of_a_pools_image(image: str) -> None:
    cluster = healthy(define("AgentPool", "crew", {**POOL, "template": {"image": image, "command": ["a"]}}))
    finished(agents(cluster, "crew", version="0.2.0"))
    found = cluster.get("AgentPool", "crew")
    assert found is not None
    assert found["spec"]["template"] == {"image": TAGS[image], "command": ["a"]}


MISTAKES: dict[str, tuple[str, Json, list[Json], tuple[str, str]]] = {
    "a name that nobody knows": (
        "deploy-taskservs",
        {"taskservs": ["vapora-backnd"]},
        [define("Taskserv", "vapora-backend", SERVICE), build("Taskserv", "redis", SERVICE)],
        (
            "UnknownTaskserv",
            "there is no Taskserv 'vapora-backnd', nor a definition of it in the catalogue; near is vapora-backend",
        ),
    ),
    "a name like no other": (
        "deploy-taskservs",
        {"taskservs": ["x"]},
        [build("Taskserv", "redis", SERVICE)],
        ("UnknownTaskserv", "there is no Taskserv 'x', nor a definition of it in the catalogue; there is redis"),
    ),
    "a role that nobody has": (
        "deploy-agents",
        {"agents": ["develper"]},
        [],
        (
            "UnknownAgent",
            "there is no AgentPool 'develper', nor a definition of it in the catalogue; near are developer",
        ),
    ),
    "a size of a pool that is not deployed": (
        "deploy-agents",
        {"agents": ["tester"], "initialReplicas": {"developer": 2}},
        [],
        (
            "InvalidInput",
            "task provisioning.deploy-agents: params: initialReplicas names developer, which agents does not",
        ),
    ),
    "nothing to deploy": (
        "deploy-taskservs",
        {"taskservs": []},
        [],
        ("InvalidInput", "task provisioning.deploy-taskservs: params.taskservs: Tuple should have at least 1 item"),
    ),
    "an image that no version changes": (
        "deploy-taskservs",
        {"taskservs": ["db"], "version": "2"},
        [define("Taskserv", "db", {"image": "db:1"})],
        ("InvalidInput", "Taskserv db: its image db:1 does not contain ${version}, so version 2 would change nothing"),
    ),
    "a tag without a version": (
        "deploy-agents",
        {"agents": ["crew"], "version": "2"},
        [define("AgentPool", "crew", {"template": {"image": "crew:latest"}})],
        ("InvalidInput", "AgentPool crew: the tag of its image crew:latest does not end with a version"),
    ),
    "an entry of the catalogue that holds something else": (
        "deploy-taskservs",
        {"taskservs": ["db"]},
        [{**define("Taskserv", "web", SERVICE), "metadata": {"name": "vapora-catalog-taskserv-db"}}],
        ("InvalidInput", "ConfigMap vapora-catalog-taskserv-db: it holds Taskserv web, not Taskserv db"),
    ),
    "an entry of the catalogue that is no JSON": (
        "deploy-taskservs",
        {"taskservs": ["db"]},
        [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "vapora-catalog-taskserv-db"},
                "data": {"definition": "{"},
            }
        ],
        ("InvalidInput", "ConfigMap vapora-catalog-taskserv-db: data.definition is no object as JSON"),
    ),
}


@pytest.mark.parametrize(("type_", "params", "objects", "want"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told(type_: str, params: Json, objects: list[Json], want: tuple[str, str]) -> None:
    cluster = healthy(*objects)
    reason, message = failed(run(cluster, type_, params).end)
    assert reason == want[0]
    assert message.startswith(want[1])
    assert cluster.log == []
