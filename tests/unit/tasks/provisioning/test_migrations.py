"""Migrations as a task: which database is found, what its Pod gets, how its end is told and undone."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.procedures.course import Course, drive, failed, finished, situation
from tests.unit.tasks.provisioning.site import Site, config, container, pod, taskserv

from vapora.core.calls import Answer
from vapora.core.procedures.task import build_task, build_undo_task
from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.tasks.provisioning.installing.jobs import name_job
from vapora.core.workflow.procedure import Failed, Finished, Situation

Json = dict[str, Any]
run_task, undo_task = build_task(BUILT_IN), build_undo_task(BUILT_IN)
FILES = {"configMap": "sql", "keys": ["0001.sql", "0002.sql"]}
SQL = config("sql", **{"0001__sql": "SELECT 1;", "0002__sql": "SELECT 2;"})
SURREAL = taskserv("surrealdb", "surrealdb/surrealdb:1.8", ports={"http": 8000})
POSTGRES = taskserv("db", "registry.example/postgres:16", secrets={"POSTGRES_PASSWORD": {"name": "db", "key": "pw"}})
WORDS = json.dumps({"applied": ["0002.sql"], "present": ["0001.sql"]})
DONE = [pod("Succeeded", message=WORDS)]


def begin(**params: object) -> Situation:
    return situation({"type": "provisioning.run-migrations", "params": {"sqlFiles": FILES, **params}})


def run(site: Site, start: Situation | None = None) -> Course:
    return drive(run_task, start or begin(), site)


def test_files_are_applied_by_a_job_of_the_only_database_and_its_words_are_the_result() -> None:
    site = Site(SQL, SURREAL, taskserv("api", "vapora/api:1"), pods=([], [pod("Running")], DONE))
    course = run(site)
    assert finished(course) == {"applied": ["0002.sql"], "present": ["0001.sql"]}
    [job] = site.jobs
    main = container(job)
    assert main["command"] + main["args"] == ["python", "-m", "vapora.migrate", "/migrations", "0001.sql", "0002.sql"]
    assert main["env"] == [
        {"name": "MIGRATE_URL", "value": "http://surrealdb.default.svc:8000/vapora/vapora"},
    ]
    assert [rest.why for rest in course.rests] == ["its Job starts", "its Job has no Pod yet", "its Job runs"][:3]


def test_the_pod_is_restricted_and_the_job_goes_by_itself() -> None:
    site = Site(SQL, SURREAL, pods=(DONE,))
    run(site)
    spec = site.jobs[0]["spec"]
    assert (spec["backoffLimit"], spec["ttlSecondsAfterFinished"]) == (0, 3600)
    inside = spec["template"]["spec"]
    assert inside["securityContext"]["runAsNonRoot"] is True
    assert inside["automountServiceAccountToken"] is False
    assert container(site.jobs[0])["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container(site.jobs[0])["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert site.jobs[0]["metadata"]["ownerReferences"][0]["kind"] == "Workflow"


def secret(name: str, ref: str, key: str) -> Json:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": ref, "key": key}}}


def plain(name: str, value: str) -> Json:
    return {"name": name, "value": value}


WHOLE = taskserv(
    "db",
    "pgvector/pgvector:pg16@sha256:1",
    ports={"metrics": 9187, "sql": 5432},
    environment={"POSTGRES_USER": "app", "POSTGRES_DB": "fleet", "POSTGRES_PASSWORD": "secret:db:pw", "LANG": "C"},
    envFrom=[{"secretRef": {"name": "rest"}}],
)
LOOSE = taskserv("surrealdb", "surrealdb/surrealdb:v2", envFrom=[{"secretRef": {"name": "login"}}])
ACCESSES: dict[str, tuple[Json, list[Json], list[Json], list[Json]]] = {
    "a service's own variables, those of its database alone": (
        {"target": "db"},
        [WHOLE],
        [
            plain("MIGRATE_URL", "postgres://db.default.svc:5432"),
            plain("POSTGRES_USER", "app"),
            secret("POSTGRES_PASSWORD", "db", "pw"),
            plain("POSTGRES_DB", "fleet"),
        ],
        [],
    ),
    "a service's whole sources, where the password is not said": (
        {"target": "surrealdb", "namespace": "a/b", "database": "main"},
        [LOOSE],
        [plain("MIGRATE_URL", "http://surrealdb.default.svc:8000/a%2Fb/main")],
        [{"secretRef": {"name": "login"}}],
    ),
    "another database of a service": (
        {"target": "db", "database": "other"},
        [POSTGRES],
        [
            plain("MIGRATE_URL", "postgres://db.default.svc:5432/other"),
            secret("POSTGRES_PASSWORD", "db", "pw"),
        ],
        [],
    ),
    "an address with a user and a password": (
        {"target": {"url": "https://db.example/ns/main", "user": "root", "password": {"name": "s", "key": "k"}}},
        [],
        [
            plain("MIGRATE_URL", "https://db.example/ns/main"),
            plain("SURREAL_USER", "root"),
            secret("SURREAL_PASS", "s", "k"),
        ],
        [],
    ),
    "an address in a Secret": (
        {"target": {"secret": {"name": "s", "key": "url"}}},
        [],
        [secret("MIGRATE_URL", "s", "url")],
        [],
    ),
}


@pytest.mark.parametrize("case", ACCESSES)
def test_the_pod_gets_what_it_needs_to_reach_the_database_and_no_value_of_a_secret(case: str) -> None:
    params, objects, env, env_from = ACCESSES[case]
    site = Site(SQL, *objects, pods=(DONE,))
    finished(run(site, begin(**params)))
    main = container(site.jobs[0])
    assert sorted(main["env"], key=str) == sorted(env, key=str)
    assert main.get("envFrom", []) == env_from


REFUSED: dict[str, tuple[Json, list[Json], str, str]] = {
    "no files": ({}, [SURREAL], "NotFound", "params.sqlFiles: ConfigMap sql is not there"),
    "a file that is missing": (
        {"sqlFiles": {"configMap": "sql", "keys": ["0001.sql", "0003.sql"]}},
        [SQL, SURREAL],
        "NotFound",
        "ConfigMap sql has no key 0003.sql; it has 0001.sql, 0002.sql",
    ),
    "no database": ({}, [SQL, taskserv("api", "vapora/api:1")], "InvalidInput", "no Taskserv here has the image of a"),
    "two databases": ({}, [SQL, SURREAL, POSTGRES], "InvalidInput", "db, surrealdb are databases; it must say which"),
    "a target that is missing": ({"target": "db"}, [SQL, SURREAL], "NotFound", "Taskserv db is not there"),
    "a target that is no database": (
        {"target": "api"},
        [SQL, taskserv("api", "vapora/api:1")],
        "InvalidInput",
        "params.target: Taskserv api runs vapora/api:1, which is no known database: known are pgvector,",
    ),
    "a password in an address": (
        {"target": {"url": "postgres://app:hidden@db/main"}},
        [SQL],
        "InvalidInput",
        "url holds a password",
    ),
    "an address of something else": (
        {"target": {"url": "mysql://app:hidden@db/main"}},
        [SQL],
        "InvalidInput",
        "url begins with 'mysql'; allowed are http, https, postgres, postgresql",
    ),
    "an address in two places": (
        {"target": {"url": "postgres://db/main", "secret": {"name": "s", "key": "k"}}},
        [SQL],
        "InvalidInput",
        "exactly one of url and secret is needed",
    ),
    "a path for a file": ({"sqlFiles": {"configMap": "sql", "keys": ["../a"]}}, [SQL], "InvalidInput", "sqlFiles"),
    "a list of names that nobody has read": ({"sqlFiles": ["a.sql"]}, [SQL], "InvalidInput", "sqlFiles"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_run_is_refused_before_there_is_a_job(case: str) -> None:
    params, objects, reason, words = REFUSED[case]
    site = Site(*objects)
    told, message = failed(run(site, begin(**params)).end)
    assert (told, words in message, "hidden" in message, site.jobs) == (reason, True, False, []), message


def test_without_files_there_is_nothing_to_do() -> None:
    site = Site(SURREAL)
    assert finished(run(site, begin(sqlFiles=[]))) == {"applied": [], "present": []}


ENDS: dict[str, tuple[Json, str, str]] = {
    "a file that has changed": (
        pod("Failed", code=1, message="one.sql was applied before\n"),
        "ExitCode",
        "one.sql was",
    ),
    "an image that is not there": (
        pod("Pending", waiting="ImagePullBackOff", message="no such image"),
        "ImagePullFailed",
        "no such image",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_failure_is_told_in_the_containers_words(case: str) -> None:
    last, reason, words = ENDS[case]
    told, message = failed(run(Site(SQL, SURREAL, pods=([], [last]))).end)
    assert (told, words in message) == (reason, True), message


def test_a_job_that_cannot_start_is_deleted_before_the_next_try_makes_one() -> None:
    waits = pod("Pending", waiting="ImagePullBackOff", message="no such image")
    site = Site(SQL, SURREAL, pods=([waits],))
    run(site)
    assert [line.partition(" ")[0] for line in site.log] == ["apply", "delete"]


def test_the_next_try_has_a_job_of_its_own_but_after_a_timeout_comes_back_to_the_same() -> None:
    site = Site(SQL, SURREAL, pods=([pod("Failed", code=1)], DONE))
    end = run(site).end
    assert isinstance(end, Failed)
    again = replace(begin(), key=begin().key[:-1] + "2", memory=end.memory)
    finished(run(site, again))
    finished(run(site, replace(again, memory={})))  # the same effect, of which nothing is known
    first, second, third = (job["metadata"]["name"] for job in site.jobs)
    assert first != second == third


@pytest.mark.parametrize("is_made", [True, False], ids=["after the call", "before the call"])
@pytest.mark.parametrize("crash_at", range(8))
def test_a_crash_makes_no_second_job(crash_at: int, *, is_made: bool) -> None:
    site = Site(SQL, SURREAL, pods=([], [pod("Running")], DONE))
    course = drive(run_task, begin(), site, crash_at=crash_at, is_made=is_made)
    assert finished(course) == {"applied": ["0002.sql"], "present": ["0001.sql"]}
    assert len({job["metadata"]["name"] for job in site.jobs}) == 1


def test_a_job_that_somebody_deletes_is_a_lost_child() -> None:
    site = Site(SQL, SURREAL)

    def world(call: Any) -> Answer:
        answer = site(call)
        for key in [key for key in site.objects if key[0] == "Job"]:
            del site.objects[key]
        return answer

    assert failed(drive(run_task, begin(), world).end)[0] == "ChildLost"


def undo(memory: object, site: Site | None = None) -> Finished | Failed | None:
    return drive(undo_task, replace(begin(), undoes=memory), site or Site()).end  # type: ignore[arg-type]


def test_what_was_applied_cannot_be_undone_and_what_was_not_need_not_be() -> None:
    applied = run(Site(SQL, SURREAL, pods=(DONE,))).end
    assert isinstance(applied, Finished)
    assert failed(undo(applied.memory))[0] == "NotUndone"
    broke = run(Site(SQL, SURREAL, pods=([pod("Failed", code=1)],))).end
    assert isinstance(broke, Failed)
    assert failed(undo(broke.memory))[0] == "NotUndone"
    nothing = json.dumps({"applied": [], "present": ["0001.sql"]})
    idle = run(Site(SQL, SURREAL, pods=([pod("Succeeded", message=nothing)],))).end
    assert isinstance(idle, Finished)
    assert isinstance(undo(idle.memory), Finished)
    assert isinstance(undo({}), Finished)
    refused = Site(SQL, SURREAL)
    refused.refuse[name_job(begin())] = "Forbidden"
    none = run(refused).end
    assert isinstance(none, Failed)
    assert isinstance(undo(none.memory), Finished)


def test_undoing_stops_a_job_that_still_runs() -> None:
    site = Site(SQL, SURREAL, pods=([pod("Running")],))
    now, memory = begin(), {}
    for _ in range(5):
        decided = run_task(now)
        memory = decided.memory  # type: ignore[assignment]
        call = getattr(decided, "call", None)
        now = replace(now, memory=memory, answer=site(call) if call else None)
    assert failed(undo(memory, site))[0] == "NotUndone"
    assert [line.partition(" ")[0] for line in site.log] == ["apply", "delete"]
