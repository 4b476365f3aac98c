"""How runs end: by a failure, the deadline or a request, with what still runs then."""

from tests.unit.workflow.world import World, run_step


def test_the_deadline_also_ends_a_run_that_goes_on_after_a_failure() -> None:
    steps = [run_step("bad", retry={"maxAttempts": 1}), run_step("slow")]
    world = World({"failFast": False, "deadline": "10s", "steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    world.pass_time(10)
    assert world.children[world.child("slow")].meta.is_deleting
    world.finish("slow", exit_code=143)
    assert (str(world.status.phase), world.status.reason) == ("Failed", "DeadlineExceeded")


def test_a_run_that_goes_on_after_a_failure_tries_its_other_steps_again() -> None:
    steps = [run_step("bad", retry={"maxAttempts": 1}), run_step("shaky", retry={"initialDelay": 0})]
    world = World({"failFast": False, "steps": steps})
    world.settle()
    world.finish("bad", exit_code=1)
    world.finish("shaky", exit_code=1)
    world.finish("shaky")
    assert world.states() == {"bad": "Failed", "shaky": "Succeeded"}
