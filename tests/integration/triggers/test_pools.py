"""Pools whose triggers are read from real servers: one that cannot be read is named, and disturbs nobody else."""

import json
from collections.abc import Iterator, Mapping

import pytest
from redis import Redis
from tests.cluster import postgres, redis
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.integration.engine import install_definitions, operators_of
from tests.integration.objects import Json
from tests.integration.workflow.site import Site, serving_http
from tests.integration.workflow.stage import TRUSTED, Stage

AUTH: Json = {"name": "tokens", "key": "token"}
FIRST = 2  # the size of each pool, from which it would grow and shrink


@pytest.fixture(scope="module")
def operator(cluster: Cluster, nats: NatsServer, request: pytest.FixtureRequest) -> Iterator[tuple]:
    install_definitions(cluster)
    with operators_of(cluster, request) as started:
        yield started, started.start("operator", *TRUSTED, "--nats-url", nats.url)


@pytest.fixture
def here(cluster: Cluster, namespace: str, operator: tuple) -> Iterator[Stage]:
    here = Stage(cluster, namespace, *operator)
    here.prepare()
    given = {"stringData": {"redis": redis.PASSWORD, "postgres": postgres.PASSWORD}}
    here.kubectl("patch", "secret", "tokens", "-p", json.dumps(given))
    yield here
    here.kubectl("delete", "agentpools", "--all", "--timeout=30s")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving_http() as served:
        yield served


def make_pool(here: Stage, name: str, trigger: Mapping[str, object], **scaling: object) -> None:
    """Make a pool that grows above three and shrinks below one, as soon as may be."""
    rule: Json = {"min": 1, "max": 5, "scaleUpAbove": 3, "scaleDownBelow": 1, "interval": "1s"}
    rule |= {"scaleDownStabilization": "1s", "triggers": [trigger], **scaling}
    account = {"spec": {"serviceAccountName": "builder"}}
    spec = {"role": "worker", "replicas": FIRST, "template": {"image": "nobody:1", "podTemplate": account}}
    here.create("AgentPool", name, {**spec, "scaling": rule})


def build_http(url: str, jmespath: str = "waiting", **fields: object) -> Json:
    return {"type": "http", "params": {"url": url, "jmespath": jmespath}, **fields}


def expect(here: Stage, troubles: Mapping[str, tuple[Json, str]]) -> None:
    """Wait until each pool says what is wrong with its trigger: none of them has moved, and each has told it once."""
    for name, (_, words) in troubles.items():
        here.await_said("AgentPool", name, "MetricsAvailable", f"False MetricsUnavailable: {words}", within=30)
    for name in troubles:
        status = here.status("AgentPool", name)
        assert (status["desiredReplicas"], here.said("AgentPool", name)["Ready"][:4]) == (FIRST, "True"), name
        told = [message for reason, message in here.events(name) if reason == "MetricsUnavailable"]
        assert [message.startswith(troubles[name][1]) for message in told] == [True], (name, told)


def test_a_trigger_that_cannot_be_read_is_named_and_moves_nothing_while_others_go_on(here: Stage, site: Site) -> None:
    gate = site.holds("/slow")
    fine = site.answers("/fine", (200, {"waiting": 9}))
    denied = site.answers("/denied", (401, {"error": "who are you"}))
    empty = site.answers("/empty", (200, ""))
    troubles: dict[str, tuple[Json, str]] = {
        "denied": (build_http(denied, authRef=AUTH), 'http: status 401, the answer: {"error": "who are you"}'),
        "no-secret": (build_http(fine, authRef={"name": "nobodys"}), "http: Secret "),
        "no-key": (build_http(fine, authRef={**AUTH, "key": "no"}), "http: Secret "),
        "no-query": (build_http(fine, "waiting["), "http: jmespath waiting[: "),
        "nothing": (build_http(fine, "elsewhere"), "http: a number of at least 0 is needed, found nothing"),
        "empty": (build_http(empty), "http: status 200, the answer is no JSON: nothing"),
        "slow": (build_http(site.url("/slow")), "http: no answer within 5 s"),
    }
    for name, (trigger, _) in troubles.items():
        make_pool(here, name, trigger)
    make_pool(here, "fine", build_http(fine, authRef=AUTH))
    make_pool(here, "blind", build_http(empty), onUnknown="max")
    decision = here.await_status("AgentPool", "fine", desiredReplicas=5)["lastDecision"]
    assert (decision["trigger"], decision["reason"]) == ("http", "http 9 > 3: 4 + 2 = 6, at most max 5")
    shown = {request.headers.get("Authorization") for request in site.received("/fine")}
    assert "Bearer s3cr3t-of-builder" in shown, "others read the same address without a secret"
    decision = here.await_status("AgentPool", "blind", desiredReplicas=5)["lastDecision"]
    assert "the answer is no JSON: nothing" in decision["reason"]
    assert decision["reason"].endswith("): onUnknown asks for 5")
    expect(here, troubles)
    assert "s3cr3t" not in here.kubectl("get", "agentpools,events", "-o", "json")
    gate.set()
    site.answers("/slow", (200, {"waiting": 0}))
    here.await_said("AgentPool", "slow", "MetricsAvailable", "True MetricsRead", within=60)  # it may rest for 30 s
    here.await_status("AgentPool", "slow", desiredReplicas=1)


def test_servers_of_databases_move_their_pools_and_a_wrong_secret_or_query_moves_none(
    here: Stage, redis_url: str, postgres_url: str, prometheus_url: str
) -> None:
    listed: Json = {"type": "redisList", "params": {"url": redis_url, "list": "jobs"}}
    asked: Json = {"type": "postgres", "params": {"url": postgres_url, "query": "SELECT 9"}}
    counted: Json = {"type": "prometheus", "params": {"url": prometheus_url, "query": "sum(up) * 9"}}
    key = {auth: {"name": "tokens", "key": auth} for auth in ("redis", "postgres")}
    with Redis.from_url(redis_url, password=redis.PASSWORD) as client:
        client.rpush("jobs", *range(9))
        make_pool(here, "redis", {**listed, "authRef": key["redis"]})
        make_pool(here, "postgres", {**asked, "authRef": key["postgres"]})
        make_pool(here, "prometheus", counted)
        troubles: dict[str, tuple[Json, str]] = {
            "redis-secret": ({**listed, "authRef": AUTH}, "redisList: "),
            "redis-stream": (
                {
                    "type": "redisStream",
                    "params": {"url": redis_url, "stream": "no", "group": "g"},
                    "authRef": key["redis"],
                },
                "redisStream: ",
            ),
            "postgres-secret": (
                {**asked, "authRef": AUTH},
                'postgres: password authentication failed for user "vapora"',
            ),
            "postgres-query": (
                {"type": "postgres", "params": {"url": postgres_url, "query": "SELEKT 1"}, "authRef": key["postgres"]},
                'postgres: syntax error at or near "SELEKT"',
            ),
            "prometheus-empty": (
                {"type": "prometheus", "params": {"url": prometheus_url, "query": "nothing_of_that_name"}},
                "prometheus: the query gives 0 series, and one is needed",
            ),
        }
        for name, (trigger, _) in troubles.items():
            make_pool(here, name, trigger)
        for name in ("redis", "postgres", "prometheus"):
            here.await_status("AgentPool", name, desiredReplicas=5, within=30)
        expect(here, troubles)
        client.delete("jobs")
        decision = here.await_status("AgentPool", "redis", desiredReplicas=1, within=30)["lastDecision"]
    assert decision["trigger"] in {"nats", "redisList"}
    shown = here.kubectl("get", "agentpools,events", "-o", "json")
    assert not any(secret in shown for secret in (redis.PASSWORD, postgres.PASSWORD, "s3cr3t-of-builder"))
