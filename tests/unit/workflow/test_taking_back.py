"""A pause takes back the tasks that no agent has claimed."""

from tests.unit.workflow.world import World, agent_step, pool

from vapora.core.plan import CancelTask
from vapora.core.workflow.results import AgentResult

WITHDRAWN = AgentResult("cancelled", code="Withdrawn")


def test_a_pause_takes_unclaimed_tasks_back_and_leaves_claimed_ones_to_their_agents() -> None:
    world = World({"steps": [agent_step("a")]}, pools=(pool("p"),))
    world.settle()
    world.is_paused = True
    asked = [action for action in world.plan().plan.actions if isinstance(action, CancelTask)]
    assert [(action.message_id, action.also_claimed) for action in asked] == [(world.published[0], False)]
    world.settle()
    assert world.cancelled == [world.published[0]], "it is asked once"


def test_a_task_that_was_taken_back_is_given_out_anew_after_the_pause_at_no_cost() -> None:
    world = World(
        {"steps": [agent_step("a", retry={"maxAttempts": 1, "infrastructureAttempts": 1})]}, pools=(pool("p"),)
    )
    world.settle()
    world.is_paused = True
    world.settle()
    world.results[world.published[0]] = WITHDRAWN
    world.settle()
    assert (world.states(), len(world.published)) == ({"a": "Retrying"}, 1)
    world.is_paused = False
    world.settle()
    assert len(set(world.published)) == 2, "under a new key, which the broker has not seen"
    world.answer("a")
    assert str(world.status.phase) == "Succeeded"
