"""Which agents go when a pool shrinks: idle ones, after each has said that it takes no more tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from vapora.core.agentpool.broker import AgentReport
from vapora.core.agentpool.observed import Observed
from vapora.core.plan import Action, Delete, DrainAgents, Patch
from vapora.core.views import ANNOTATION_DELETION_COST, PodView

FIRST_TO_GO = "-1000"
ANSWER_WAIT = timedelta(seconds=2)  # an agent answers within half a second; one that speaks no contract never does
_LOOK_AGAIN = 0.5


@dataclass(frozen=True, slots=True)
class Shrink:
    """Is the size the Deployment may have now; `actions` come before a smaller one, `due` is when to look again."""

    replicas: int
    actions: tuple[Action, ...] = ()
    due: float | None = None


def plan_shrink(observed: Observed, wanted: int, now: datetime) -> Shrink:
    """Decides how a pool comes to the size that is wanted.

    A pool that shrinks keeps its size until those that are to go are marked and have answered, but no longer than
    ANSWER_WAIT: whoever is taken from its work ends it, or hands it back, when it is told to end.
    """
    live = [pod for pod in observed.pods if not pod.meta.is_deleting and not pod.is_finished]
    present = observed.workload.replicas if observed.workload else wanted
    if wanted >= present:
        return Shrink(wanted, _give_back(live, observed.agents, wanted))
    chosen = _choose(live, observed.agents, len(live) - wanted)
    if wanted == 0 or not chosen or observed.broker_problem or not _is_our_size(observed, present):
        return Shrink(wanted)
    marks = tuple(_mark(pod, FIRST_TO_GO) for pod in chosen if pod.deletion_cost != FIRST_TO_GO)
    spared = [pod for pod in live if pod.is_ready and pod.deletion_cost == FIRST_TO_GO and pod not in chosen]
    unmarks = tuple(_mark(pod, None) for pod in spared)
    have_answered = all(_is_draining(pod, observed.agents) for pod in chosen)
    is_late = observed.drain_asked_at is not None and now - observed.drain_asked_at >= ANSWER_WAIT
    if is_late or (have_answered and not marks and not unmarks):
        return Shrink(wanted)
    ask = DrainAgents(observed.meta.key, tuple(pod.meta.key.name for pod in chosen))
    return Shrink(present, (ask, *marks, *unmarks), due=_LOOK_AGAIN)


def _is_our_size(observed: Observed, present: int) -> bool:
    """Nobody is asked to go where someone else has set the size: that may well be left to them."""
    return observed.drain_asked_at is not None or observed.status.get("desiredReplicas") == present


def _choose(live: Sequence[PodView], agents: Mapping[str, AgentReport], leaving: int) -> list[PodView]:
    """Returns the agents that are to go beside those that are not ready, which a ReplicaSet removes before all others.

    First those that take no tasks already, then those that were chosen before, then idle ones, then those of which
    nothing is known, then those with the fewest tasks; the newest first.
    """
    ready = [pod for pod in live if pod.is_ready]
    beside = leaving - (len(live) - len(ready))

    def rank(pod: PodView) -> tuple[bool, bool, int, float]:
        report = agents.get(pod.meta.key.name)
        load = 1 if report is None else 0 if report.in_flight == 0 else 1 + report.in_flight
        born = pod.meta.created_at.timestamp() if pod.meta.created_at else 0.0
        return not _is_draining(pod, agents), pod.deletion_cost != FIRST_TO_GO, load, -born

    return sorted(ready, key=rank)[: max(beside, 0)]


def _give_back(live: Sequence[PodView], agents: Mapping[str, AgentReport], wanted: int) -> tuple[Action, ...]:
    """Undoes what a shrink had begun that is not wanted any more.

    An agent that takes no tasks is of no use to a pool that needs it, so another takes its place.
    """
    if len(live) > wanted:
        return ()  # the ReplicaSet is still removing them
    drained = [pod for pod in live if _is_draining(pod, agents)]
    marked = [pod for pod in live if pod.deletion_cost == FIRST_TO_GO and pod not in drained]
    return (
        *(Delete(pod.meta.key, pod.meta.uid) for pod in drained),
        *(_mark(pod, None) for pod in marked),
    )


def _is_draining(pod: PodView, agents: Mapping[str, AgentReport]) -> bool:
    report = agents.get(pod.meta.key.name)
    return report is not None and report.is_draining


def _mark(pod: PodView, cost: str | None) -> Patch:
    return Patch(pod.meta.key, {"metadata": {"uid": pod.meta.uid, "annotations": {ANNOTATION_DELETION_COST: cost}}})
