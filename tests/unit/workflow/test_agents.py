"""Tasks that are given to agents: what is durable before what, and what keeps them from being given out."""

from tests.unit.workflow.world import World, agent_step, pool, run_step

from vapora.core.workflow.results import AgentResult


def test_the_answers_to_all_items_are_durable_before_a_dependent_starts() -> None:
    steps = [agent_step("t", forEach={"items": [1, 2]}), run_step("b", dependsOn=["t"])]
    world = World({"steps": steps}, pools=(pool("p"),))
    world.settle()
    for task in world.published:
        world.results[task] = AgentResult("success")
    world.plan(write=False)
    assert (world.states(), world.created) == ({"t": "Succeeded"}, [])
    world.settle()
    assert world.states()["b"] == "Starting"
