"""Kill -9 before and after each write: a restarted operator ends every workflow as if nothing had happened."""

import asyncio
from dataclasses import dataclass

import pytest
from nats import connect
from tests.chaos.counting import Count, assert_struck
from tests.chaos.draw import Draw
from tests.chaos.gate import Kill, Side, Write
from tests.chaos.stage import Performance, Stage, Undisturbed
from tests.chaos.stages import Stages
from tests.chaos.workflows import WORKFLOWS
from tests.cluster.waiting import wait_until

from vapora.adapters.nats_streams import RESULTS_CONSUMER
from vapora.agent.contract import RESULTS_STREAM, TASKS_STREAM

DRAWN = 40
DRAWN_WHOLE = 3  # kinds of workflows


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run is struck."""

    workflow: str
    write: Write
    side: Side

    def __str__(self) -> str:
        return f"{self.workflow}: {self.side} {self.write}"


def test_the_workflows_make_the_writes_that_matter(undisturbed: Undisturbed):
    counted = {name: {str(write) for write in writes} for name, writes in undisturbed.writes.items()}
    assert {"create pods 1", "patch pods 1", "patch workflows/status 1"} <= counted["step"]
    assert {"create pods 3", "patch pods 3", "create controllerrevisions 1"} <= counted["chain"]
    assert {"create pods 3", "patch pods 3", "call tell 2"} <= counted["items"]
    assert {"create jobs 2", "patch jobs 2"} <= counted["jobs"]
    assert {"publish task 1", "patch workflows 1", "patch workflows/status 2"} <= counted["agent"]
    assert {"call tell 1", "patch configmaps 1", "call report 1"} <= counted["outside"]
    assert {"call book 1", "call cancel 1", "create pods 3", "delete configmaps 1"} <= counted["undone"]
    assert {"create workflows 1", "create pods 1"} <= counted["family"]
    assert {"patch agentpools/scale 2"} <= counted["sizes"]


def test_it_ends_the_same_wherever_the_operator_is_killed(
    stages: Stages, undisturbed: Undisturbed, draw: Draw, subtests: pytest.Subtests, count: Count
):
    def play(stage: Stage, point: Point) -> Performance:
        return stage.perform_until_struck(point.workflow, {point.write: Kill(point.side)})

    points = [
        Point(name, write, side) for name, writes in undisturbed.writes.items() for write in writes for side in Side
    ]
    runs = stages.perform(draw.choose(points, DRAWN), play)
    for point, run in runs:
        with subtests.test(msg=str(point)):
            assert undisturbed.compare(point.workflow, count(run.result())) == ""
    assert_struck(runs)


def test_it_ends_the_same_where_every_write_is_the_last_of_an_operator(
    stages: Stages, undisturbed: Undisturbed, draw: Draw, subtests: pytest.Subtests, count: Count
):
    def play(stage: Stage, kind: str) -> Performance:
        return stage.perform(kind, {write: Kill(Side.AFTER) for write in undisturbed.writes[kind]}, within=300)

    for kind, run in stages.perform(draw.choose(list(WORKFLOWS), DRAWN_WHOLE), play):
        with subtests.test(msg=kind):
            assert undisturbed.compare(kind, count(run.result())) == ""
            assert len(run.result().struck) >= 3


# These come last: since they ended, many operators have started and looked at the workflows.


def test_a_workflow_that_has_ended_is_never_written_again(stages: Stages):
    assert [name for stage in stages.all for name in stage.find_rewritten()] == []


def test_neither_a_task_nor_an_answer_is_left_in_a_broker(stages: Stages):
    for stage in stages.all:
        stage.ensure_operator()
        wait_until(
            lambda stage=stage: asyncio.run(count_left(stage.nats.url, stage.gate.namespace)) == (0, 0),
            "every task is done, every answer taken",
            every=0.5,
        )


async def count_left(url: str, namespace: str) -> tuple[int, int]:
    """Return how many of the namespace's tasks, and how many results of all, nobody has taken for good."""
    client = await connect(url)
    try:
        info = await client.jetstream().stream_info(TASKS_STREAM, subjects_filter=f"vapora.tasks.{namespace}.>")
        reader = await client.jetstream().consumer_info(RESULTS_STREAM, RESULTS_CONSUMER)
    finally:
        await client.close()
    return sum((info.state.subjects or {}).values()), (reader.num_pending or 0) + (reader.num_ack_pending or 0)
