"""The metrics of machine-learning steps follow from what is written of a run."""

from dataclasses import replace
from datetime import timedelta

from tests.fakes.meter import FakeMeter
from tests.fakes.virtual_time import VirtualClock, in_virtual_time

from vapora.controller.gputimes import GpuTimes
from vapora.core.plan import Key
from vapora.core.workflow.ranges import Ranges
from vapora.core.workflow.status import Identity, Items, State, StepStatus, Unit, WorkflowStatus

RUN = Key("Workflow", "team", "learn")
IDENTITY = Identity("team", "learn", "uid")
FOUND = {
    "class": "gpuRequired",
    "source": "detection",
    "profile": "xlarge",
    "estimate": {"gpus": 2},
    "evidence": [{"term": "torchrun", "where": "command", "weight": 0.9}],
}
TOLD = {name: value for name, value in FOUND.items() if name != "profile"}  # of a step that gets no GPU


class Course:
    """Writes one step again and again."""

    def __init__(self) -> None:
        self.meter, self.clock = FakeMeter(), VirtualClock()
        self.times, self.before = GpuTimes(self.meter, self.clock), WorkflowStatus()

    def write(self, step: StepStatus) -> None:
        after = WorkflowStatus(steps={"train": step})
        self.times.look(RUN, IDENTITY, self.before, after)
        self.before = after


@in_virtual_time
async def test_a_gpu_job_is_counted_with_what_it_waited_asked_for_and_used():
    course = Course()
    start = course.clock.now()
    unit = Unit(State.STARTING, tries=1, started_at=start)
    course.write(StepStatus(unit, ml=FOUND))
    await course.clock.sleep(10)
    course.write(StepStatus(replace(unit, state=State.RUNNING), ml=FOUND))
    await course.clock.sleep(30)
    ended = replace(unit, state=State.SUCCEEDED, finished_at=start + timedelta(seconds=40))
    course.write(StepStatus(ended, ml=FOUND))
    course.write(StepStatus(replace(ended), ml=dict(FOUND)))
    assert course.meter.seen == {
        ("ml", "gpuRequired", "command"): 1,
        ("gpu waited", "10"): 1,
        ("gpu job", "success", "80", "60"): 1,
    }


@in_virtual_time
async def test_a_fallback_is_told_apart():
    course = Course()
    start = course.clock.now()
    unit = Unit(State.STARTING, tries=1, started_at=start)
    course.write(StepStatus(unit, ml=FOUND))
    fallen = replace(unit, state=State.RETRYING, reason="GpuWaitOver", finished_at=start + timedelta(seconds=5))
    course.write(StepStatus(fallen, ml={**TOLD, "estimate": {"gpus": 0}}))
    assert course.meter.seen["gpu job", "fallback", "10", "0"] == 1


@in_virtual_time
async def test_items_are_counted_by_their_end():
    course = Course()
    start = course.clock.now()
    unit = Unit(State.RUNNING, tries=1, started_at=start)
    course.write(StepStatus(Unit(State.RUNNING), Items(total=2, active={0: unit, 1: unit}), ml=FOUND))
    ended = Items(total=2, succeeded=Ranges().add(0), failed=Ranges().add(1))
    course.write(StepStatus(Unit(State.RUNNING), ended, ml=FOUND))
    outcomes = {key[1] for key in course.meter.seen if key[0] == "gpu job"}
    assert outcomes == {"success", "failure"}


@in_virtual_time
async def test_a_step_without_a_gpu_is_only_counted_as_found():
    course = Course()
    ml = {**TOLD, "class": "cpuOnly", "source": "override", "estimate": {"gpus": 0}}
    course.write(StepStatus(Unit(State.RUNNING, tries=1, started_at=course.clock.now()), ml=ml))
    assert course.meter.seen == {("ml", "cpuOnly", "override"): 1}


@in_virtual_time
async def test_the_task_of_an_agent_is_counted_as_found_and_as_no_job():
    course = Course()
    unit = Unit(State.RUNNING, tries=1, started_at=course.clock.now())
    course.write(StepStatus(unit, ml=TOLD))
    course.write(StepStatus(replace(unit, state=State.SUCCEEDED, finished_at=course.clock.now()), ml=TOLD))
    assert course.meter.seen == {("ml", "gpuRequired", "command"): 1}
