"""Writes `docs/metrics.md` from the declarations, or with `--check` says whether it differs from them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from vapora.adapters.metric_table import GROUPS, POOL_LABELS, Metric
from vapora.agent.metrics import DECLARED

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
_HEAD = """\
# Metrics

<!-- Generated from operator/vapora/adapters/metric_table.py by `make generate`. Do not edit. -->

The operator serves these at `/metrics` on its port, 8080; with them come `process_*` of the process collector. Each
replica serves its own: what there is (`vapora_workflows`, `vapora_pool_*` and the like) is the same in all of them, so
take `max` of it and `sum` of what is counted. No label ever holds the name of an object, so that their number is
bounded; `--pool-metrics` (VAPORA_POOL_METRICS) names namespace and pool in those that say so.
"""
_AGENTS = """
## Agents

Every agent that is written with `vapora.agent`, or runs beside `vapora agent`, serves these at `/metrics` on the
port that VAPORA_HEALTH_PORT names. The decorator `vapora.agent.tracked` counts and times functions of yours, and
whatever else the program declares in the default registry of prometheus-client is served with them.
"""


def build_page() -> str:
    """Returns the page."""
    lines = [_HEAD]
    for title, metrics in GROUPS.items():
        lines += [f"## {title}\n", *_build_table(_describe(metric) for metric in metrics), ""]
    rows = ((name, kind, ", ".join(f"`{label}`" for label in labels), why) for name, kind, labels, why in DECLARED)
    return "\n".join([*lines, _AGENTS.lstrip("\n"), *_build_table(rows), ""])


def _build_table(rows: Iterator[tuple[str, str, str, str]]) -> Iterator[str]:
    yield "| metric | type | labels | meaning |"
    yield "|---|---|---|---|"
    yield from (f"| `{name}` | {kind} | {labels} | {meaning} |" for name, kind, labels, meaning in rows)


def _describe(metric: Metric) -> tuple[str, str, str, str]:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    if metric.has_pools:
        labels = f"with --pool-metrics: {', '.join(f'`{label}`' for label in POOL_LABELS)}"
    return metric.series, metric.kind, labels, metric.meaning


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` return 1 if it is not current."""
    if arguments == ["--check"]:
        if _PAGE.read_text(encoding="utf-8") == build_page():
            return 0
        sys.stderr.write("docs/metrics.md differs from the declarations: run `make generate`\n")
        return 1
    if arguments:
        sys.stderr.write("usage: python -m vapora.adapters.metric_docs [--check]\n")
        return 2
    _PAGE.write_text(build_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
