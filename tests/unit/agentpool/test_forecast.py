"""What running workflows will need, and whether to act on it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.fakes.virtual_time import VirtualClock, in_virtual_time
from tests.unit.workflow.world import agent_step, run_step

from vapora.controller.backlog import Backlog
from vapora.core.agentpool.forecast import ENOUGH, Forecast, Record, note_forecast
from vapora.core.agentpool.readings import Foreseen
from vapora.core.learning.assignment import PoolView, Request
from vapora.core.plan import Key
from vapora.core.views import project_pod
from vapora.core.workflow.definition import Definition, read_definition
from vapora.core.workflow.demand import count_waiting, foresee, list_durations
from vapora.core.workflow.ranges import list_ranges
from vapora.core.workflow.status import Items, Phase, State, StepStatus, Unit, WorkflowStatus

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
KEY = Key("AgentPool", "default", "developers")
DEVELOPERS = Request("", role="developer")


def define(*steps: dict[str, object], **fields: object) -> Definition:
    definition = read_definition({"steps": list(steps), **fields})
    assert isinstance(definition, Definition), definition
    return definition


def running(**steps: StepStatus) -> WorkflowStatus:
    return WorkflowStatus(phase=Phase.RUNNING, steps=steps)


def begun(seconds_ago: float, state: State = State.RUNNING, pool: str = "", **fields: object) -> StepStatus:
    started = NOW - timedelta(seconds=seconds_ago)
    return StepStatus(Unit(state=state, started_at=started, pool=pool, **fields))


def items(seconds_ago: float, *, done: int, active: int) -> StepStatus:
    """Forty items, of which so many are done and so many at work."""
    unit = Unit(state=State.RUNNING, pool="developers")
    at_work = {done + number: unit for number in range(active)}
    of = Items(total=40, succeeded=list_ranges(range(done)), active=at_work)
    return replace(begun(seconds_ago), items=of)


def lasted(seconds: float) -> StepStatus:
    unit = Unit(state=State.SUCCEEDED, started_at=NOW - timedelta(seconds=seconds), finished_at=NOW)
    return StepStatus(unit)


WAVE = define(
    run_step("build"),
    agent_step("review", dependsOn=["build"], forEach={"items": list(range(40)), "maxParallel": 8}),
    agent_step("sum", dependsOn=["review"]),
)
FORESEEN: Mapping[str, tuple[Definition, WorkflowStatus, list[float | None], dict[Request, int]]] = {
    "a wave that begins in time": (WAVE, running(build=begun(55)), [60.0, 90.0, 5.0], {DEVELOPERS: 8}),
    "one that begins later": (WAVE, running(build=begun(5)), [60.0, 90.0, 5.0], {}),
    "one behind a step of unknown duration": (WAVE, running(build=begun(55)), [None, 90.0, 5.0], {}),
    "one that is over by then": (WAVE, running(build=begun(55)), [60.0, 2.0, 90.0], {DEVELOPERS: 1}),
    "one of unknown duration stays once it has begun": (
        WAVE,
        running(build=begun(55)),
        [60.0, None, None],
        {DEVELOPERS: 8},
    ),
    "a step that takes longer than expected ends at any moment": (
        WAVE,
        running(build=begun(100)),
        [60.0, 90.0, 5.0],
        {DEVELOPERS: 8},
    ),
    "a task that is at work and will be": (
        WAVE,
        running(build=lasted(60), review=lasted(90), sum=begun(5, pool="developers")),
        [60.0, 90.0, 30.0],
        {Request("", pool="developers"): 1},
    ),
    "a task that is done by then": (
        WAVE,
        running(build=lasted(60), review=lasted(90), sum=begun(5, pool="developers")),
        [60.0, 90.0, 8.0],
        {},
    ),
    "items that end evenly, and others that follow": (
        WAVE,
        running(build=lasted(60), review=items(20, done=20, active=8)),
        [60.0, None, None],
        {Request("", pool="developers"): 8},
    ),
    "the last items": (
        WAVE,
        running(build=lasted(60), review=items(24, done=24, active=8)),
        [60.0, 900.0, None],
        {Request("", pool="developers"): 6},
    ),
    "items that are done by then, and what follows them": (
        WAVE,
        running(build=lasted(60), review=items(35, done=35, active=5)),
        [60.0, 900.0, None],
        {DEVELOPERS: 1},
    ),
    "items of which none has ended": (
        WAVE,
        running(build=lasted(60), review=items(5, done=0, active=8)),
        [60.0, 90.0, None],
        {Request("", pool="developers"): 8},
    ),
    "what failed leads to nothing": (
        WAVE,
        running(build=StepStatus(Unit(state=State.FAILED))),
        [60.0, 90.0, 5.0],
        {},
    ),
    "a run that is paused needs nobody": (
        WAVE,
        WorkflowStatus(phase=Phase.PAUSED, steps={"build": begun(55)}),
        [60.0, 90.0, 5.0],
        {},
    ),
}


@pytest.mark.parametrize(("definition", "status", "durations", "want"), FORESEEN.values(), ids=FORESEEN.keys())
def test_what_is_foreseen_ten_seconds_ahead(
    definition: Definition, status: WorkflowStatus, durations: list[float | None], want: dict[Request, int]
) -> None:
    assert dict(foresee(definition, status, durations, NOW, within=10)) == want


WAITING: Mapping[str, tuple[WorkflowStatus, dict[Request, int]]] = {
    "a task about to be published": (
        running(sum=begun(0, State.STARTING, pool="developers")),
        {Request("", pool="developers"): 1},
    ),
    "a task that a broker has": (running(sum=begun(0, pool="developers")), {}),
    "a step without a pool": (
        running(sum=StepStatus(Unit(state=State.READY, reason="NoMatchingPool"))),
        {DEVELOPERS: 1},
    ),
    "items without a pool, as many as may be at work": (
        running(review=StepStatus(Unit(state=State.RUNNING, reason="NoMatchingPool"), items=Items(total=40))),
        {DEVELOPERS: 8},
    ),
}


@pytest.mark.parametrize(("status", "want"), WAITING.values(), ids=WAITING.keys())
def test_which_steps_wait_for_a_pool(status: WorkflowStatus, want: dict[Request, int]) -> None:
    assert dict(count_waiting(WAVE, status)) == want


def test_durations_are_those_of_steps_that_succeeded() -> None:
    status = running(build=lasted(60), review=begun(5))
    assert dict(list_durations(WAVE, status)) == {0: 60.0}


def test_a_forecast_is_acted_on_only_once_enough_came_true() -> None:
    record, now = Record(), NOW
    for _ in range(ENOUGH):
        record = note_forecast(record, Foreseen(10, 20), given=9, now=now)
        assert record.judge(Foreseen(10, 20)) == Forecast(Foreseen(10, 20), None)
        now += timedelta(seconds=21)
    forecast = note_forecast(record, Foreseen(10, 20), given=9, now=now).judge(Foreseen(10, 20))
    assert (forecast.error, forecast.is_trusted) == (0.1, True)


def test_a_large_error_falls_back_to_reacting() -> None:
    record, now = Record(), NOW
    for _ in range(ENOUGH + 1):
        record = note_forecast(record, Foreseen(10, 20), given=1, now=now)
        now += timedelta(seconds=21)
    forecast = record.judge(Foreseen(10, 20))
    assert (forecast.error, forecast.is_trusted) == (0.9, False)


def test_where_nothing_was_foreseen_nothing_is_proven() -> None:
    record, now = Record(), NOW
    for number in range(100):
        record = note_forecast(record, Foreseen(0, 5), given=number % 2 * 9, now=now)
        now += timedelta(seconds=6)
    assert record.judge(Foreseen(3, 5)).error is None


def test_a_few_tasks_too_many_after_a_wave_that_came_as_foreseen_are_a_small_error() -> None:
    record, now = Record(), NOW
    for foreseen, given in [(20, 20)] * 5 + [(2, 0)] * 5:
        record = note_forecast(record, Foreseen(foreseen, 2), given=0, now=now)
        now += timedelta(seconds=2)
        record = note_forecast(record, Foreseen(0, 2), given=given, now=now)
        now += timedelta(seconds=2)
    assert record.judge(Foreseen(20, 2)).error == pytest.approx(0.1, abs=0.05)


def test_forecasts_that_look_less_far_ahead_than_former_ones_are_judged_too() -> None:
    record = note_forecast(Record(), Foreseen(0, 600), given=0, now=NOW)
    for second in range(1, 12):
        record = note_forecast(record, Foreseen(10, 4), given=10, now=NOW + timedelta(seconds=second))
    assert record.judge(Foreseen(10, 4)).error == 0.0


def view(name: str, role: str = "developer") -> PoolView:
    return PoolView("default", name, role, frozenset(), replicas=0, max_concurrent=1, in_flight=0)


@in_virtual_time
async def test_a_pool_is_woken_when_steps_begin_and_cease_to_wait_for_it() -> None:
    asked: list[Key] = []
    clock = VirtualClock()
    backlog = Backlog(lambda _: [view("developers"), view("others", "tester")], lambda *_: 0, asked.append, clock)
    run = Key("Workflow", "default", "w")
    backlog.note_run(run, WAVE, running(sum=StepStatus(Unit(state=State.READY, reason="NoMatchingPool"))))
    backlog.compare()
    backlog.compare()
    assert (asked, backlog.look_at(KEY, (), is_predicting=False)) == ([KEY], (1, None))
    backlog.forget_run(run)
    backlog.compare()
    assert (asked, backlog.look_at(KEY, (), is_predicting=False)) == ([KEY, KEY], (0, None))


@in_virtual_time
async def test_what_one_run_has_shown_is_foreseen_of_the_next() -> None:
    clock = VirtualClock()
    backlog = Backlog(lambda _: [view("developers"), view("twins")], lambda *_: 0, lambda _: None, clock)
    backlog.look_at(KEY, (), is_predicting=True)
    first, second = Key("Workflow", "default", "a"), Key("Workflow", "default", "b")
    backlog.note_run(first, WAVE, running(build=begun(60)))
    backlog.note_run(first, WAVE, WorkflowStatus(phase=Phase.SUCCEEDED, steps={"build": lasted(60)}))
    started = clock.now() - timedelta(seconds=45)
    backlog.note_run(second, WAVE, running(build=StepStatus(Unit(state=State.RUNNING, started_at=started))))
    backlog.compare()
    _, forecast = backlog.look_at(KEY, (), is_predicting=True)
    assert forecast == Forecast(Foreseen(4, 30.0), None)


@in_virtual_time
async def test_the_time_ahead_is_what_agents_take_to_be_ready() -> None:
    clock = VirtualClock()
    backlog = Backlog(lambda _: [view("developers")], lambda *_: 0, lambda _: None, clock)
    pod = {"metadata": {"name": "p", "namespace": "default", "creationTimestamp": clock.now().isoformat()}}
    backlog.look_at(KEY, (project_pod(pod),), is_predicting=True)
    await clock.sleep(12)
    ready = project_pod({**pod, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    backlog.look_at(KEY, (ready,), is_predicting=True)
    backlog.compare()
    assert backlog.look_at(KEY, (ready,), is_predicting=True) == (0, Forecast(Foreseen(0, 12.0), None))
