"""Logs, metrics, settings, and how the API server's refusals are read."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from vapora.adapters.kube_client import build_error
from vapora.adapters.kube_kinds import RESOURCES, object_path
from vapora.adapters.learning_metrics import LearningMetrics
from vapora.adapters.logs import HumanFormatter, JsonFormatter, configure_logging
from vapora.adapters.metrics import Metrics
from vapora.controller.looking import Look, looking_at
from vapora.controller.ports import AlreadyExists, ApiError, Conflict, Gone, NotFound
from vapora.core.plan import Key
from vapora.core.workflow.tracing import build_trace_id
from vapora.settings import Settings


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "vapora.test", "levelname": "INFO", "msg": message, "created": 1767268800.5})
    vars(made).update(fields)
    return made


def test_a_line_of_json_has_its_fields_beside_the_message():
    line = json.loads(JsonFormatter("vapora-operator").format(record("reconciled", kind="Workflow", seconds=0.5)))
    assert line == {
        "timestamp": "2026-01-01T12:00:00.500+00:00",
        "level": "info",
        "service": "vapora-operator",
        "logger": "vapora.test",
        "message": "reconciled",
        "kind": "Workflow",
        "seconds": 0.5,
    }


def test_a_value_that_json_does_not_know_is_written_as_text():
    line = json.loads(JsonFormatter("x").format(record("m", key=Key("Pod", "default", "p"))))
    assert line["key"] == "Pod/default/p"


def test_a_line_for_people_ends_with_its_fields():
    assert HumanFormatter().format(record("reconciled", kind="Workflow")).endswith("INFO    reconciled  kind=Workflow")


def test_a_line_says_which_reconcile_it_is_a_part_of():
    look = Look(Key("Workflow", "team", "nightly"), 7, lambda _: "uid")
    token = looking_at.set(look)
    try:
        line = json.loads(JsonFormatter("x").format(record("m", problem="p")))
    finally:
        looking_at.reset(token)
    told = {"reconcile": 7, "kind": "Workflow", "namespace": "team", "workflow": "nightly", "problem": "p"}
    assert told.items() <= line.items()
    assert line["trace_id"] == build_trace_id("uid")


@pytest.fixture
def root() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.usefixtures("root")
def test_libraries_say_only_warnings():
    stream = io.StringIO()
    configure_logging("x", "auto", "debug", stream)
    logging.getLogger("kopf.objects").info("handled")
    logging.getLogger("vapora.test").debug("decided")
    logging.getLogger("kopf.objects").warning("refused")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["decided", "refused"]


def test_metrics_count_by_kind_and_never_by_name():
    metrics = Metrics("1.2.3")
    metrics.reconciled("Workflow", "success", 0.01)
    metrics.api_request("create", "Pod", 201)
    metrics.observe_engine(depth=lambda: 7, objects=lambda: 8)
    text = metrics.render().decode()
    for line in (
        'vapora_reconcile_total{kind="Workflow",result="success"} 1.0',
        'vapora_reconcile_duration_seconds_count{kind="Workflow"} 1.0',
        'vapora_api_requests_total{code="201",kind="Pod",verb="create"} 1.0',
        "vapora_workqueue_depth 7.0",
        "vapora_store_objects 8.0",
        'vapora_info{version="1.2.3"} 1.0',
    ):
        assert line in text


def test_metrics_tell_how_tasks_were_given_and_how_the_knowledge_graph_stands():
    metrics = Metrics("1.2.3")
    learning = LearningMetrics(metrics.registry)
    learning.observe(waiting=lambda: 3, lag=lambda: 1.5, connections=lambda: 0, trends=lambda: {"Declining": 2})
    learning.assigned("score", is_from_memory=True)
    learning.assigned("exploration", is_from_memory=False)
    learning.graph_queried("latest", 0.002, is_answered=False)
    learning.graph_measured(4096)
    text = metrics.render().decode()
    for line in (
        'vapora_assignments_total{reason="score"} 1.0',
        "vapora_exploration_total 1.0",
        "vapora_graph_hits_total 1.0",
        'vapora_graph_queries_total{query="latest",result="unavailable"} 1.0',
        'vapora_graph_query_seconds_count{query="latest"} 1.0',
        "vapora_graph_size_bytes 4096.0",
        "vapora_graph_outbox_depth 3.0",
        "vapora_graph_outbox_lag_seconds 1.5",
        "vapora_graph_connections 0.0",
        'vapora_expertise_trend{direction="Declining"} 2.0',
        'vapora_expertise_trend{direction="Stable"} 0.0',
    ):
        assert line in text


def test_two_sets_of_metrics_share_nothing():
    first, second = Metrics("a"), Metrics("b")
    first.retried("Workflow")
    assert "vapora_workqueue_retries_total{" not in second.render().decode()


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VAPORA_WORKERS", "7")
    monkeypatch.setenv("KUBECONFIG", "/from/environment")
    assert (Settings().workers, Settings().kubeconfig) == (7, "/from/environment")
    assert (Settings(workers=9).workers, Settings(kubeconfig="/flag").kubeconfig) == (9, "/flag")


def test_no_kubeconfig_is_used_that_nobody_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert Settings().kubeconfig is None


def test_a_setting_out_of_range_is_refused():
    with pytest.raises(ValidationError, match="workers"):
        Settings(workers=0)


def test_each_process_has_an_identity_of_its_own():
    assert Settings().identity != Settings().identity


def status(reason: str, message: str) -> bytes:
    return json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()


REFUSALS = {
    "an object that is not there": (404, status("NotFound", "m"), NotFound, True),
    "a name that is taken": (409, status("AlreadyExists", "m"), AlreadyExists, True),
    "a version that is not the last": (409, status("Conflict", "m"), Conflict, True),
    "a version that is too old": (410, status("Expired", "m"), Gone, True),
    "an account without the right": (403, status("Forbidden", "m"), ApiError, True),
    "a proxy's page": (502, b"<html>Bad Gateway</html>", ApiError, False),
    "no words at all": (503, b"", ApiError, False),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_keeps_its_status_and_its_words(case: str):
    code, payload, error, is_status = REFUSALS[case]
    refusal = build_error(code, payload, None)
    assert type(refusal) is error
    assert refusal.status == code
    assert str(refusal) == ("m" if is_status else payload.decode() or "status 503")


def test_the_pause_that_a_busy_server_asks_for_is_kept():
    assert build_error(429, status("TooManyRequests", "m"), "3").retry_after == 3.0


def test_paths_are_as_the_api_server_has_them():
    assert object_path(Key("Pod", "a", "b")) == "/api/v1/namespaces/a/pods/b"
    assert (
        object_path(Key("Workflow", "a", "b"), "status") == "/apis/vapora.dev/v1alpha1/namespaces/a/workflows/b/status"
    )
    assert object_path(Key("CustomResourceDefinition", "", "x.y")) == (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x.y"
    )
    assert RESOURCES["Job"].path() == "/apis/batch/v1/jobs"
