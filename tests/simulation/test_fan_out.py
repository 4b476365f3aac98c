"""Steps with thousands of items, in weather as bad as that of others."""

from collections.abc import Mapping

import pytest
from tests.simulation.judge import judge
from tests.simulation.kinds import KINDS, Fate, Json
from tests.simulation.run import Plot, Run
from tests.simulation.specs import Drawn, DrawnStep
from tests.simulation.weather import Weather

MOST_STEPS = 20_000_000
FANS: Mapping[str, tuple[str, int, int]] = {
    "five hundred Pods": ("pod", 500, 100),
    "ten thousand waits": ("wait", 10_000, 1000),
}
WEATHER = Weather([("conflict", 0.05), ("reset after", 0.02)], [(3.0, "killed"), (6.0, "watch_lost"), (9.0, "killed")])


def draw_fan(kind: str, items: int, at_once: int) -> Drawn:
    fan: Json = {"items": list(range(items)), "failureTolerance": "30%", "maxParallel": at_once}
    step = DrawnStep(kind, {"name": "f", **KINDS[kind].build("f", []), "forEach": fan})
    retry = {"maxAttempts": 3, "infrastructureAttempts": 3, "initialDelay": 0}
    spec = {"type": "batch", "maxParallel": at_once, "failFast": False, "onFailure": "fail", "retry": retry}
    return Drawn({**spec, "steps": [step.fields]}, {"f": step})


@pytest.mark.parametrize(("kind", "items", "at_once"), FANS.values(), ids=FANS.keys())
def test_a_fan_ends_as_if_nothing_had_struck(kind: str, items: int, at_once: int) -> None:
    run = Run(1, Plot(draw_fan(kind, items, at_once), Fate(1), WEATHER), most_steps=MOST_STEPS)
    run.play()
    judge(run)
    assert run.status["phase"] == "Succeeded"
