"""What a template's schedule starts, in a small world that carries plans out and can be killed at any write."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.template.templates import build_scheduled, build_template, parameter

from vapora.core.plan import Create, Delete, Event, Key, Plan, Problem
from vapora.core.supported import SpecProblem
from vapora.core.template.definition import Template, read_template
from vapora.core.template.observed import Observed
from vapora.core.template.plan import plan_template
from vapora.core.template.runs import Run, read_run
from vapora.core.views import project_meta

CREATED = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


@dataclass
class World:
    """Is a template and its runs; `made` is every run ever created, by the minute after noon."""

    spec: dict[str, object]
    now: datetime = CREATED
    generation: int = 1
    status: dict[str, object] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    refuse: bool = False
    read: tuple[object, Template | SpecProblem] = (None, SpecProblem("", ""))

    def look(self, at: float | None = None, *, crash: str = "") -> Plan:
        """Looks at the template once; it may crash after the `writes`, before the status is written, or before both."""
        self.now = minute(at) if at is not None else self.now
        observed = self._observe()
        plan = plan_template(observed, self.now)
        if crash == "before":
            return plan
        problems = tuple(problem for action in plan.actions if (problem := self._do(action)))
        if problems:
            plan = plan_template(replace(observed, problems=problems), self.now)
        if crash != "writes":
            self.status = dict(plan.status or {})
            self.events += plan.events
        return plan

    def settle(self, at: float) -> None:
        """Looks as often as is asked for at once."""
        while self.look(at).requeue_after == 0:
            pass

    def end(self, phase: str = "Succeeded") -> None:
        for name, run in self.runs.items():
            if not run.is_finished:
                end = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
                self.runs[name] = replace(run, phase=phase, finished_at=end)

    def change(self, **schedule: object) -> None:
        self.generation += 1
        self.spec = {**self.spec, "schedule": {"cron": "* * * * *", **schedule}}

    @property
    def active(self) -> list[int]:
        return [self._number(run) for run in self.runs.values() if not run.is_finished]

    @property
    def kept(self) -> list[int]:
        return sorted(self._number(run) for run in self.runs.values())

    def said(self, type_: str) -> str:
        found = [row for row in self.status["conditions"] if row["type"] == type_]  # type: ignore[attr-defined]
        return f"{found[0]['status']} {found[0]['reason']}: {found[0]['message']}" if found else ""

    def told(self, reason: str) -> list[str]:
        return [event.message for event in self.events if event.reason == reason]

    def _observe(self) -> Observed:
        meta = {"namespace": "n", "name": "t", "uid": "u", "generation": self.generation}
        manifest = {"metadata": {**meta, "creationTimestamp": CREATED.strftime("%Y-%m-%dT%H:%M:%SZ")}}
        if self.read[0] is not self.spec:
            self.read = (self.spec, read_template(self.spec))
        template = self.read[1]
        runs = tuple(sorted(self.runs.values(), key=lambda run: run.slot))
        return Observed(project_meta(manifest, "WorkflowTemplate"), "ada", template, self.status, runs)

    def _do(self, action: object) -> Problem | None:
        if isinstance(action, Delete):
            self.runs.pop(action.key.name, None)
        elif isinstance(action, Create):
            if self.refuse:
                return Problem(action, "Forbidden", "no room", is_permanent=True)
            run = read_run({**action.manifest, "metadata": {**action.manifest["metadata"], "uid": "r"}})  # type: ignore[dict-item]
            assert run is not None
            if run.key.name not in self.runs:
                self.runs[run.key.name] = run
                self.made.append(self._number(run))
        return None

    def _number(self, run: Run) -> int:
        return int((run.slot - NOON).total_seconds() // 60)


def test_a_run_is_made_when_its_slot_comes_and_is_named_by_it() -> None:
    world = World(build_scheduled())
    assert world.look(0.5).requeue_after == 30
    assert (world.made, world.status["nextScheduledAt"]) == ([], "2026-01-01T12:01:00Z")
    world.look(1)
    assert list(world.runs) == [f"t-{int(minute(1).timestamp()) // 60}"]
    assert world.status["lastScheduledAt"] == "2026-01-01T12:01:00Z"
    assert world.status["nextScheduledAt"] == "2026-01-01T12:02:00Z"
    assert world.status["active"] == list(world.runs)


def test_a_run_is_the_templates_and_its_authors() -> None:
    world = World(build_scheduled())
    world.look(0.5)
    world.now = minute(1)
    action = plan_template(world._observe(), world.now).actions[0]
    assert isinstance(action, Create)
    assert action.manifest["spec"] == {"templateRef": {"name": "t"}, "serviceAccountName": "default"}
    meta = project_meta(action.manifest, "Workflow")
    assert (meta.controller_uid, meta.labels["vapora.dev/template"]) == ("u", "u")
    assert action.manifest["metadata"]["annotations"] == {"vapora.dev/author": "ada"}  # type: ignore[index]


def test_nothing_runs_for_a_slot_before_the_template_was_there() -> None:
    world = World(build_scheduled("0 12 * * *"))
    world.settle(60)
    assert world.made == []


def test_after_an_absence_only_the_latest_slot_is_made_up_for() -> None:
    world = World(build_scheduled())
    world.look(0.5)
    world.settle(10.2)
    assert world.made == [10]
    assert world.told("RunMissed") == [
        "no run for the slots from 2026-01-01T12:01:00Z until before 2026-01-01T12:10:00Z: "
        "only the latest slot that was missed is made up for"
    ]


def test_a_template_made_while_the_operator_was_away_is_made_up_for_too() -> None:
    world = World(build_scheduled())
    world.settle(10.2)
    assert world.made == [10]


def test_with_a_deadline_every_slot_within_it_is_made_up_for() -> None:
    world = World(build_scheduled(startingDeadline="3m", concurrency="Allow"))
    world.look(0.5)
    world.settle(10.5)
    assert world.made == [8, 9, 10]
    assert "later than startingDeadline" in world.told("RunMissed")[0]


def test_with_a_deadline_a_slot_that_is_too_late_is_skipped_once() -> None:
    world = World(build_scheduled("0 * * * *", startingDeadline="3m"))
    world.look(0.5)
    for at in (65, 66, 67):
        world.settle(at)
    assert world.made == []
    assert len(world.told("RunMissed")) == 1
    world.settle(120)
    assert world.made == [120]


def test_a_day_of_slots_within_the_deadline_starts_in_batches() -> None:
    world = World(build_scheduled(startingDeadline="1d", concurrency="Allow"))
    assert len(world.look(600).actions) == 20
    world.settle(600)
    assert world.made == list(range(1, 601))


def test_forbid_waits_for_the_run_before_and_starts_the_latest_then() -> None:
    world = World(build_scheduled())
    for at in (1, 2, 3.5):
        world.look(at)
    assert world.made == [1]
    assert (
        world.said("Ready") == f"True WaitingForCapacity: the next run waits until {next(iter(world.runs))} has ended"
    )
    world.end()
    world.look(3.6)
    assert world.made == [1, 3]
    assert world.said("Ready") == "True AsExpected: it can be run"


def test_forbid_with_a_deadline_runs_one_slot_after_the_other() -> None:
    world = World(build_scheduled(startingDeadline="1h"))
    world.settle(3.5)
    for _ in range(3):
        assert len(world.active) == 1
        world.end()
        world.settle(3.6)
    assert world.made == [1, 2, 3]


def test_allow_runs_beside_the_run_before() -> None:
    world = World(build_scheduled(concurrency="Allow"))
    for at in (1, 2, 3):
        world.look(at)
    assert world.active == [1, 2, 3]


def test_replace_deletes_the_run_before() -> None:
    world = World(build_scheduled(concurrency="Replace"))
    for at in (1, 2):
        world.look(at)
    assert (world.made, world.active) == ([1, 2], [2])
    assert len(world.told("RunReplaced")) == 1


def test_history_keeps_the_latest_of_both_outcomes() -> None:
    world = World(build_scheduled(keep={"succeeded": 2, "failed": 1}))
    for at in range(1, 9):
        world.look(at)
        world.end("Failed" if at % 2 else "Succeeded")
    world.look(8.5)
    assert world.kept == [6, 7, 8]
    recent = [(row["name"][-1:], row["outcome"]) for row in world.status["recent"]]  # type: ignore[attr-defined]
    assert [outcome for _, outcome in recent] == ["Succeeded", "Failed"] * 4


def test_a_suspended_schedule_rests_and_does_not_make_up_for_its_rest() -> None:
    world = World(build_scheduled())
    world.look(1)
    world.end()
    world.change(suspend=True)
    assert world.look(5).requeue_after is None
    assert world.said("Suspended").startswith("True Suspended")
    assert "nextScheduledAt" not in world.status
    world.change(suspend=False)
    world.settle(10.5)
    assert (world.made, world.said("Suspended")) == ([1], "")
    world.settle(11)
    assert world.made == [1, 11]


def test_a_schedule_that_is_changed_counts_from_then_on() -> None:
    world = World(build_scheduled("0 0 1 * *"))
    world.look(0.5)
    world.change(cron="* * * * *")
    world.look(10.5)
    assert (world.made, world.status["nextScheduledAt"]) == ([], "2026-01-01T12:11:00Z")
    world.change(cron="0 13 * * *")
    world.look(10.6)
    assert world.status["nextScheduledAt"] == "2026-01-01T13:00:00Z"


def test_a_slot_that_is_due_while_the_spec_changes_is_not_lost() -> None:
    world = World(build_scheduled())
    world.look(0.5)
    world.change(concurrency="Allow")
    world.look(1.5)
    assert world.made == [1]


def test_a_refused_run_is_tried_again_until_the_next_slot_takes_its_place() -> None:
    world = World(build_scheduled("*/10 * * * *"))
    world.look(0.5)
    world.refuse = True
    plan = world.look(10)
    assert (plan.requeue_after, world.status["nextScheduledAt"]) == (30, "2026-01-01T12:10:00Z")
    assert (
        world.said("Ready")
        == world.said("Stalled").replace("True", "False", 1)
        == "False AdmissionRefused: Workflow: no room"
    )
    assert "lastScheduledAt" not in world.status
    world.refuse = False
    world.look(11)
    assert (world.made, world.said("Stalled"), world.said("Ready")) == ([10], "", "True AsExpected: it can be run")


def test_a_template_that_is_wrong_starts_nothing_and_says_where() -> None:
    world = World(build_scheduled())
    world.look(0.5)
    world.change(cron="nonsense")
    assert world.look(5).requeue_after is None
    assert world.said("Stalled").startswith("True InvalidSpec: spec.schedule.cron: found 'nonsense'")
    assert world.said("Ready").startswith("False InvalidSpec")
    world.change()
    world.settle(9.5)
    assert world.made == []


def test_a_template_without_a_schedule_is_ready_and_rests() -> None:
    world = World(build_template(parameter("name", default="x")))
    assert world.look(5).requeue_after is None
    assert world.said("Ready") == "True AsExpected: it can be run"


def test_a_look_that_changes_nothing_says_the_same() -> None:
    world = World(build_scheduled())
    world.look(1)
    before = dict(world.status)
    world.look(1.4)
    assert (world.status, world.events[1:]) == (before, world.events[1:])


def test_a_template_that_goes_is_left_alone() -> None:
    world = World(build_scheduled())
    observed = world._observe()
    observed = replace(observed, meta=replace(observed.meta, is_deleting=True))
    assert plan_template(observed, minute(5)) == Plan()


LOOKS = st.lists(
    st.tuples(
        st.floats(0, 12, allow_nan=False),  # minutes that pass before it
        st.sampled_from(["", "", "before", "writes"]),  # where the operator is killed
        st.sampled_from(["", "Succeeded", "Failed"]),  # how the runs end meanwhile
        st.booleans(),  # whether runs are refused
    ),
    max_size=25,
)
SCHEDULES = st.fixed_dictionaries(
    {
        "cron": st.sampled_from(["* * * * *", "*/5 * * * *", "2,3,11 * * * *"]),
        "concurrency": st.sampled_from(["Allow", "Forbid", "Replace"]),
        "keep": st.fixed_dictionaries({"succeeded": st.integers(0, 2), "failed": st.integers(0, 2)}),
    },
    optional={"startingDeadline": st.sampled_from(["30s", "5m", "1h"])},
)


@settings(max_examples=300, deadline=None)
@given(SCHEDULES, LOOKS)
def test_a_slot_runs_once_however_late_the_looks_and_wherever_the_operator_is_killed(
    schedule: dict[str, object], looks: list[tuple[float, str, str, bool]]
) -> None:
    world, at = World(build_scheduled(**schedule)), 0.5  # type: ignore[arg-type]
    timetable = read_template(world.spec).timetable  # type: ignore[union-attr]
    for passed, crash, outcome, world.refuse in looks:
        at += passed
        world.look(at, crash=crash)
        if schedule["concurrency"] != "Allow":
            assert len(world.active) <= 1
        if outcome:
            world.end(outcome)
    assert len(world.made) == len(set(world.made))
    assert all(CREATED < minute(slot) <= world.now and timetable.is_slot(minute(slot)) for slot in world.made)


@settings(max_examples=200, deadline=None)
@given(LOOKS)
def test_no_slot_within_the_deadline_is_lost(looks: list[tuple[float, str, str, bool]]) -> None:
    world, at = (
        World(build_scheduled(concurrency="Allow", startingDeadline="1d", keep={"succeeded": 0, "failed": 0})),
        0.5,
    )
    for passed, crash, outcome, world.refuse in looks:
        at += passed
        world.look(at, crash=crash)
        if outcome:
            world.end(outcome)
    world.refuse = False
    world.settle(at)
    assert sorted(world.made) == list(range(1, int(at) + 1))


@pytest.mark.parametrize("concurrency", ["Allow", "Replace", "Forbid"])
def test_without_a_deadline_the_latest_slot_of_an_absence_runs(concurrency: str) -> None:
    world = World(build_scheduled(concurrency=concurrency))
    for at in (1, 7.3, 7.4, 20.1):
        world.look(at)
        world.end()
    assert world.made == [1, 7, 20]


def test_a_run_that_ended_before_the_status_was_written_is_kept_until_it_is() -> None:
    world = World(build_scheduled(keep={"succeeded": 0, "failed": 0}))
    world.look(0.5)
    world.look(1, crash="writes")
    world.end()
    world.look(1.1, crash="writes")
    world.look(1.2)
    world.look(1.3)
    assert (world.made, world.kept) == ([1], [])


def test_the_key_of_a_run_is_the_workflows() -> None:
    world = World(build_scheduled())
    world.look(1)
    assert next(iter(world.runs.values())).key == Key("Workflow", "n", next(iter(world.runs)))
