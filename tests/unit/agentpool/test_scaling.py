import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Depth, Known, Unknown
from vapora.core.agentpool.readings import Foreseen, Reading
from vapora.core.agentpool.rule import Rule
from vapora.core.agentpool.scaling import HOLD, NO_CHANGE, SCALE_DOWN, SCALE_UP, Decision, Size, decide_size

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "scaling.json").read_text())
UNKNOWN = Unknown("nats is down")
PACED = Rule(minimum=5, maximum=20, interval=5, stabilization=60, max_concurrent=2)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def depth(value: int | None) -> Depth:
    return UNKNOWN if value is None else Known(value)


def decide(
    rule: Rule,
    queued: int | None,
    current: int,
    in_flight: int | None = 0,
    low_since: datetime | None = None,
    scaled_at: datetime | None = None,
) -> Decision:
    return decide_size(rule, [read("nats", queued, in_flight)], Size(current, low_since, scaled_at), NOW)


def read(trigger: str, queued: int | None, in_flight: int | None = 0) -> Reading:
    return Reading(trigger, QueueDepth(depth(queued), depth(in_flight)))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=str)
def test_the_step_rule_gives_the_right_answers(case: dict[str, object]) -> None:
    rule = Rule(minimum=case["min"], maximum=case["max"])
    decision = decide(rule, case["queue"], case["current"])
    assert {"replicas": decision.replicas, "action": decision.action} == case["want"]


@pytest.mark.parametrize("case", VECTORS["target"]["cases"], ids=str)
@pytest.mark.parametrize("current", [0, 1, 5, 10, 12])
def test_the_target_rule_gives_the_right_answers_from_any_size(case: dict[str, object], current: int) -> None:
    rule = Rule(minimum=case["min"], maximum=case["max"], per_replica=case["targetPerReplica"], max_concurrent=100)
    first = decide(rule, case["queued"], current, case["inFlight"])
    assert decide(rule, case["queued"], first.replicas, case["inFlight"]).replicas == case["want"]


TIMES = {
    "a first growth is at once": (decide(PACED, 11, 5), 7, SCALE_UP, 5),
    "a second growth waits for the interval": (decide(PACED, 11, 7, scaled_at=ago(2)), 7, NO_CHANGE, 3),
    "a second growth comes when the interval is over": (decide(PACED, 11, 7, scaled_at=ago(5)), 9, SCALE_UP, 5),
    "a queue that turns low starts the stabilisation": (decide(PACED, 1, 9), 9, NO_CHANGE, 60),
    "a queue that is low for a while waits for the rest": (decide(PACED, 1, 9, low_since=ago(45)), 9, NO_CHANGE, 15),
    "a queue that was low for long enough shrinks the pool": (
        decide(PACED, 1, 9, low_since=ago(60)),
        8,
        SCALE_DOWN,
        5,
    ),
    "the next shrinking waits for the interval only": (
        decide(PACED, 1, 8, low_since=ago(61), scaled_at=ago(1)),
        8,
        NO_CHANGE,
        4,
    ),
    "a clock that was set back waits no longer than the interval": (
        decide(PACED, 11, 7, scaled_at=ago(-3600)),
        7,
        NO_CHANGE,
        5,
    ),
    "a size outside the limits comes inside without waiting": (
        decide(PACED, 5, 3, scaled_at=NOW),
        5,
        SCALE_UP,
        None,
    ),
    "a queue in between asks for nothing": (decide(PACED, 5, 9), 9, NO_CHANGE, None),
    "an unknown queue asks for nothing": (decide(PACED, None, 9, low_since=ago(100)), 9, HOLD, None),
}


@pytest.mark.parametrize(("decision", "replicas", "action", "due"), TIMES.values(), ids=TIMES.keys())
def test_steps_in_time(decision: Decision, replicas: int, action: str, due: float | None) -> None:
    assert (decision.replicas, decision.action, decision.due) == (replicas, action, due)


LOW = {
    "low from now on": (decide(PACED, 1, 9), NOW),
    "low since it was first seen": (decide(PACED, 1, 9, low_since=ago(10)), ago(10)),
    "low still after a shrinking": (decide(PACED, 1, 9, low_since=ago(70)), ago(70)),
    "not low at the threshold": (decide(PACED, 2, 9, low_since=ago(10)), None),
    "unknown was perhaps not low": (decide(PACED, None, 9, low_since=ago(10)), None),
}


@pytest.mark.parametrize(("decision", "want"), LOW.values(), ids=LOW.keys())
def test_since_when_the_queue_is_low(decision: Decision, want: datetime | None) -> None:
    assert decision.low_since == want


BUSY = {
    "nobody is taken from their work": (
        decide(PACED, 0, 9, in_flight=18, low_since=ago(60)),
        9,
        "queue 0 < 2: 9 - 1 = 8, but 18 tasks in flight keep 9 agents busy",
    ),
    "idle agents may go": (decide(PACED, 0, 9, in_flight=16, low_since=ago(60)), 8, "queue 0 < 2: 9 - 1 = 8"),
    "a busy pool does not grow by being busy": (
        decide(PACED, 0, 9, in_flight=40, low_since=ago(60)),
        9,
        "queue 0 < 2: 9 - 1 = 8, but 40 tasks in flight keep 20 agents busy",
    ),
    "unknown work in flight holds a shrinking": (
        decide(PACED, 0, 9, in_flight=None, low_since=ago(60)),
        9,
        "queue 0 < 2: 9 - 1 = 8, but tasks in flight are unknown (nats is down)",
    ),
    "unknown work in flight holds no growth": (
        decide(PACED, 11, 9, in_flight=None),
        11,
        "queue 11 > 10: 9 + 2 = 11",
    ),
    "a limit that cut the step is named": (
        decide(PACED, 50, 19),
        20,
        "queue 50 > 10: 19 + 2 = 21, at most max 20",
    ),
    "max cuts even busy agents": (decide(PACED, 0, 25, in_flight=50), 20, "size 25 is above max 20"),
}


@pytest.mark.parametrize(("decision", "replicas", "reason"), BUSY.values(), ids=BUSY.keys())
def test_the_arithmetic_is_said(decision: Decision, replicas: int, reason: str) -> None:
    assert (decision.replicas, decision.reason) == (replicas, reason)


WARM = Rule(minimum=2, maximum=8, max_concurrent=2, warm=2)
MIN_IF_UNKNOWN = replace(PACED, if_unknown=5)
NOT_READ = Reading("http", None)
SEVERAL = {
    "the trigger that wants most wins": (
        PACED,
        [read("nats", 5), read("redisList", 14)],
        (7, SCALE_UP, "redisList", "redisList 14 > 10: 5 + 2 = 7"),
    ),
    "of equal wishes the first is named": (
        PACED,
        [read("nats", 11), read("redisList", 14)],
        (7, SCALE_UP, "nats", "queue 11 > 10: 5 + 2 = 7"),
    ),
    "one that is unknown keeps no other from growing the pool": (
        PACED,
        [read("nats", 11), read("redisList", None)],
        (7, SCALE_UP, "nats", "queue 11 > 10: 5 + 2 = 7"),
    ),
    "a forecast starts agents at once": (
        PACED,
        [read("nats", 5), Foreseen(30, 12.4)],
        (15, SCALE_UP, "prediction", "30 tasks foreseen within 12 s / 2 = 15"),
    ),
    "a forecast of less takes nobody away": (
        PACED,
        [read("nats", 5), Foreseen(0, 12)],
        (5, NO_CHANGE, "nats", "queue 5 is between 2 and 10"),
    ),
    "agents are kept warm beside those at work": (
        WARM,
        [read("nats", 3, in_flight=9)],
        (7, SCALE_UP, "nats", "queue 3 is between 2 and 10, but 5 busy + 2 warm = 7"),
    ),
    "max holds for warm agents too": (
        WARM,
        [read("nats", 3, in_flight=16)],
        (8, SCALE_UP, "nats", "queue 3 is between 2 and 10, but 8 busy + 2 warm = 10, at most max 8"),
    ),
    "onUnknown max grows at once": (
        replace(PACED, if_unknown=20),
        [read("nats", None)],
        (20, SCALE_UP, "nats", "queue unknown (nats is down): onUnknown asks for 20"),
    ),
}


@pytest.mark.parametrize(("rule", "given", "want"), SEVERAL.values(), ids=SEVERAL.keys())
def test_several_triggers(rule: Rule, given: list[Reading | Foreseen], want: tuple[int, str, str, str]) -> None:
    readings = [row for row in given if isinstance(row, Reading)]
    foreseen = next((row for row in given if isinstance(row, Foreseen)), None)
    decision = decide_size(rule, readings, Size(5), NOW, foreseen)
    assert (decision.replicas, decision.action, decision.trigger, decision.reason) == want


SHRINKING = {
    "all low": (PACED, [read("nats", 0), read("redisList", 1)], 8),
    "one is not low": (PACED, [read("nats", 0), read("redisList", 2)], 9),
    "one is unknown": (PACED, [read("nats", 0), read("redisList", None)], 9),
    "one was not read yet": (PACED, [read("nats", 0), NOT_READ], 9),
    "a forecast needs them": (PACED, [read("nats", 0), Foreseen(18, 10)], 9),
    "one is unknown and asks for min": (MIN_IF_UNKNOWN, [read("nats", 0), read("redisList", None)], 8),
    "the only one is unknown and asks for min": (MIN_IF_UNKNOWN, [read("nats", None)], 5),
    "the only one was not read yet, whatever it asks for when unknown": (MIN_IF_UNKNOWN, [NOT_READ], 9),
}


@pytest.mark.parametrize(("rule", "given", "want"), SHRINKING.values(), ids=SHRINKING.keys())
def test_a_pool_shrinks_only_where_no_trigger_wants_it_to_stay(
    rule: Rule, given: list[Reading | Foreseen], want: int
) -> None:
    readings = [row for row in given if isinstance(row, Reading)]
    foreseen = next((row for row in given if isinstance(row, Foreseen)), None)
    assert decide_size(rule, readings, Size(9, low_since=ago(60)), NOW, foreseen).replicas == want


def test_the_low_time_begins_only_when_no_forecast_needs_the_present_size_any_more() -> None:
    held = decide_size(PACED, [read("nats", 0)], Size(9, low_since=ago(60)), NOW, Foreseen(18, 10))
    assert held.low_since is None
    assert decide_size(PACED, [read("nats", 0)], Size(9), NOW, Foreseen(10, 10)).low_since == NOW


def test_an_unknown_depth_asks_for_its_size_only_after_the_stabilisation() -> None:
    first = decide(MIN_IF_UNKNOWN, None, 9)
    assert (first.replicas, first.low_since, first.due) == (9, NOW, 60)


def test_what_was_not_read_since_a_restart_keeps_the_low_time() -> None:
    assert decide_size(PACED, [read("nats", 0), NOT_READ], Size(9, low_since=ago(30)), NOW).low_since == ago(30)


depths = st.one_of(st.none(), st.integers(0, 500))
moments = st.one_of(st.none(), st.integers(-600, 600).map(ago))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    minimum = draw(st.integers(0, 20))
    below = draw(st.integers(0, 20))
    return Rule(
        minimum=minimum,
        maximum=minimum + draw(st.integers(0, 20)),
        up_above=below + draw(st.integers(0, 20)),
        down_below=below,
        up_step=draw(st.integers(1, 10)),
        down_step=draw(st.integers(1, 10)),
        per_replica=draw(st.one_of(st.none(), st.integers(1, 20))),
        max_concurrent=draw(st.integers(1, 5)),
        interval=draw(st.integers(0, 60)),
        stabilization=draw(st.integers(0, 600)),
    )


@given(rules(), depths, depths, st.integers(0, 60), moments, moments)
def test_the_size_is_always_inside_the_limits(
    rule: Rule,
    queued: int | None,
    in_flight: int | None,
    current: int,
    low_since: datetime | None,
    scaled_at: datetime | None,
) -> None:
    decision = decide(rule, queued, current, in_flight, low_since, scaled_at)
    assert rule.minimum <= decision.replicas <= rule.maximum


@given(rules(), depths, st.integers(0, 60), moments, moments)
def test_unknown_never_moves_a_size_inside_the_limits(
    rule: Rule, in_flight: int | None, current: int, low_since: datetime | None, scaled_at: datetime | None
) -> None:
    current = rule.clamp(current)
    decision = decide(rule, None, current, in_flight, low_since, scaled_at)
    assert (decision.replicas, decision.action) == (current, HOLD)


@given(rules(), st.integers(0, 500), st.integers(0, 500), st.integers(0, 60), moments, moments)
def test_no_shrinking_inside_the_limits_takes_a_busy_agent_or_comes_too_early(
    rule: Rule,
    queued: int,
    in_flight: int,
    current: int,
    low_since: datetime | None,
    scaled_at: datetime | None,
) -> None:
    current = rule.clamp(current)
    decision = decide(rule, queued, current, in_flight, low_since, scaled_at)
    if decision.replicas < current:
        assert decision.replicas * rule.max_concurrent >= in_flight
        assert rule.stabilization == 0 or low_since is not None
        assert low_since is None or NOW - low_since >= timedelta(seconds=rule.stabilization)
        assert scaled_at is None or NOW - scaled_at >= timedelta(seconds=rule.interval)


@given(rules(), st.integers(0, 500), st.integers(0, 500), st.integers(0, 60))
def test_a_steady_queue_leads_to_a_steady_size(rule: Rule, queued: int, in_flight: int, current: int) -> None:
    now, size = NOW, Size(current)
    queue = [read("nats", queued, in_flight)]
    for _ in range(100):
        decision = decide_size(rule, queue, size, now)
        changed = decision.replicas != size.current
        size = Size(decision.replicas, decision.low_since, now if changed else size.scaled_at)
        now += timedelta(seconds=decision.due or 1)
    assert decide_size(rule, queue, size, now + timedelta(hours=1)).replicas == size.current
