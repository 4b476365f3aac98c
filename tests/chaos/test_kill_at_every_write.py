"""Kill -9 before and after each write: a restarted operator ends every workflow as if nothing had happened."""

import asyncio
from dataclasses import dataclass

import pytest
from nats import connect
from tests.chaos.draw import Draw
from tests.chaos.gate import Kill, Side, Write
from tests.chaos.outcome import compare
from tests.chaos.stage import Stage, Undisturbed
from tests.chaos.workflows import WORKFLOWS
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import wait_until

from vapora.adapters.nats_streams import RESULTS_CONSUMER
from vapora.agent.contract import RESULTS_STREAM, TASKS_STREAM

DRAWN = 40


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
    assert {"publish task 1", "patch workflows 1", "patch workflows/status 2"} <= counted["agent"]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_it_ends_the_same_wherever_the_operator_is_killed(
    workflow: str, stage: Stage, undisturbed: Undisturbed, draw: Draw, subtests: pytest.Subtests
):
    points = [
        Point(name, write, side) for name, writes in undisturbed.writes.items() for write in writes for side in Side
    ]
    for point in draw.choose(points, DRAWN):
        if point.workflow == workflow:
            with subtests.test(msg=str(point)):
                run = stage.perform_until_struck(workflow, {point.write: Kill(point.side)})
                assert compare(run.outcome, undisturbed.outcomes[workflow]) == ""


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_it_ends_the_same_where_every_write_is_the_last_of_an_operator(
    workflow: str, stage: Stage, undisturbed: Undisturbed
):
    kills = {write: Kill(Side.AFTER) for write in undisturbed.writes[workflow]}
    run = stage.perform(workflow, kills, within=150)
    assert len(run.struck) > 3
    assert compare(run.outcome, undisturbed.outcomes[workflow]) == ""


# These come last: since they ended, many operators have started and looked at the workflows.


def test_a_workflow_that_has_ended_is_never_written_again(stage: Stage):
    assert stage.find_rewritten() == []


def test_neither_a_task_nor_an_answer_is_left_in_the_broker(stage: Stage, nats: NatsServer):
    stage.ensure_operator()
    wait_until(
        lambda: asyncio.run(count_left(nats.url, stage.gate.namespace)) == (0, 0),
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
