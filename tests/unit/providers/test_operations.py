"""What the tasks do through Providers: idempotent by name, undone as far as they came."""

import itertools

import pytest
from tests.unit.procedures.course import Course, drive, failed, finished
from tests.unit.providers.site import READY, RUN, Json, Site, build_provider, build_start

from vapora.core.calls import Answer, Call
from vapora.core.workflow.procedure import Failed

CLUSTER_API: Json = {
    "clusterClass": "small",
    "machine": {"clusterName": "wuji", "bootstrap": {"dataSecretName": "join"}, "infrastructureRef": {"name": "m"}},
}
COMMAND: Json = {"image": "team/cloud:1", "command": ["cloud"]}
DONE: Json = {"conditions": [{"type": "Complete", "status": "True"}]}
BROKEN: Json = {"conditions": [{"type": "Failed", "status": "True", "message": "Job has reached the backoff limit"}]}


def command(**spec: object) -> Json:
    return build_provider("default", "command", params=COMMAND, **spec)


def end_jobs(site: Site, *statuses: Json) -> None:
    """Say how the Jobs end, one after the other; the last word stays."""
    site.statuses["Job"] = itertools.chain(statuses, itertools.repeat(statuses[-1]))


def read_end(course: Course) -> tuple[str, str]:
    return failed(course.end)


def test_a_local_server_is_recorded_and_forgotten_by_the_rollback() -> None:
    site = Site(build_provider(sharedResources=["net"]))
    done = site.run("server", "create", "cp-0")
    assert finished(done) == {"provider": "default", "name": "cp-0", "action": "create", "objects": _objects(site)}
    assert site.names() == ["vapora-server-default-cp-0", "vapora-shared-default-net"]
    assert site.data("vapora-server-default-cp-0") == {"kind": "server", "name": "cp-0"}
    assert set(site.through) == {"default"}
    finished(site.undo("server", "create", "cp-0", done=done))
    assert site.names() == []


def _objects(site: Site) -> list[Json]:
    found = site.objects["ConfigMap", "vapora-server-default-cp-0"]
    return [{"kind": "ConfigMap", "name": found["metadata"]["name"], "uid": found["metadata"]["uid"]}]


def test_what_servers_share_stays_as_long_as_there_is_one() -> None:
    site = Site(build_provider(sharedResources=["net"]))
    site.run("server", "create", "cp-0")
    done = site.run("server", "create", "cp-1")
    finished(site.undo("server", "create", "cp-1", done=done))
    assert site.names() == ["vapora-server-default-cp-0", "vapora-shared-default-net"]
    finished(site.run("server", "delete", "cp-0"))
    assert site.names() == []


def test_several_items_are_done_one_after_the_other_and_undone_in_reverse() -> None:
    site = Site()
    done = site.run("server", "create", "a", "b", "c")
    assert finished(done) == {"items": ["a", "b", "c"]}
    site.log.clear()
    finished(site.undo("server", "create", "a", "b", "c", done=done))
    assert site.log == [f"delete vapora-server-default-{name}" for name in "cba"]


def test_creating_what_is_there_changes_nothing_and_its_rollback_leaves_it() -> None:
    site = Site()
    site.run("server", "create", "cp-0")
    done = site.run("server", "create", "cp-0")
    finished(done)
    finished(site.undo("server", "create", "cp-0", done=done))
    assert site.names() == ["vapora-server-default-cp-0"]


def test_what_was_deleted_is_made_again_as_it_was() -> None:
    site = Site()
    site.run("server", "create", "cp-0")
    done = site.run("server", "delete", "cp-0")
    finished(done)
    assert site.names() == []
    finished(site.undo("server", "delete", "cp-0", done=done))
    assert site.data("vapora-server-default-cp-0") == {"kind": "server", "name": "cp-0"}


def test_deleting_what_is_not_there_succeeds_and_undoes_nothing() -> None:
    site = Site()
    done = site.run("server", "delete", "cp-0")
    finished(done)
    finished(site.undo("server", "delete", "cp-0", done=done))
    assert site.names() == []


REFUSED: dict[str, tuple[str, str, str, str]] = {
    "checking a server that is not there": ("server", "check", "NotFound", "ConfigMap vapora-server-default-x is not"),
    "updating a server that is not there": ("server", "update", "NotFound", "ConfigMap vapora-server-default-x is not"),
    "a service that nobody defines": (
        "taskserv",
        "create",
        "UnknownTaskserv",
        "there is no Taskserv 'x', nor a definition of it in the catalogue",
    ),
    "an action that there is not": ("server", "destroy", "InvalidInput", "params.action"),
    "a name that no object can have": ("server", "create", "InvalidInput", "params.items"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_fails_and_says_why(case: str) -> None:
    target, action, reason, words = REFUSED[case]
    end = read_end(Site().run(target, action, "no name!" if "no object" in case else "x"))
    assert end[0] == reason
    assert words in end[1]


PROVIDERS: dict[str, tuple[Json, str]] = {
    "a type that nobody registered": (build_provider(type_="lokal"), "'lokal'; near are local"),
    "params that do not fit": (build_provider(type_="command"), "Provider default: spec.params.image: Field required"),
    "a Provider that makes no servers": (
        build_provider(type_="clusterapi", params={"clusterClass": "small"}),
        "params.machine of the Provider: servers need it",
    ),
    "a claim that is not said": (
        build_provider(type_="crossplane", params={"cluster": {"apiVersion": "a.b/v1", "kind": "K"}}),
        "params.server of the Provider",
    ),
}


@pytest.mark.parametrize("case", PROVIDERS)
def test_a_provider_that_cannot_do_it_fails_the_step_with_the_place(case: str) -> None:
    provider, words = PROVIDERS[case]
    assert words in read_end(Site(provider).run("server", "create", "x"))[1]


CHOICES: dict[str, tuple[list[Json], list[str], str]] = {
    "the one whose inventory has it": ([build_provider(), build_provider("b", inventory=("x",))], [], "b"),
    "else the default": ([build_provider(), build_provider("b", inventory=("y",))], [], "default"),
    "else the only one": ([build_provider("b")], [], "b"),
    "only those that are named": ([build_provider(), build_provider("b")], ["b"], "b"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_an_item_goes_to(case: str) -> None:
    providers, allowed, wanted = CHOICES[case]
    site = Site(*providers)
    site.run("server", "create", "x", providers=allowed)
    assert site.names() == [f"vapora-server-{wanted}-x"]


NOBODY: dict[str, tuple[list[Json], list[str], str]] = {
    "there is none of that name": ([build_provider("b")], ["c"], "waits for Provider c: the namespace has b"),
    "two could do it": ([build_provider("a"), build_provider("b")], [], "a, b may all do it, none is default"),
}


@pytest.mark.parametrize("case", NOBODY)
def test_without_a_provider_the_step_waits_says_so_and_goes_on_when_one_comes(case: str) -> None:
    providers, allowed, words = NOBODY[case]
    site = Site(*providers)

    def world(call: Call) -> Answer:
        answer = site(call)
        site.objects["Provider", "c"] = build_provider("c", inventory=("x",))
        return answer

    course = drive(RUN, build_start("server", "create", "x", providers=allowed), world)
    finished(course)
    assert (course.rests[0].reason, words in course.rests[0].why) == ("NoProvider", True)
    assert site.names() == ["vapora-server-c-x"]


def test_a_service_is_made_of_its_definition_and_waited_for() -> None:
    site = Site()
    site.define("os", type="job", image="os:1")
    site.statuses["Taskserv"] = iter([{}, {"conditions": [{"type": "Reconciling", "status": "True"}]}, READY])
    done = site.run("taskserv", "create", "os")
    finished(done)
    found = site.get("Taskserv", "os")
    assert found is not None
    assert found["metadata"]["labels"]["vapora.dev/provider"] == "default"
    assert [rest.why for rest in done.rests][-1].startswith("waits for Taskserv os")
    finished(site.undo("taskserv", "create", "os", done=done))
    assert site.names("Taskserv") == []


def test_a_service_that_is_there_is_only_waited_for_and_stays() -> None:
    site = Site()
    site.put({"kind": "Taskserv", "metadata": {"name": "os", "labels": {"mine": "yes"}}, "spec": {"image": "own:2"}})
    site.define("os", type="job", image="os:1")
    site.statuses["Taskserv"] = iter([READY])
    done = site.run("taskserv", "create", "os")
    finished(done)
    finished(site.undo("taskserv", "create", "os", done=done))
    found = site.get("Taskserv", "os")
    assert found is not None
    assert found["spec"] == {"image": "own:2"}


def test_the_names_that_there_are_are_told_where_one_is_wrong() -> None:
    site = Site()
    site.define("containerd", image="x")
    assert (
        "'contained', nor a definition of it in the catalogue; near is containerd"
        in read_end(site.run("taskserv", "create", "contained"))[1]
    )


def test_a_machine_is_waited_for_until_its_controller_says_that_it_is_ready() -> None:
    site = Site(build_provider(type_="clusterapi", params=CLUSTER_API))
    site.statuses["MachineDeployment"] = iter([{}, {}, {"phase": "ScalingUp"}, {"conditions": []}, READY])
    done = site.run("server", "create", "cp-0")
    finished(done)
    assert any("has not said that it is ready" in rest.why or "no status yet" in rest.why for rest in done.rests)
    finished(site.undo("server", "create", "cp-0", done=done))
    assert site.names("MachineDeployment") == []


def test_a_command_runs_before_the_server_is_recorded_and_its_opposite_undoes_it() -> None:
    site = Site(command())
    end_jobs(site, DONE)
    done = site.run("server", "create", "cp-0")
    finished(done)
    [made] = site.names("Job")
    finished(site.undo("server", "create", "cp-0", done=done))
    words = {
        job: site.objects["Job", job]["spec"]["template"]["spec"]["containers"][0]["command"]
        for job in site.names("Job")
    }
    assert words.pop(made) == ["cloud", "create", "server", "cp-0"]
    assert list(words.values()) == [["cloud", "delete", "server", "cp-0"]]
    assert site.names() == []


def test_a_command_is_not_run_for_what_is_there() -> None:
    site = Site(command())
    end_jobs(site, DONE)
    site.run("server", "create", "cp-0")
    site.run("server", "create", "cp-0")
    assert len(site.names("Job")) == 1


def test_a_command_that_fails_is_told_by_its_last_words_and_its_half_work_is_undone() -> None:
    site = Site(command())
    end_jobs(site, BROKEN)
    site.last_words = {"terminated": {"exitCode": 3, "message": "quota exceeded\n"}}
    course = site.run("server", "create", "cp-0")
    assert isinstance(course.end, Failed)
    assert (*read_end(course), course.end.failure.exit_code) == ("ExitCode", "exit code 3: quota exceeded", 3)
    end_jobs(site, DONE)
    finished(site.undo("server", "create", "cp-0", done=course))
    assert len(site.names("Job")) == 2


def test_a_command_whose_pod_may_not_be_read_still_fails_with_the_jobs_words() -> None:
    site = Site(command())
    end_jobs(site, BROKEN)
    site.denied = {"Pod"}
    end = read_end(site.run("server", "create", "cp-0"))
    assert end[0] == "ObjectFailed"
    assert "backoff limit" in end[1]


@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("crash_at", range(12))
def test_a_crash_at_any_call_ends_as_if_there_had_been_none(crash_at: int, is_made: bool) -> None:
    for action, before in (("create", []), ("delete", ["cp-0"])):
        site = Site(command(sharedResources=["net"]))
        end_jobs(site, DONE)
        for item in before:
            site.run("server", "create", item)
        finished(site.run("server", action, "cp-0", crash_at=crash_at, is_made=is_made))
        assert ("vapora-server-default-cp-0" in site.names()) is (action == "create")
        assert len(site.names("Job")) == len(before) + 1


def test_what_was_never_begun_is_not_undone() -> None:
    site = Site(build_provider("other"))
    site.denied = {"Provider"}
    done = site.run("server", "create", "x")
    assert read_end(done)[0] == "AccountForbidden"
    assert finished(site.undo("server", "create", "x", done=done)) == {"note": "nothing was changed"}
