"""Sizes, health and exposure by name."""

from itertools import chain, repeat

import pytest
from tests.unit.procedures.cluster import Json
from tests.unit.procedures.course import drive, failed, finished, situation
from tests.unit.tasks.provisioning.world import (
    DEGRADED,
    READY,
    SERVICE,
    STALLED,
    STARTING,
    body,
    build,
    healthy,
    run,
    run_task,
    said,
    undo,
)

from vapora.core.calls import Answer, Call, ListCall, MergeCall, ObjectRef, ReadCall
from vapora.core.workflow.procedure import Finished

POOL = {"role": "coder", "replicas": 2}


class Sizes:
    """One pool in the namespace of the pools."""

    def __init__(self, spec: Json) -> None:
        self.found: Json = {**build("AgentPool", "dev", spec, "vapora-agents")}
        self.writes: list[object] = []

    def __call__(self, call: Call) -> Answer:
        if isinstance(call, ReadCall):
            mine = ObjectRef("vapora.dev/v1alpha1", "AgentPool", "vapora-agents", "dev")
            return Answer([self.found if ref == mine else None for ref in call.objects])
        assert isinstance(call, MergeCall)
        self.writes.append(dict(call.body)["spec"])
        self.found["spec"] = {**self.found["spec"], "replicas": self.writes[-1]["replicas"]}  # type: ignore[index]
        return Answer(self.found)


SIZE = {"taskserv": "vapora-agents-dev", "replicas": 4}


@pytest.mark.parametrize("crash_at", range(-1, 4))
def test_a_pool_is_sized_by_the_name_of_its_role_and_gets_its_size_back(crash_at: int) -> None:
    sizes = Sizes({**POOL, "scaling": {"mode": "none"}})
    course = drive(run_task, situation(body("scale-taskserv", SIZE)), sizes, crash_at=crash_at)
    assert finished(course) == {"object": "AgentPool dev", "replicas": 4, "former": 2}
    assert isinstance(course.end, Finished)
    finished(undo(sizes, "scale-taskserv", SIZE, course.end.memory))  # type: ignore[arg-type]  # a world as well
    assert sizes.found["spec"]["replicas"] == 2


def test_a_size_that_the_queue_sets_is_refused() -> None:
    sizes = Sizes({**POOL, "scaling": {"mode": "queue"}})
    reason, message = failed(drive(run_task, situation(body("scale-taskserv", SIZE)), sizes).end)
    assert (reason, sizes.writes) == ("ReplicasOwned", [])
    assert message.startswith("the operator sets the size of AgentPool dev by its queue")


WRONG_SIZES: dict[str, tuple[Json, tuple[str, str]]] = {
    "a name that nobody has": (
        {"taskserv": "x", "replicas": 1},
        ("NotFound", "there is no Taskserv or AgentPool 'x' in namespace default or vapora-agents"),
    ),
    "a size that is none": (
        {"taskserv": "x", "replicas": "many"},
        ("InvalidInput", "task provisioning.scale-taskserv: params.replicas: Input should be a valid integer"),
    ),
    "no size": (
        {"taskserv": "x", "replicas": None},
        ("InvalidInput", "task provisioning.scale-taskserv: params.replicas: Input should be a valid integer"),
    ),
}


@pytest.mark.parametrize(("params", "want"), WRONG_SIZES.values(), ids=WRONG_SIZES)
def test_a_wrong_size_is_told(params: Json, want: tuple[str, str]) -> None:
    reason, message = failed(run(healthy(), "scale-taskserv", params).end)
    assert (reason, message.startswith(want[1])) == (want[0], True), message


def test_all_services_of_the_namespace_are_checked() -> None:
    cluster = healthy(*(build("Taskserv", name, SERVICE) for name in ("a", "b")), build("Taskserv", "c", SERVICE, "x"))
    assert finished(run(cluster, "health-check", {"services": "all"})) == {"healthy": ["Taskserv a", "Taskserv b"]}


@pytest.mark.parametrize("services", ["all", ["a"]], ids=["all", "by name"])
def test_one_that_gets_on_is_waited_for(services: object) -> None:
    cluster = healthy(build("Taskserv", "a", SERVICE))
    cluster.statuses["Taskserv"] = chain([STARTING, STARTING], repeat(READY))
    course = run(cluster, "health-check", {"services": services})
    finished(course)
    assert [rest.why for rest in course.rests] == ["waits for Taskserv a (1 of 2)"] * 2


@pytest.mark.parametrize("services", ["all", ["a"]], ids=["all", "by name"])
def test_one_that_has_been_degraded_for_a_while_fails_the_check(services: object) -> None:
    cluster = healthy(build("Taskserv", "a", SERVICE))
    cluster.statuses["Taskserv"] = repeat(DEGRADED)
    course = run(cluster, "health-check", {"services": services})
    assert failed(course.end) == ("ObjectFailed", "Taskserv a (ImagePullBackOff: no)")
    assert course.rests, "it had a while to come right"


def test_one_that_comes_right_in_time_is_healthy() -> None:
    cluster = healthy(build("Taskserv", "a", SERVICE))
    cluster.statuses["Taskserv"] = chain([DEGRADED], repeat(READY))
    finished(run(cluster, "health-check", {"services": "all"}))


def test_one_that_has_failed_fails_the_check_at_once() -> None:
    cluster = healthy(build("Taskserv", "a", SERVICE), build("AgentPool", "b", POOL))
    cluster.statuses["AgentPool"] = repeat(STALLED)
    course = run(cluster, "health-check", {"services": ["a", "b"]})
    assert failed(course.end) == ("ObjectFailed", "AgentPool b: needs itself: a -> a")
    assert course.rests == []


WRONG_CHECKS: dict[str, tuple[Json, tuple[str, str]]] = {
    "nothing to check": ({"services": "all"}, ("NotFound", "there is no Taskserv in namespace default")),
    "a name that nobody has": (
        {"services": ["x"]},
        ("NotFound", "there is no Taskserv or AgentPool 'x' in namespace default or vapora-agents"),
    ),
    "a word that is not all": (
        {"services": "some"},
        ("InvalidInput", "task provisioning.health-check: params.services"),
    ),
}


@pytest.mark.parametrize(("params", "want"), WRONG_CHECKS.values(), ids=WRONG_CHECKS)
def test_a_wrong_check_is_told(params: Json, want: tuple[str, str]) -> None:
    reason, message = failed(run(healthy(), "health-check", params).end)
    assert (reason, message.startswith(want[1])) == (want[0], True), message


def test_an_api_server_that_is_away_is_waited_for() -> None:
    cluster, away = healthy(build("Taskserv", "a", SERVICE)), [Answer(None, "ApiUnavailable", "no route")]

    def world(call: Call) -> Answer:
        assert isinstance(call, ListCall)
        return away.pop() if away else cluster(call)

    course = drive(run_task, situation(body("health-check", {"services": "all"})), world)
    finished(course)
    assert [rest.why for rest in course.rests] == ["waits for the API: no route"]


INGRESS = {"gateway": "istio-gateway", "hosts": ["vapora.example.com"]}
OTHER = build("Taskserv", "api", SERVICE)
EXPOSED = {"exposure": "public", "hosts": ["vapora.example.com"]}
SERVICES: dict[str, tuple[list[Json], Json, str]] = {
    "the only public one": ([OTHER, build("Taskserv", "shop", {**SERVICE, "exposure": "public"})], INGRESS, "shop"),
    "the frontend": ([OTHER, build("Taskserv", "vapora-frontend", SERVICE)], INGRESS, "vapora-frontend"),
    "the one that is named": ([OTHER, build("Taskserv", "frontend", SERVICE)], {**INGRESS, "service": "api"}, "api"),
}


@pytest.mark.parametrize(("objects", "params", "name"), SERVICES.values(), ids=SERVICES)
def test_the_hosts_lead_to(objects: list[Json], params: Json, name: str) -> None:
    cluster = healthy()
    for found in objects:
        cluster.put(found, "vapora-99999999")  # a former run
    before = dict(cluster.objects["Taskserv", name]["spec"])
    course = run(cluster, "configure-ingress", params)
    finished(course)
    assert cluster.objects["Taskserv", name]["spec"] == {**before, **EXPOSED, "gateway": {"name": "istio-gateway"}}
    assert isinstance(course.end, Finished)
    finished(undo(cluster, "configure-ingress", params, course.end.memory))
    assert cluster.objects["Taskserv", name]["spec"] == before


@pytest.mark.parametrize("crash_at", range(8))
def test_a_crash_anywhere_exposes_the_service_once(crash_at: int) -> None:
    cluster = healthy(build("Taskserv", "frontend", SERVICE))
    finished(run(cluster, "configure-ingress", {**INGRESS, "gateway": "edge/gw"}, crash_at=crash_at))
    spec = cluster.objects["Taskserv", "frontend"]["spec"]
    assert spec == {**SERVICE, **EXPOSED, "gateway": {"name": "gw", "namespace": "edge"}}


def test_without_gateway_api_there_is_an_ingress() -> None:
    cluster = healthy(build("Taskserv", "frontend", SERVICE))

    def world(call: Call) -> Answer:
        if isinstance(call, ReadCall) and call.objects[0].kind == "HTTPRoute":
            return Answer(None, "NotFound", "the cluster has no kind HTTPRoute")
        return cluster(call)

    finished(drive(run_task, situation(body("configure-ingress", INGRESS)), world))
    assert cluster.objects["Taskserv", "frontend"]["spec"] == {**SERVICE, **EXPOSED}


def test_a_route_that_the_gateway_refuses_is_waited_for_in_its_words() -> None:
    cluster = healthy(build("Taskserv", "frontend", SERVICE))
    refused = {
        **READY,
        "conditions": [*READY["conditions"], said("Exposed", "False", "the Gateway refuses the route: no")],
    }
    cluster.statuses["Taskserv"] = chain([READY, READY, refused, refused], repeat(READY))
    course = run(cluster, "configure-ingress", INGRESS)
    finished(course)
    assert "waits for Taskserv frontend (the Gateway refuses the route: no)" in [rest.why for rest in course.rests]


WRONG_HOSTS: dict[str, tuple[list[Json], Json, tuple[str, str]]] = {
    "no service that could be meant": (
        [OTHER],
        INGRESS,
        ("InvalidInput", "params.service: the hosts lead to one Taskserv; none is public or called frontend"),
    ),
    "several that could": (
        [build("Taskserv", name, SERVICE) for name in ("a-frontend", "b-frontend")],
        INGRESS,
        ("InvalidInput", "params.service: the hosts lead to one Taskserv; a-frontend, b-frontend could be meant"),
    ),
    "a name that nobody has": (
        [OTHER],
        {**INGRESS, "service": "apo"},
        ("UnknownTaskserv", "there is no Taskserv 'apo'; near is api"),
    ),
    "no hosts": (
        [OTHER],
        {**INGRESS, "hosts": []},
        ("InvalidInput", "task provisioning.configure-ingress: params.hosts"),
    ),
    "no gateway": ([OTHER], {"hosts": ["a"]}, ("InvalidInput", "task provisioning.configure-ingress: params.gateway")),
}


@pytest.mark.parametrize(("objects", "params", "want"), WRONG_HOSTS.values(), ids=WRONG_HOSTS)
def test_wrong_hosts_are_told(objects: list[Json], params: Json, want: tuple[str, str]) -> None:
    cluster = healthy(*objects)
    reason, message = failed(run(cluster, "configure-ingress", params).end)
    assert (reason, message.startswith(want[1])) == (want[0], True), message
    assert cluster.log == []
