"""Secrets stay where they are: planted wherever one may be given, they are found nowhere that people can read."""

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.cluster import postgres, redis
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import wait_until
from tests.integration.engine import install_definitions, operators_of
from tests.integration.objects import Json, run
from tests.integration.secrets.canaries import KEYS, Canaries, listening
from tests.integration.typed import type_command
from tests.integration.workflow.site import LOCAL, Postbox, Site, serving_http, serving_mail
from tests.integration.workflow.stage import AT_ONCE, ONCE, TRUSTED, Stage, call

ECHO = {"image": "echo:1", "command": [sys.executable, "examples/agents/echo.py"]}
READABLE = "workflows,workflowtemplates,agentpools,taskservs,providers,pods,deployments,jobs,services,configmaps"
READABLE += ",controllerrevisions,events,horizontalpodautoscalers"


def ref(key: str) -> Json:
    return {"name": "canaries", "key": key}


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture(scope="module")
def graph(canaries: Canaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The store of the graph, with a password where this machine has a server; as the operator's variables."""
    programs = postgres.find_postgres()
    if programs is None:
        yield {"VAPORA_GRAPH_URL": f"sqlite://{tmp_path_factory.mktemp('graph')}/graph.db"}
        return
    with postgres.serving_postgres(programs, password=canaries["graph"]) as url:
        yield {"VAPORA_GRAPH_URL": f"{url}/postgres", "VAPORA_GRAPH_PASSWORD": canaries["graph"]}


@pytest.fixture(scope="module")
def away() -> str:
    return f"http://{LOCAL}:1"


@pytest.fixture(scope="module")
def here(
    cluster: Cluster, nats: NatsServer, canaries: Canaries, graph: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """An operator that is given its own secrets, at its most talkative, and a namespace full of others'."""
    install_definitions(cluster)
    address = nats.url.replace("://", f"://vapora:{quote(canaries['nats'], safe='')}@")
    with operators_of(cluster, request) as fleet:
        variables = {**graph, "VAPORA_NATS_URL": address, "VAPORA_LOG_LEVEL": "debug"}
        operator = fleet.start("operator", *TRUSTED, variables=variables)
        cluster.create_namespace("canaries")
        here = Stage(cluster, "canaries", fleet, operator)
        here.prepare()
        secret = {"metadata": {"name": "canaries"}, "stringData": {key: canaries[key] for key in KEYS}}
        cluster.api.post("/api/v1/namespaces/canaries/secrets", json=secret).raise_for_status()
        reads = ("--verb=get", "--resource=secrets", "--resource-name=canaries", "-n", "canaries")
        cluster.kubectl("create", "role", "keeper", *reads)
        cluster.kubectl(
            "create", "rolebinding", "keeper", "--role=keeper", "--serviceaccount=canaries:builder", "-n", "canaries"
        )
        yield here
        cluster.api.delete("/api/v1/namespaces/canaries").raise_for_status()


def task(name: str, type_: str, params: Json) -> Json:
    return {"name": name, "task": {"type": type_, "params": params}, "onFailure": "continue", "retry": ONCE}


def list_steps(site: Site, box: Postbox, away: str, canaries: Canaries) -> list[Json]:
    """Steps that use secrets in every way, some of them in vain, and servers that repeat what they were sent."""
    told = {"error": f"{canaries['header']} is no good token"}
    site.answers("/told", (200, {"you": f"sent {canaries['header']}"}))
    site.answers("/refused", (401, told))
    site.answers("/hook/refused", (403, f"no hook {canaries['hook']}"))
    secret = {"headersFrom": [{"name": "X-Token", "secretKeyRef": ref("header")}]}
    mail = {
        "from": "a@example.com",
        "to": ["b@example.com"],
        "subject": "s",
        "message": "m",
        "user": "u",
        "host": LOCAL,
    }
    mail |= {"passwordSecret": ref("mail"), "starttls": False}
    given = {"env": {"TOKEN": "secret:canaries:env"}}
    vain: Json = {"onFailure": "continue", "retry": ONCE}
    return [
        run("work", run={**given, "envFrom": [{"secretRef": {"name": "canaries"}}]}),
        run("bad", ends={"exit-code": "3"}, run=given, onFailure="continue", retry=AT_ONCE),
        run("unreadable", run={"env": {"TOKEN": "secret:nobodys:env"}}, pendingTimeout="1s", **vain),
        call("told", site.url("/told"), http=secret, outputs=["you"]),
        call("refused", site.url("/refused"), http={**secret, "expect": "response.status == 200"}, **vain),
        call("away", f"{away}/", http=secret, **vain),
        call("misread", site.url("/told"), http={**secret, "expect": "response.body.nothing == 1"}, **vain),
        task("hook", "notifications.slack", {"webhook": ref("hook"), "message": "hi"}),
        task("mail", "notifications.email", {**mail, "port": box.port}),
        task("mail-away", "notifications.email", {**mail, "port": 1}),
        {"name": "ask", "agent": {"role": "echo", "title": "say it", "input": {"words": ["one"]}}},
    ]  # fmt: skip


def make_pool(here: Stage, name: str, trigger: Json) -> None:
    rule = {"min": 0, "max": 2, "interval": "1s", "triggers": [trigger]}
    template = {"image": "nobody:1", "podTemplate": {"spec": {"serviceAccountName": "builder"}}}
    here.create("AgentPool", name, {"role": name, "replicas": 0, "template": template, "scaling": rule})


def count_list(url: str) -> Json:
    return {"type": "redisList", "params": {"url": url, "list": "l"}, "authRef": ref("redis")}


def make_others(here: Stage, site: Site, away: str, canaries: Canaries) -> dict[str, str]:
    """Pools, a service and a provider that use secrets; says what each pool must have said of its queue."""
    site.answers("/queue", (401, {"error": f"Bearer {canaries['bearer']} is unknown"}))
    here.create("AgentPool", "echo", {
        "role": "echo", "replicas": 1, "template": {**ECHO, "env": {"LLM_KEY": "secret:canaries:llm"}},
    })  # fmt: skip
    here.create("Taskserv", "backend", {
        "image": "service:1", "ports": {"http": 80}, "environment": {"KEY": "secret:canaries:service"},
        "secrets": {"OTHER": ref("service-key")},
    })  # fmt: skip
    here.create("Provider", "default", {"type": "local", "serviceAccountName": "builder"})
    queue = {"url": site.url("/queue"), "jmespath": "n"}
    triggers = {
        "http": {"type": "http", "params": queue, "authRef": ref("bearer")},
        "http-away": {"type": "http", "params": {**queue, "url": away}, "authRef": ref("bearer")},
        "redis-away": count_list(f"redis://{LOCAL}:1"),
    }  # fmt: skip
    for name, trigger in triggers.items():
        make_pool(here, name, trigger)
    return dict.fromkeys(triggers, "False MetricsUnavailable")


def make_databases(here: Stage) -> Iterator[str]:
    """Pools that ask real databases with wrong passwords, where this machine has the servers."""
    if (program := redis.find_redis()) is not None:
        with redis.serving_redis(program) as url:
            make_pool(
                here, "redis", {"type": "redisList", "params": {"url": url, "list": "l"}, "authRef": ref("redis")}
            )
            yield "redis"


def run_command(here: Stage, *arguments: str, **variables: str) -> str:
    """What the command line says, on both of its outputs."""
    return type_command(arguments, KUBECONFIG=str(here.cluster.kubeconfig), COLUMNS="400", **variables).said


COMMANDS = (
    "workflow get all -o json", "workflow get all -o yaml", "workflow get all --tree", "workflow list -o wide",
    "workflow watch all", "agents top", "agents get http -o yaml", "agents rank code-review", "agents history echo",
)  # fmt: skip


def test_no_secret_is_found_anywhere(
    here: Stage, nats: NatsServer, canaries: Canaries, graph: dict[str, str], away: str, tmp_path: Path
) -> None:
    places: dict[str, str] = {}
    with serving_http() as site, serving_mail() as box, listening(nats) as heard:
        canaries.values["hook"] = site.url("/hook/refused?token=canary+hook")
        here.patch("Secret", "canaries", {"stringData": {"hook": canaries["hook"]}})
        said = make_others(here, site, away, canaries)
        here.workflow("all", *list_steps(site, box, away, canaries), serviceAccountName="builder", maxParallel=20)
        for pool in make_databases(here):
            here.await_said("AgentPool", pool, "MetricsAvailable", "False MetricsUnavailable")
        for pool, start in said.items():
            here.await_said("AgentPool", pool, "MetricsAvailable", start)
        here.await_status("Taskserv", "backend", phase="Healthy")
        status = here.ended("all", within=60)
        assert status["steps"]["ask"]["state"] == "Succeeded", "its task went through the broker"
        wait_until(lambda: here.condition("Workflow", "all", "Recorded").get("status") == "True", "all is recorded")
        used = [site.received("/told")[0].headers["X-Token"], site.received("/queue")[0].headers["Authorization"]]
        assert used == [canaries["header"], f"Bearer {canaries['bearer']}"]
        places["the broker's messages"] = heard.decode(errors="replace")
    places["the objects"] = here.kubectl("get", READABLE, "-o", "json", "--show-managed-fields")
    places["the operator's log"] = here.operator.process.log.read_text()
    places["metrics"] = "\n".join(here.operator.metrics())
    run_command(here, "graph", "export", str(tmp_path / "graph.jsonl"), **graph)
    places["the graph"] = (tmp_path / "graph.jsonl").read_text()
    for command in COMMANDS:
        places[command] = run_command(here, *command.split(), "-n", here.namespace)
    places["graph query"] = run_command(here, "graph", "query", "executions", "-n", here.namespace, **graph)
    shown = {"the graph": "failure", "the broker's messages": "vapora.results", "workflow get all --tree": "mail-away"}
    assert {place: words for place, words in shown.items() if words not in places[place]} == {}
    assert {place: found for place, text in places.items() if (found := canaries.find(text))} == {}
