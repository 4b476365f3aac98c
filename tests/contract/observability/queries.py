"""The queries of the alerts and the dashboards, and what they ask for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import promql_parser as promql
import yaml
from tests.contract.manifests import ROOT

from vapora.adapters.metric_table import METRICS, POOL_LABELS

Json = dict[str, Any]
COMPONENT = ROOT / "kustomize" / "components" / "prometheus"
DASHBOARDS = sorted((COMPONENT / "dashboards").glob("*.json"))
OF_TARGETS = frozenset({"job", "instance", "le"})


@cache
def load_rules() -> list[Json]:
    """The alerts as they are shipped."""
    rules = yaml.safe_load((COMPONENT / "rules.yaml").read_text(encoding="utf-8"))
    return [rule for group in rules["spec"]["groups"] for rule in group["rules"]]


def list_queries() -> Iterator[tuple[str, str]]:
    """Every expression, with where it stands."""
    yield from ((rule["alert"], rule["expr"]) for rule in load_rules())
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield from ((f"{path.stem}: {panel['title']}", target["expr"]) for target in panel["targets"])


@dataclass(frozen=True)
class Asked:
    """What an expression asks for: names of series, with the labels by which each is chosen or grouped."""

    series: frozenset[str]
    labels: frozenset[str]


def read_query(expression: str) -> Asked:
    """What an expression asks for."""
    series, labels = set[str](), set[str]()

    def visit(node: object) -> bool:
        selector = node.vector_selector if isinstance(node, promql.MatrixSelector) else node
        if isinstance(selector, promql.VectorSelector):
            series.add(selector.name)
            labels.update(matcher.name for matcher in selector.matchers.matchers)
        elif isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            labels.update(node.modifier.labels)
        return True

    _walk(promql.parse(expression), visit)
    return Asked(frozenset(series), frozenset(labels))


def find_metric(series: str) -> str | None:
    """The name by which a series is declared; None where it is not."""
    name = series.removeprefix("vapora_")
    stems = [name, *(name.removesuffix(end) for end in ("_bucket", "_sum", "_count"))]
    return next(
        (stem for stem in stems if stem in METRICS and (stem == name) != (METRICS[stem].kind == "histogram")), None
    )


def list_labels(names: frozenset[str]) -> frozenset[str]:
    """The labels that these metrics have."""
    found = {label for name in names if (metric := find_metric(name)) for label in METRICS[metric].labels}
    pools = any((metric := find_metric(name)) and METRICS[metric].has_pools for name in names)
    return frozenset(found | (set(POOL_LABELS) if pools else set())) | OF_TARGETS


def _walk(node: object, visit: Any) -> None:
    visit(node)
    for name in ("lhs", "rhs", "expr", "param"):
        inner = getattr(node, name, None)
        if inner is not None and not isinstance(inner, str):
            _walk(inner, visit)
    for argument in getattr(node, "args", None) or ():
        _walk(argument, visit)
