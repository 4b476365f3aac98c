"""The steps of a canary: how many replicas a share is, how long it is watched, and what its analysis looks at."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from vapora.api.durations import parse_duration
from vapora.api.taskserv import Canary, TaskservSpec
from vapora.core.expressions import ExpressionError, compile_expression
from vapora.core.taskserv.upgrade.revisions import Revision
from vapora.core.taskserv.upgrade.rollout import is_of
from vapora.core.views import PodView, WorkloadView

ALL = 100
# What the operator itself can measure of the new revision. What only a metrics server knows, such as a rate of errors,
# is refused instead of guessed.
METRICS = ("available", "ready", "replicas", "restarts")
_NAMED = re.compile(r"\bmetrics\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*[\"']([^\"']*)[\"']\s*\])?")


def list_shares(spec: TaskservSpec) -> tuple[int, ...]:
    """Returns the shares of the new revision, in percent; the last one is all of it."""
    if spec.upgrade.strategy == "bluegreen":
        return (ALL,)
    steps = _settings(spec).steps
    return steps if steps[-1] == ALL else (*steps, ALL)


def find_hold(spec: TaskservSpec) -> float:
    """Returns for how many seconds each share is watched."""
    return 0.0 if spec.upgrade.strategy == "bluegreen" else parse_duration(_settings(spec).every)


def count_share(replicas: int, share: int) -> int:
    """Returns how many replicas a share is, at least one."""
    return max(1, math.ceil(replicas * share / ALL)) if replicas else 0


def measure(revision: Revision, workload: WorkloadView | None, pods: Iterable[PodView]) -> dict[str, object]:
    """Measures what the analysis looks at."""
    own = [pod for pod in pods if is_of(pod, revision)]
    return {
        "replicas": workload.replicas if workload else 0,
        "available": workload.available if workload else 0,
        "ready": sum(pod.is_ready for pod in own),
        "restarts": sum(pod.restarts for pod in own),
    }


def judge_analysis(spec: TaskservSpec, metrics: Mapping[str, object]) -> str:
    """Returns why the analysis speaks against the new revision; empty where it does not."""
    source = _settings(spec).analysis
    if source is None:
        return ""
    try:
        holds = compile_expression(source).holds({"metrics": metrics})
    except ExpressionError as problem:
        return str(problem)
    measured = ", ".join(f"{name} {value}" for name, value in sorted(metrics.items()))
    return "" if holds else f"{source} is false: {measured}"


def find_canary_problem(spec: TaskservSpec) -> str:
    """Says what of a canary's settings cannot be carried out; empty where all can."""
    settings = _settings(spec)
    if any(later <= earlier for earlier, later in zip(settings.steps, settings.steps[1:], strict=False)):
        return f"steps: must grow, found {', '.join(map(str, settings.steps))}"
    if settings.analysis is None:
        return ""
    named = {first or second for first, second in _NAMED.findall(settings.analysis)}
    if unknown := sorted(named - set(METRICS) - {""}):
        return f"analysis: metrics.{unknown[0]} cannot be measured; there are {_tell_metrics()}"
    try:
        compile_expression(settings.analysis).holds({"metrics": dict.fromkeys(METRICS, 1)})
    except ExpressionError as problem:
        return f"analysis: {problem}; it looks at {_tell_metrics()}"
    return ""


def _settings(spec: TaskservSpec) -> Canary:
    return spec.upgrade.canary or Canary()


def _tell_metrics() -> str:
    return ", ".join(f"metrics.{name}" for name in METRICS)
