"""Which metrics moved: what the operators of this process showed at their end, beside that of other workers."""

from collections.abc import Iterable

from vapora.adapters.metric_table import METRICS

# What a test run cannot bring about, each with the reason.
NEVER = {
    "exploration_total": "one choice in twenty; tests/unit/learning/test_choice.py",
    "events_dropped_total": "ten turns a second, which not every machine reaches; tests/unit/controller/test_events.py",
    "graph_outbox_depth": "a gauge that is 0 but while the knowledge graph is away",
    "graph_outbox_lag_seconds": "the same",
    "workqueue_depth": "a gauge that is 0 again before anybody looks; tests/unit/adapters/test_observability.py has it",
    "executions_clamped_total": "an agent that claims what cannot be; tests/unit/controller/test_letterbox.py has it",
}

_seen = set[str]()


def note_metrics(lines: Iterable[str]) -> None:
    """Remember the series of a /metrics page whose value is not 0."""
    for line in lines:
        if line.startswith("vapora_"):
            series, _, value = line.rpartition(" ")
            if float(value):
                _seen.add(series.partition("{")[0])


def list_seen() -> list[str]:
    """The names of the series that moved, as other processes can be told of them."""
    return sorted(_seen)


def add_seen(names: Iterable[str]) -> None:
    """Take over what another process has seen."""
    _seen.update(names)


def list_unmoved() -> list[str]:
    """The declared metrics of which no series moved."""
    moved = {metric.name for metric in METRICS.values() if {metric.series, f"{metric.series}_count"} & _seen}
    return sorted(METRICS.keys() - moved - NEVER.keys())
