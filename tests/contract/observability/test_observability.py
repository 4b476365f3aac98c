"""Metrics, alerts and dashboards agree: what is asked for is declared, what is declared is shown and explained."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.contract.manifests import ROOT, find, load_objects, render
from tests.contract.observability.queries import (
    COMPONENT,
    DASHBOARDS,
    Json,
    find_metric,
    list_labels,
    list_queries,
    load_rules,
    read_query,
)

from vapora.adapters.learning_metrics import LearningMetrics
from vapora.adapters.metric_docs import build_page
from vapora.adapters.metric_table import METRICS
from vapora.adapters.metrics import Metrics
from vapora.cli.observing.grafana import TAG
from vapora.controller.domain_meter import Counts

SECTION = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
QUERIES = list(list_queries())
NAMES = [f"{where} {place}" for place, (where, _) in enumerate(QUERIES)]
OF_PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool: make setup-system")
# What a label may say: all of it is one of a few words.
LABELS = {
    "action", "cause", "class", "code", "component", "decision", "direction", "event", "field", "kind", "ml_class",
    "model", "outcome", "phase", "query", "reason", "result", "source", "state", "type", "verb", "version",
    "window",
}  # fmt: skip


def test_the_page_of_metrics_is_current() -> None:
    """`make generate` writes it."""
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == build_page()


def test_every_declared_metric_is_served_as_it_is_declared() -> None:
    metrics = Metrics("1")
    metrics.observe_engine(depth=lambda: 0, objects=lambda: 0)
    metrics.observe_domain(lambda: Counts({}, {}, 0.0, (), 0), by_pool=False)
    learning = LearningMetrics(metrics.registry)
    learning.observe(waiting=lambda: 0, lag=lambda: 0.0, connections=lambda: 0, trends=dict)
    served = {(family.name, family.type) for family in metrics.registry.collect() if family.name.startswith("vapora")}
    declared = {(metric.series.removesuffix("_total"), metric.kind) for metric in METRICS.values()}
    assert served == declared - {("vapora_info", "info")} | {("vapora", "info")}


def test_no_label_names_an_object() -> None:
    assert {label for metric in METRICS.values() for label in metric.labels} - LABELS == set()


def test_a_counter_ends_in_total_and_everything_is_told_with_a_sentence() -> None:
    for metric in METRICS.values():
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert (metric.kind == "histogram") == bool(metric.buckets)
        assert metric.meaning.endswith(".")


@pytest.mark.parametrize(
    ("where", "query"), QUERIES, ids=[f"{where} {place}" for place, (where, _) in enumerate(QUERIES)]
)
def test_a_query_asks_for_what_is_declared(where: str, query: str) -> None:
    asked = read_query(query)
    assert asked.series
    unknown = {name for name in asked.series - OF_PROCESS if find_metric(name) is None}
    assert unknown == set()
    assert asked.labels - list_labels(asked.series) == set()


def test_every_declared_metric_is_on_a_dashboard() -> None:
    shown = {find_metric(name) for _, query in QUERIES for name in read_query(query).series}
    assert METRICS.keys() - shown == set()


def test_the_four_dashboards_can_be_told_apart() -> None:
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]
    assert {board["uid"] for board in boards} == {path.stem for path in DASHBOARDS}
    assert len({board["title"] for board in boards}) == 4
    for board in boards:
        assert TAG in board["tags"]  # by which `vapora dashboard open` finds them
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_grave_it_is_whom_to_tell_and_what_to_do(rule: Json) -> None:
    assert rule["labels"]["severity"] in {"Critical", "High", "Medium", "Low"}
    assert rule["annotations"].keys() == {"summary", "escalation", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    sections = {title.lower(): body for title, body in SECTION.findall(text)}
    assert anchor in sections
    for part in ("What it means", "What to look at", "What to do"):
        assert f"**{part}**" in sections[anchor]


def test_every_severity_is_in_use() -> None:
    assert {rule["labels"]["severity"] for rule in load_rules()} == {"Critical", "High", "Medium", "Low"}


@needs_promtool
def test_the_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """Which annotations they have is in the rules; a summary depends on the value."""
    rules = yaml.safe_load((COMPONENT / "rules.yaml").read_text(encoding="utf-8"))["spec"]
    said = {rule["alert"]: rule["annotations"] for rule in rules["groups"][0]["rules"]}
    for annotations in said.values():
        del annotations["summary"]
    played = yaml.safe_load((Path(__file__).parent / "alerts.yaml").read_text(encoding="utf-8"))
    checks = [check for test in played["tests"] for check in test["alert_rule_test"]]
    for check in checks:
        for alert in check["exp_alerts"]:
            alert["exp_annotations"] = said[check["alertname"]]
    assert {check["alertname"] for check in checks if check["exp_alerts"]} == said.keys()
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(played), encoding="utf-8")
    run_promtool("test", "rules", str(tmp_path / "alerts.yaml"))


@needs_promtool
def test_prometheus_takes_the_alerts_and_every_query_of_a_dashboard(tmp_path: Path) -> None:
    rules = yaml.safe_load((COMPONENT / "rules.yaml").read_text(encoding="utf-8"))["spec"]
    panels = [{"record": f"panel:{place}", "expr": query} for place, (_, query) in enumerate(QUERIES)]
    rules["groups"].append({"name": "panels", "rules": panels})
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    run_promtool("check", "rules", str(tmp_path / "rules.yaml"))


def run_promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_component_can_be_used_by_itself(tmp_path: Path) -> None:
    shutil.copytree(COMPONENT, tmp_path / "prometheus")
    (tmp_path / "kustomization.yaml").write_text("components: [prometheus]\n")
    objects = load_objects(render(tmp_path))
    assert {obj["kind"] for obj in objects} == {"ServiceMonitor", "PrometheusRule", "ConfigMap"}
    boards = find(objects, "ConfigMap", "vapora-dashboards")
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {obj["metadata"]["labels"]["app.kubernetes.io/part-of"] for obj in objects} == {"vapora"}
    assert boards["data"].keys() == {path.name for path in DASHBOARDS}
