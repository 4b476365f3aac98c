"""A pool that shrinks: who goes, and what is done before."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.unit.agentpool.pools import KEY, NOW, build_observed, carry_out

from vapora.core.agentpool.broker import AgentReport, QueueDepth
from vapora.core.agentpool.depth import Known
from vapora.core.agentpool.draining import ANSWER_WAIT, FIRST_TO_GO, Shrink, plan_shrink
from vapora.core.agentpool.observed import Observed
from vapora.core.agentpool.plan import plan_pool
from vapora.core.plan import Action, Apply, Delete, DrainAgents, EnsureQueue, Patch
from vapora.core.views import ANNOTATION_DELETION_COST, PodView, child, project_pod

IDLE, BUSY, DRAINED = AgentReport(0), AgentReport(1), AgentReport(0, is_draining=True)


def build_agent(name: str, *, age: int = 1, ready: bool = True, cost: str = "", deleted: bool = False) -> PodView:
    annotations = {ANNOTATION_DELETION_COST: cost} if cost else {}
    metadata = {
        "namespace": KEY.namespace,
        "name": name,
        "uid": f"uid-{name}",
        "creationTimestamp": f"2026-01-01T{12 - age:02}:00:00Z",
        "annotations": annotations,
        **({"deletionTimestamp": "2026-01-01T12:00:00Z"} if deleted else {}),
    }
    conditions = [{"type": "Ready", "status": str(ready)}]
    return project_pod({"metadata": metadata, "status": {"phase": "Running", "conditions": conditions}})


def bring_up(observed: Observed) -> Observed:
    """Lets the pool have its first size."""
    for _ in range(3):
        observed = carry_out(observed, plan_pool(observed, NOW))
    return observed


def build_pool(
    pods: Iterable[PodView], agents: Mapping[str, AgentReport], *, asked_at: datetime | None = None
) -> Observed:
    """A pool with a Deployment of as many agents as there are pods."""
    pods = tuple(pods)
    spec = {"scaling": None, "replicas": len(pods)}
    observed = bring_up(build_observed(5, **spec))
    return replace(observed, pods=pods, agents=agents, drain_asked_at=asked_at)


def asked(actions: Iterable[Action]) -> list[str]:
    return [pod for action in actions if isinstance(action, DrainAgents) for pod in action.pods]


def marked(actions: Iterable[Action]) -> dict[str, object]:
    return {
        action.key.name: child(action.body, "metadata", "annotations")[ANNOTATION_DELETION_COST]
        for action in actions
        if isinstance(action, Patch)
    }


CHOICES: dict[str, tuple[list[PodView], Mapping[str, AgentReport], int, list[str]]] = {
    "an idle one before one that works": (
        [build_agent("a"), build_agent("b"), build_agent("c")],
        {"a": BUSY, "b": IDLE, "c": BUSY},
        2,
        ["b"],
    ),
    "of the idle ones the newest": (
        [build_agent("a", age=3), build_agent("b", age=1), build_agent("c", age=2)],
        {"a": IDLE, "b": IDLE, "c": IDLE},
        1,
        ["b", "c"],
    ),
    "one of which nothing is known before one that works": (
        [build_agent("a"), build_agent("b")],
        {"a": BUSY},
        1,
        ["b"],
    ),
    "of those that work the one with the fewest tasks": (
        [build_agent("a"), build_agent("b")],
        {"a": AgentReport(3), "b": AgentReport(2)},
        1,
        ["b"],
    ),
    "one that takes no tasks before all others": (
        [build_agent("a"), build_agent("b")],
        {"a": IDLE, "b": AgentReport(1, is_draining=True)},
        1,
        ["b"],
    ),
    "one that was chosen before stays chosen": (
        [build_agent("a", age=1), build_agent("b", age=2, cost=FIRST_TO_GO)],
        {"a": IDLE, "b": IDLE},
        1,
        ["b"],
    ),
    "one that is not ready goes by itself": (
        [build_agent("a"), build_agent("b"), build_agent("c", ready=False)],
        {"a": IDLE, "b": BUSY},
        1,
        ["a"],
    ),
    "one that is going already is not counted": (
        [build_agent("a"), build_agent("b"), build_agent("c", deleted=True)],
        {"a": IDLE, "b": BUSY},
        1,
        ["a"],
    ),
}


@pytest.mark.parametrize(("pods", "agents", "wanted", "want"), CHOICES.values(), ids=CHOICES.keys())
def test_who_goes(pods: list[PodView], agents: Mapping[str, AgentReport], wanted: int, want: list[str]) -> None:
    observed = build_pool(pods, agents)
    shrink = plan_shrink(observed, wanted, NOW)
    assert asked(shrink.actions) == want
    assert shrink.replicas == len(pods)


def test_a_shrink_waits_for_the_marks_and_the_answers_of_those_that_go() -> None:
    pods = [build_agent("a"), build_agent("b"), build_agent("c")]
    observed = build_pool(pods, {"a": BUSY, "b": IDLE, "c": IDLE})
    first = plan_shrink(observed, 1, NOW)
    assert marked(first.actions) == {"b": FIRST_TO_GO, "c": FIRST_TO_GO}
    assert first.due is not None

    cost = [build_agent("a"), build_agent("b", cost=FIRST_TO_GO), build_agent("c", cost=FIRST_TO_GO)]
    one_answered = replace(observed, pods=tuple(cost), agents={"a": BUSY, "b": DRAINED, "c": IDLE}, drain_asked_at=NOW)
    second = plan_shrink(one_answered, 1, NOW + timedelta(seconds=1))
    assert (second.replicas, marked(second.actions)) == (3, {})
    assert asked(second.actions) == ["b", "c"]

    both = replace(one_answered, agents={"a": BUSY, "b": DRAINED, "c": DRAINED})
    assert plan_shrink(both, 1, NOW + timedelta(seconds=1)) == Shrink(1)


def test_agents_that_never_answer_hold_a_shrink_up_for_no_longer_than_that() -> None:
    observed = build_pool([build_agent("a"), build_agent("b")], {}, asked_at=NOW)
    assert plan_shrink(observed, 1, NOW + ANSWER_WAIT / 2).replicas == 2
    assert plan_shrink(observed, 1, NOW + ANSWER_WAIT) == Shrink(1)


AT_ONCE: dict[str, tuple[Mapping[str, object], int]] = {
    "a pool that goes down to nothing has nobody to choose": ({}, 0),
    "nobody can be asked while the broker is away": ({"broker_problem": "connection refused"}, 1),
    "pods that are not there yet are chosen by nobody": ({"pods": ()}, 1),
    "someone else has set the size": ({"status": {"desiredReplicas": 1}}, 1),
    "those that go are not ready anyway": (
        {"pods": (build_agent("a"), build_agent("b", ready=False))},
        1,
    ),
}


@pytest.mark.parametrize(("changes", "wanted"), AT_ONCE.values(), ids=AT_ONCE.keys())
def test_a_shrink_for_which_there_is_nothing_to_wait(changes: Mapping[str, object], wanted: int) -> None:
    observed = build_pool([build_agent("a"), build_agent("b")], {"a": IDLE, "b": IDLE})
    assert plan_shrink(replace(observed, **changes), wanted, NOW) == Shrink(wanted)


def test_one_that_was_chosen_and_works_again_loses_its_mark_to_an_idle_one() -> None:
    pods = [build_agent("a"), build_agent("b", cost=FIRST_TO_GO), build_agent("c")]
    observed = build_pool(pods, {"a": DRAINED, "b": BUSY, "c": BUSY})
    assert marked(plan_shrink(observed, 2, NOW).actions) == {"a": FIRST_TO_GO, "b": None}


def test_a_drained_agent_that_stays_after_all_is_replaced_and_a_marked_one_is_unmarked() -> None:
    pods = [build_agent("a", cost=FIRST_TO_GO), build_agent("b", cost=FIRST_TO_GO), build_agent("c")]
    observed = build_pool(pods, {"a": DRAINED, "b": BUSY, "c": IDLE})
    actions = plan_shrink(observed, 3, NOW).actions
    assert [action.key.name for action in actions if isinstance(action, Delete)] == ["a"]
    assert marked(actions) == {"b": None}


def test_what_the_replica_set_is_still_removing_is_left_to_it() -> None:
    pods = [build_agent("a", cost=FIRST_TO_GO), build_agent("b"), build_agent("c")]
    observed = build_pool(pods, {"a": DRAINED})
    smaller = replace(observed, workload=replace(observed.workload, replicas=2))
    assert plan_shrink(smaller, 2, NOW) == Shrink(2)


def build_idle_pool() -> Observed:
    """A pool of six agents, of which one is idle, and whose queue is empty."""
    scaling = {"min": 1, "max": 9, "scaleDownStabilization": "0s"}
    observed = bring_up(build_observed(5, replicas=6, scaling=scaling))
    agents = dict.fromkeys("abcde", BUSY) | {"f": IDLE}
    pods = tuple(build_agent(name) for name in "abcdef")
    return replace(observed, pods=pods, agents=agents, depth=QueueDepth(Known(0), Known(5)))


def test_the_size_is_decided_at_once_and_reaches_the_deployment_when_those_that_go_have_answered() -> None:
    observed, later = build_idle_pool(), NOW + timedelta(seconds=10)
    plan = plan_pool(observed, later)
    assert plan.status["desiredReplicas"] == 5
    assert plan.status["lastDecision"]["reason"] == "queue 0 < 2: 6 - 1 = 5"
    assert not any(isinstance(action, Apply) for action in plan.actions)
    assert asked(plan.actions) == ["f"]
    drained = replace(
        observed,
        status=plan.status,
        pods=(*observed.pods[:5], build_agent("f", cost=FIRST_TO_GO)),
        agents={**observed.agents, "f": DRAINED},
        drain_asked_at=later,
    )
    after = carry_out(drained, plan_pool(drained, later + timedelta(seconds=1)))
    assert after.workload.replicas == 5


def test_nobody_is_asked_to_go_where_someone_else_has_set_the_size() -> None:
    observed = build_idle_pool()
    taken = replace(observed, workload=replace(observed.workload, replicas=8))
    plan = plan_pool(taken, NOW + timedelta(seconds=10))
    assert [type(action) for action in plan.actions if not isinstance(action, EnsureQueue)] == [Apply]
