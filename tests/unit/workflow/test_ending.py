"""How runs end: by a failure, the deadline or a request, with what still runs then."""

from tests.unit.workflow.world import World, finished, run_step


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


def test_a_sibling_that_the_cluster_spoils_as_the_workflow_fails_is_cancelled_whoever_is_seen_first() -> None:
    for names in (("bad", "slow"), ("slow", "bad")):
        world = World({"steps": [run_step(name, retry={"maxAttempts": 1}) for name in names]})
        world.settle()
        slow = world.child("slow")
        world.children[slow] = finished(world.children[slow], world.now, exit_code=137, disruption="DeletionByPodGC")
        world.finish("bad", exit_code=1)
        assert (str(world.status.phase), world.status.reason) == ("Failed", "ExitCode")
        assert world.states() == {"bad": "Failed", "slow": "Cancelled"}


def test_what_can_never_run_any_more_is_skipped_whoever_ended_last() -> None:
    for last in ("bad", "slow"):
        steps = [
            run_step("bad", retry={"maxAttempts": 1}),
            run_step("slow"),
            run_step("never", dependsOn=["bad", "slow"]),
        ]
        world = World({"steps": steps})
        world.settle()
        if last == "bad":
            world.finish("slow")
        world.finish("bad", exit_code=1)
        if last == "slow":
            world.finish("slow", exit_code=143)
        assert world.states()["never"] == "Skipped"
