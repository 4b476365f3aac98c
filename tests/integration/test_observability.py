"""A run as it is seen from outside: by a real Prometheus, by a real OTLP receiver, and in the log."""

from collections.abc import Iterator

import httpx
import pytest
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.prometheus import find_prometheus, serving_prometheus
from tests.cluster.waiting import wait_until
from tests.contract.observability.queries import list_queries, read_query
from tests.integration.collector import Collector, collecting
from tests.integration.engine import OperatorProcess, install_definitions, operators_of
from tests.integration.moved import note_metrics
from tests.integration.objects import Json, Objects, run
from tests.integration.test_agentpool import build_pool

from vapora.adapters.metric_table import METRICS
from vapora.core.workflow.tracing import build_trace_id

SEEN_WHILE_IT_RUNS = {
    "vapora_workflows",
    "vapora_steps",
    "vapora_workflow_idle_seconds",
    "vapora_pool_replicas",
    "vapora_pool_queue",
    "vapora_pool_busy",
    "vapora_pools_saturated",
}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster,
    nats: NatsServer,
    collector: Collector,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorProcess]:
    install_definitions(cluster)
    with pytest.MonkeyPatch.context() as environment, operators_of(cluster, request) as fleet:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        environment.setenv("NO_PROXY", "127.0.0.1")
        graph = f"sqlite:///{tmp_path_factory.mktemp('graph') / 'graph.db'}"
        flags = ("--learning-epsilon", "1", "--pool-metrics", "--outbound-allowed", "127.0.0.1/32")
        yield fleet.start("operator", "--nats-url", nats.url, "--graph-url", graph, *flags)


@pytest.fixture(scope="module")
def here(cluster: Cluster, operator: OperatorProcess) -> Iterator[Objects]:
    cluster.create_namespace("observed")
    here = Objects(cluster, "observed")
    yield here
    here.kubectl("delete", "agentpools", "--all", "--timeout=30s")


@pytest.fixture(scope="module")
def finished(here: Objects, operator: OperatorProcess, collector: Collector) -> Json:
    """A workflow that has run, with what was to be seen meanwhile seen."""
    for pool in ("developer", "explorer"):
        here.create("AgentPool", pool, build_pool(scaling={"min": 1, "max": 1, "interval": "1s"}))
        here.kubectl("wait", "--for=condition=Ready", "--timeout=60s", f"agentpool/{pool}")
    asked = {"role": "worker", "title": "work", "input": {"seconds": 1}}
    here.workflow(
        "sample",
        run("first", ends={"exit-code": "1"}, retry={"maxAttempts": 2, "initialDelay": "1s"}, onFailure="continue"),
        *({"name": f"ask-{number}", "agent": asked} for number in range(4)),
        {"name": "ask-again", "agent": asked, "dependsOn": ["ask-0"]},
        {"name": "call", "http": {"method": "POST", "url": f"{collector.url}/hook", "body": {}}},
    )
    seen = set[str]()

    def look() -> bool:
        lines = operator.metrics()
        note_metrics(lines)
        values = (line.rpartition(" ") for line in lines if line.startswith("vapora_"))
        seen.update(series.partition("{")[0] for series, _, value in values if float(value))
        return seen >= SEEN_WHILE_IT_RUNS

    wait_until(look, "what there is shows in the metrics", within=60)
    return here.finished("sample")


def test_every_step_and_attempt_is_a_span_of_the_trace_that_the_status_names(
    finished: Json, collector: Collector
) -> None:
    trace = finished["status"]["traceId"]
    assert trace == build_trace_id(finished["metadata"]["uid"])

    def has_ended() -> bool:
        return any(span.name == "workflow" for span in collector.spans)

    wait_until(has_ended, "the span of the run has come", within=20)
    spans = [span for span in collector.spans if span.trace_id == trace]
    names = {span.span_id: span.name for span in spans}
    parents = {(span.name, names.get(span.parent_id, "")) for span in spans}
    steps = ["first", "call", "ask-again", *(f"ask-{number}" for number in range(4))]
    assert parents == {
        ("workflow", ""),
        *((f"step {step}", "workflow") for step in steps),
        *((f"attempt {step}", f"step {step}") for step in steps),
    }
    assert [span.is_error for span in spans if span.name == "attempt first"] == [True, True]
    assert {span.service for span in spans} == {"vapora-operator"}
    assert all(span.seconds >= 1 for span in spans if span.name.startswith("attempt ask"))


def test_the_trace_goes_on_in_what_a_step_calls(finished: Json, collector: Collector) -> None:
    wait_until(lambda: any(span.name == "attempt call" for span in collector.spans), "the call's span has come")
    (span,) = (span for span in collector.spans if span.name == "attempt call")
    (headers,) = collector.headers
    assert headers["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"


def test_the_log_tells_once_that_a_workflow_turned(finished: Json, operator: OperatorProcess) -> None:
    lines = [line for line in operator.logs if line["message"] == "the workflow turned"]
    about = [line for line in lines if line["workflow"] == "sample"]
    assert [line["phase"] for line in about] == ["Running", finished["status"]["phase"]]
    assert {line["trace_id"] for line in about} == {finished["status"]["traceId"]}


def test_a_real_prometheus_answers_every_query(finished: Json, operator: OperatorProcess) -> None:
    program = find_prometheus()
    if program is None:
        pytest.skip("there is no Prometheus on this machine (make setup-system installs it)")
    with (
        serving_prometheus(program, f"127.0.0.1:{operator.port}") as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):

        def ask(query: str) -> list[Json]:
            answer = client.get("/api/v1/query", params={"query": query})
            assert answer.status_code == 200, answer.text
            return list(answer.json()["data"]["result"])

        wait_until(lambda: ask("rate(vapora_watch_events_total[1m])"), "the operator was scraped twice", within=30)
        targets = client.get("/api/v1/targets/metadata", params={"match_target": '{job="vapora-operator"}'})
        served = {row["metric"] for row in targets.json()["data"]}
        assert {metric.series for metric in METRICS.values()} - served == set()
        for where, query in list_queries():
            answer, asked = ask(query), read_query(query).series
            # One that chooses by a label, as alerts do, may rightly find nothing.
            must_answer = "{" not in query and not where.startswith("Vapora")
            if must_answer and all(ask(f"count({name})") for name in asked):
                assert answer, f"{where}: {query}"


def await_moved(operator: OperatorProcess, series: str) -> None:
    """Wait until a metric is not 0."""

    def look() -> bool:
        lines = [line for line in operator.metrics() if line.startswith(series)]
        note_metrics(lines)
        return any(float(line.rpartition(" ")[2]) for line in lines)

    wait_until(look, f"{series} has moved", within=60, every=0.5)


def test_how_pools_develop_is_counted(finished: Json, operator: OperatorProcess) -> None:
    await_moved(operator, "vapora_expertise_trend{")


def test_the_queue_can_be_looked_at_from_the_pod_itself(operator: OperatorProcess) -> None:
    dump = operator.get("/debug/queue").json()
    assert dump["open"] is True
    assert dump["counts"].keys() == {"processing", "waiting", "delayed"}
