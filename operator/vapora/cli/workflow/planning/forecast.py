"""A plan: what a workflow would do, and what the cluster, its pools, its quotas and its past say to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vapora.cli.workflow.planning.history import History
from vapora.cli.workflow.planning.quota import Verdict, judge_quota, measure_pod
from vapora.cli.workflow.planning.schedule import find_path, find_peak, lay_out
from vapora.cli.workflow.planning.steps import Intent
from vapora.core.learning.assignment import Asking, NoPool, PoolView, assign
from vapora.core.learning.profile import (
    Learned,
    LearningProfile,
    TaskTypeExpertise,
    add_task_type_expertise,
    read_profile,
)
from vapora.core.views import child, number, rows, text
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.estimates import Estimates, estimate_steps

Object = Mapping[str, object]
Effect = Literal["create", "change", "same", "run", "ask", "later", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Trial:
    """Is what the API server says of one object; `diff` is what applying it would change."""

    name: str
    effect: Effect
    message: str = ""
    diff: str = ""


@dataclass(frozen=True, slots=True)
class StepPlan:
    """Is what is foreseen of one step; None is what is not known."""

    intent: Intent
    after: tuple[str, ...]
    trials: tuple[Trial, ...]
    effect: Effect
    message: str
    pool: str | None
    seconds: float | None
    cents: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Is the plan of a whole run. `seconds` leave out how long people and objects are waited for."""

    name: str
    steps: tuple[StepPlan, ...]
    path: tuple[str, ...]
    seconds: float | None
    cents: float | None
    unknown_costs: tuple[str, ...]
    quota: Verdict

    @property
    def refused(self) -> list[StepPlan]:
        """Returns the steps that cannot run as they are."""
        return [step for step in self.steps if step.effect == "refused"]


def build_forecast(
    name: str,
    definition: Definition,
    intents: Sequence[Intent],
    trials: Mapping[str, Sequence[Trial]],
    pools: Sequence[Object],
    history: History,
    quotas: Sequence[Object] | None,
) -> Forecast:
    """Puts together what is known; `quotas` are None where they may not be read."""
    estimates = _estimate(definition, intents, history)
    choices = _choose_pools(intents, pools)
    steps = tuple(
        _plan_step(definition, intent, trials.get(intent.step.name, ()), choices[place], estimates, place, history)
        for place, intent in enumerate(intents)
    )
    spans = lay_out(definition.graph, estimates, definition.spec.max_parallel)
    pods = [measure_pod(made) if (made := _find_pod(intent)) else {} for intent in intents]
    needs = [
        {key: amount * intent.width for key, amount in pod.items()} for pod, intent in zip(pods, intents, strict=True)
    ]
    largest = {intent.step.name: pod for pod, intent in zip(pods, intents, strict=True) if pod}
    is_known = any(seconds is not None for seconds in estimates.seconds)
    unknown = tuple(step.intent.step.name for step in steps if step.cents is None)
    costs = [step.cents for step in steps if step.cents is not None]
    return Forecast(
        name=name,
        steps=steps,
        path=tuple(definition.graph.names[place] for place in find_path(definition.graph, estimates)),
        seconds=max((span.end for span in spans), default=0.0) if is_known else None,
        cents=sum(costs) if len(unknown) < len(steps) else None,
        unknown_costs=unknown,
        quota=Verdict("unknown", "the quotas may not be read")
        if quotas is None
        else judge_quota(quotas, largest, find_peak(spans, needs)),
    )


def _estimate(definition: Definition, intents: Sequence[Intent], history: History) -> Estimates:
    """Estimates the steps; of a forEach as many rounds as its items need."""
    found = estimate_steps(definition, history.durations)
    rounds = [-(-intent.items // intent.width) for intent in intents]
    seconds = [None if one is None else one * count for one, count in zip(found.seconds, rounds, strict=True)]
    return Estimates(tuple(seconds), found.rest)


def _choose_pools(intents: Sequence[Intent], pools: Sequence[Object]) -> list[tuple[str | None, str]]:
    """Returns for each step the pool that its first task would get now, and why; tasks given out before count."""
    views = [_view_pool(pool) for pool in pools]
    profiles = {
        view.name: read_profile(view.name, child(pool, "status")) for view, pool in zip(views, pools, strict=True)
    }
    given: dict[str, int] = {}
    chosen: dict[str, str] = {}
    found: list[tuple[str | None, str]] = []
    for intent in intents:
        if intent.asks is None:
            found.append((None, ""))
            continue
        authors = {chosen[rival]: rival for rival in intent.step.rivals if rival in chosen}
        asking = Asking(is_critical=True, authors=authors)
        learned = Learned({name: _complete(known, intent.asks.task_type) for name, known in profiles.items()}, 0.0)
        choice = assign(intent.asks, views, given, learned=learned, asking=asking)
        if not isinstance(choice, NoPool):
            given[choice.pool] = given.get(choice.pool, 0) + intent.width
            chosen[intent.step.name] = choice.pool
        found.append((choice.pool, choice.reason))
    return found


def _complete(known: LearningProfile, task_type: str) -> LearningProfile:
    """Adds that nothing is known of a task type that a status does not tell of."""
    if task_type in known.expertise:
        return known
    return add_task_type_expertise(known, TaskTypeExpertise(task_type))


def _view_pool(pool: Object) -> PoolView:
    meta, spec, status = child(pool, "metadata"), child(pool, "spec"), child(pool, "status")
    capabilities = spec.get("capabilities")
    ready = next((row for row in rows(status, "conditions") if row.get("type") == "Ready"), {})
    is_known = "queued" in status and "inFlight" in status
    return PoolView(
        namespace=text(meta, "namespace"),
        name=text(meta, "name"),
        role=text(spec, "role"),
        capabilities=frozenset(map(str, capabilities)) if isinstance(capabilities, list) else frozenset(),
        replicas=number(status, "readyReplicas"),
        max_concurrent=number(spec, "maxConcurrent") or 1,
        in_flight=number(status, "queued") + number(status, "inFlight") if is_known else None,
        is_ready=ready.get("status") == "True",
        is_paused=spec.get("paused") is True,
    )


def _plan_step(
    definition: Definition,
    intent: Intent,
    trials: Sequence[Trial],
    choice: tuple[str | None, str],
    estimates: Estimates,
    place: int,
    history: History,
) -> StepPlan:
    graph = definition.graph
    pool, why = choice
    effect, message = _judge(intent, trials)
    if intent.asks is not None and effect == "ask":
        message = why if pool else f"waits for a pool: {why}"
    task_type = intent.asks.task_type if intent.asks else ""
    one = history.find_cents(intent.step, task_type)
    return StepPlan(
        intent=intent,
        after=tuple(graph.names[need.step] for need in sorted(graph.needs[place], key=lambda need: need.step)),
        trials=tuple(trials),
        effect=effect,
        message=message,
        pool=pool,
        seconds=estimates.seconds[place],
        cents=None if one is None else one * intent.items,
    )


def _judge(intent: Intent, trials: Sequence[Trial]) -> tuple[Effect, str]:
    """Returns what becomes of a step: the worst of its objects decides."""
    if intent.mistake:
        return "refused", intent.mistake
    if intent.open:
        return "later", intent.open
    order: tuple[Effect, ...] = ("refused", "unknown", "change", "create", "same")
    for effect in order:
        told = [trial.message for trial in trials if trial.effect == effect]
        if told:
            return effect, "; ".join(word for word in dict.fromkeys(told) if word)
    return ("ask" if intent.asks else "run"), ""


def _find_pod(intent: Intent) -> Object | None:
    return next((made for made in intent.creates if made.get("kind") in {"Pod", "Job"}), None)
