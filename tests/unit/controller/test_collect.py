"""The collection of recorded attempts."""

from collections import Counter

import pytest
from tests.fakes.virtual_time import START, in_virtual_time
from tests.unit.controller.builders import Engine, build_pod

from vapora.controller.collect import LIMIT, Collector, choose

NOW = int(START.timestamp() // 60)

CHOICES = {
    "what is young and few stays": ({"succeeded": {NOW - 9: 5}}, {}),
    "what succeeded goes after ten minutes": (
        {"succeeded": {NOW - 11: 1, NOW - 10: 1, NOW - 9: 1}},
        {"succeeded": [11, 10]},
    ),
    "what failed stays an hour": ({"failed": {NOW - 61: 1, NOW - 59: 1}}, {"failed": [61]}),
    "what is too many goes oldest first": (
        {"succeeded": {NOW - 3: LIMIT, NOW - 2: LIMIT, NOW - 1: LIMIT}},
        {"succeeded": [3, 2]},
    ),
    "failed attempts go last": (
        {"failed": {NOW - 50: LIMIT // 2}, "succeeded": {NOW - 2: LIMIT, NOW - 1: LIMIT // 2}},
        {"succeeded": [2]},
    ),
    "failed attempts go too where they alone are too many": (
        {"failed": {NOW - 50: LIMIT, NOW - 40: LIMIT}},
        {"failed": [50]},
    ),
    "the present minute is left alone however many": ({"succeeded": {NOW: 3 * LIMIT}}, {}),
}


@pytest.mark.parametrize("case", CHOICES)
def test_choosing(case: str):
    counts, ages = CHOICES[case]
    chosen = choose({outcome: Counter(minutes) for outcome, minutes in counts.items()}, NOW)
    assert {outcome: [NOW - minute for minute in minutes] for outcome, minutes in chosen.items()} == ages


def recorded(name: str, minute: int, outcome: str = "succeeded") -> dict:
    pod = build_pod(name, owner="u")
    pod["metadata"]["labels"] |= {
        "vapora.dev/recorded": "true",
        "vapora.dev/finished": str(minute),
        "vapora.dev/outcome": outcome,
    }
    return pod


@in_virtual_time
async def test_it_deletes_what_was_noted_once_its_time_has_come_and_nothing_else():
    engine = Engine()
    collector = Collector(engine.api, engine.clock)
    engine.api.put(recorded("a", NOW))
    engine.api.put(recorded("failed", NOW, "failed"))
    engine.api.put(build_pod("running", owner="u"))
    collector.note("default", NOW, "succeeded")
    collector.note("default", NOW, "failed")
    await collector.collect()
    assert len(engine.api.all("Pod")) == 3
    await engine.clock.sleep(11 * 60)
    await collector.collect()
    assert [pod["metadata"]["name"] for pod in engine.api.all("Pod")] == ["failed", "running"]
    await collector.collect()
    assert engine.api.writes["deletecollection", "Pod"] == 1


@in_virtual_time
async def test_after_a_restart_it_finds_what_an_earlier_process_left():
    engine = Engine()
    for number in range(5):
        engine.api.put(recorded(f"p{number}", NOW - 30))
    collector = Collector(engine.api, engine.clock)
    await collector.recount()
    await collector.collect()
    assert engine.api.all("Pod") == []
